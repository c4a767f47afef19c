#include "client/cli/image.h"

#include <algorithm>
#include <utility>

#include "client/cli/raster.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

// A picture within a tensor: sizes, and how far apart its samples lie.
struct Geometry {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool channels_last = false;

  std::int64_t Offset(std::int64_t c, std::int64_t y, std::int64_t x) const {
    return channels_last ? (y * width + x) * channels + c : (c * height + y) * width + x;
  }
};

// The shape must pass CheckPictureShape's rule on its rank.
Geometry GeometryOf(const Shape& shape, TensorLayout layout) {
  const std::int64_t* const sizes = shape.data() + (shape.size() - 3);
  if (layout == TensorLayout::kChannelsLast) return {sizes[2], sizes[0], sizes[1], true};
  return {sizes[0], sizes[1], sizes[2], false};
}

// The last channel of two or four is alpha. One that is 255 everywhere says nothing.
bool HasOpaqueAlpha(const Raster& raster) {
  if (raster.channels % 2 != 0) return false;
  const auto channels = static_cast<std::size_t>(raster.channels);
  for (std::size_t i = channels - 1; i < raster.samples.size(); i += channels) {
    if (raster.samples[i] != 255) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckPictureSize(std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) return absl::DataLossError("holds no pixels");
  if (width > kMaxPicturePixels / height) {
    return absl::ResourceExhaustedError(fmt::format(
        "has {} x {} pixels: expected at most {} in all", width, height, kMaxPicturePixels));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> ReadPicture(std::string_view bytes, TensorLayout layout) {
  absl::StatusOr<Raster> raster =
      absl::DataLossError("is no picture: expected the beginning of a PNG or JPEG file");
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) {
    raster = DecodePng(bytes);
  } else if (bytes.starts_with("\xff\xd8\xff")) {
    raster = DecodeJpeg(bytes);
  }
  if (!raster.ok()) return raster.status();

  Geometry geometry{raster->channels - (HasOpaqueAlpha(*raster) ? 1 : 0), raster->height,
                    raster->width, layout == TensorLayout::kChannelsLast};
  const Shape shape = geometry.channels_last
                          ? Shape{1, geometry.height, geometry.width, geometry.channels}
                          : Shape{1, geometry.channels, geometry.height, geometry.width};
  Tensor tensor(DataType::kUInt8, shape);
  auto* const target = tensor.As<std::uint8_t>();
  const unsigned char* source = raster->samples.data();
  for (std::int64_t y = 0; y < geometry.height; ++y) {
    for (std::int64_t x = 0; x < geometry.width; ++x, source += raster->channels) {
      for (std::int64_t c = 0; c < geometry.channels; ++c) {
        target[geometry.Offset(c, y, x)] = source[c];
      }
    }
  }
  return tensor;
}

absl::Status CheckPictureShape(const Shape& shape, TensorLayout layout, PictureFormat format) {
  const bool one_picture = shape.size() == 3 || (shape.size() == 4 && shape[0] == 1);
  const std::string_view expected =
      layout == TensorLayout::kChannelsLast ? "[1, H, W, C]" : "[1, C, H, W]";
  if (!one_picture) {
    return absl::InvalidArgumentError(fmt::format(
        "a picture needs a tensor {}, got {}; write .npy instead", expected, ToString(shape)));
  }
  const Geometry geometry = GeometryOf(shape, layout);
  const bool jpeg = format == PictureFormat::kJpeg;
  if (geometry.channels < 1 || geometry.channels > (jpeg ? 3 : 4) ||
      (jpeg && geometry.channels == 2)) {
    return absl::InvalidArgumentError(fmt::format(
        "{}, got {}; write .npy instead",
        jpeg ? "a JPEG holds 1 or 3 channels" : "a PNG holds 1 to 4 channels", geometry.channels));
  }
  if (!CheckPictureSize(geometry.width, geometry.height).ok()) {
    return absl::InvalidArgumentError(
        fmt::format("a picture needs from 1 to {} pixels, got {} x {}", kMaxPicturePixels,
                    geometry.width, geometry.height));
  }
  // What the libraries write.
  const std::int64_t max_side = jpeg ? 65500 : 1'000'000;
  if (std::max(geometry.width, geometry.height) > max_side) {
    return absl::InvalidArgumentError(
        fmt::format("a {} is at most {} pixels wide and high, got {} x {}; write .npy instead",
                    jpeg ? "JPEG" : "PNG", max_side, geometry.width, geometry.height));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodePicture(const TensorView& tensor, TensorLayout layout,
                                          PictureFormat format) {
  if (absl::Status status = CheckPictureShape(tensor.shape, layout, format); !status.ok()) {
    return status;
  }
  const Geometry geometry = GeometryOf(tensor.shape, layout);
  Raster raster(geometry.width, geometry.height, geometry.channels);
  raster.Allocate();
  unsigned char* target = raster.samples.data();
  for (std::int64_t y = 0; y < geometry.height; ++y) {
    for (std::int64_t x = 0; x < geometry.width; ++x) {
      for (std::int64_t c = 0; c < geometry.channels; ++c) {
        const double value = LoadAsDouble(tensor.data_type, tensor.data, geometry.Offset(c, y, x));
        StoreFromDouble(DataType::kUInt8, target++, 0, value);
      }
    }
  }
  return format == PictureFormat::kPng ? EncodePng(raster) : EncodeJpeg(raster);
}

}  // namespace convserve::cli
