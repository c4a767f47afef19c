// Pictures as tensors: PNG and JPEG.
//
// A picture becomes a uint8 tensor [1, C, H, W] (or [1, H, W, C]): C = 1 for gray, 3 for red,
// green, blue, and one more for an alpha channel that is not opaque everywhere. Sample values are
// taken as stored, without gamma: palettes and 1, 2 and 4 bit samples are expanded, 16 bit samples
// rounded to 8. A JPEG is decoded to gray or RGB; its orientation tag is not applied.
#ifndef CONVSERVE_CLIENT_CLI_IMAGE_H_
#define CONVSERVE_CLIENT_CLI_IMAGE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/parameters.h"
#include "core/tensor.h"

namespace convserve::cli {

// Larger pictures are refused, read or written, before memory is taken for them.
inline constexpr std::int64_t kMaxPicturePixels = std::int64_t{1} << 28;

enum class PictureFormat { kPng, kJpeg };

// DATA_LOSS for what is neither PNG nor JPEG (the first bytes tell, not the name) and for a damaged
// file; RESOURCE_EXHAUSTED above kMaxPicturePixels; UNIMPLEMENTED for CMYK.
absl::StatusOr<Tensor> ReadPicture(std::string_view bytes, TensorLayout layout);

// Whether a tensor of this shape can be written: one picture ([1, C, H, W] or [C, H, W], or with C
// last) of 1 to 4 channels, 1 or 3 for JPEG, not empty and not too large. INVALID_ARGUMENT says
// what is in the way.
absl::Status CheckPictureShape(const Shape& shape, TensorLayout layout, PictureFormat format);

// The file's bytes. Values are rounded half to even and clamped to 0..255, NaN is 0; two and four
// channels are gray and RGB with alpha. JPEG quality is 95. Refuses as CheckPictureShape does.
absl::StatusOr<std::string> EncodePicture(const TensorView& tensor, TensorLayout layout,
                                          PictureFormat format);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_IMAGE_H_
