// What the picture formats share: rows of interleaved 8 bit samples.
#ifndef CONVSERVE_CLIENT_CLI_RASTER_H_
#define CONVSERVE_CLIENT_CLI_RASTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace convserve::cli {

struct Raster {
  Raster(std::int64_t width, std::int64_t height, std::int64_t channels)
      : width(width), height(height), channels(channels) {}

  std::size_t row_bytes() const { return static_cast<std::size_t>(width * channels); }
  void Allocate() { samples.resize(row_bytes() * static_cast<std::size_t>(height)); }

  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 0;
  std::vector<unsigned char> samples;  // height * width * channels, rows first, channels last
};

// RESOURCE_EXHAUSTED when the picture has too many pixels, DATA_LOSS when it has none.
absl::Status CheckPictureSize(std::int64_t width, std::int64_t height);

// One file each: png.cc and jpeg.cc. The statuses are those of image.h.
absl::StatusOr<Raster> DecodePng(std::string_view bytes);
absl::StatusOr<Raster> DecodeJpeg(std::string_view bytes);
absl::StatusOr<std::string> EncodePng(const Raster& raster);
absl::StatusOr<std::string> EncodeJpeg(const Raster& raster);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_RASTER_H_
