#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "client/cli/raster.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

// Deflate cannot do better: 258 bytes from 2 bits.
constexpr std::int64_t kMaxExpansion = 1032;

// Everything that the callbacks and the functions with setjmp touch. libpng leaves an error by
// longjmp, so those functions hold nothing that has a destructor.
struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const char* bytes = nullptr;
  std::size_t left = 0;
  char error[128] = "";

  explicit Decoder(std::string_view file) : bytes(file.data()), left(file.size()) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder->error, sizeof(decoder->error), "%s", message);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep target, std::size_t count) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (count > decoder->left) png_error(png, "it ends too early");
  std::memcpy(target, decoder->bytes, count);
  decoder->bytes += count;
  decoder->left -= count;
}

// Reads up to the first row.
bool ReadHeader(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  // CheckPictureSize has the limits: libpng's own are a million pixels a side.
  png_set_user_limits(decoder.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_read_fn(decoder.png, &decoder, OnRead);
  png_read_info(decoder.png, decoder.info);
  return true;
}

// Asks for 8 bit gray or RGB, with alpha where the file has transparency. Takes memory for a row.
bool Prepare(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_set_expand(decoder.png);
  png_set_scale_16(decoder.png);
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  return true;
}

bool ReadRows(Decoder& decoder, unsigned char* samples, std::size_t row_bytes) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
  const int passes =
      png_get_interlace_type(decoder.png, decoder.info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
  for (int pass = 0; pass < passes; ++pass) {
    for (png_uint_32 y = 0; y < height; ++y) {
      png_read_row(decoder.png, samples + y * row_bytes, nullptr);
    }
  }
  png_read_end(decoder.png, nullptr);
  return true;
}

absl::Status Damaged(const Decoder& decoder) {
  return absl::DataLossError(fmt::format("is a damaged PNG file: {}", decoder.error));
}

}  // namespace

absl::StatusOr<Raster> DecodePng(std::string_view bytes) {
  Decoder decoder(bytes);
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, OnError, OnWarning);
  if (decoder.png == nullptr) return absl::ResourceExhaustedError("no memory for libpng");
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return absl::ResourceExhaustedError("no memory for libpng");
  if (!ReadHeader(decoder)) return Damaged(decoder);

  const std::int64_t width = png_get_image_width(decoder.png, decoder.info);
  const std::int64_t height = png_get_image_height(decoder.png, decoder.info);
  if (absl::Status status = CheckPictureSize(width, height); !status.ok()) return status;
  // One bit a pixel is the least that a file can store before compression.
  if (width * height / 8 > static_cast<std::int64_t>(bytes.size()) * kMaxExpansion) {
    return absl::DataLossError(fmt::format(
        "is a damaged PNG file: {} bytes cannot hold {} x {} pixels", bytes.size(), width, height));
  }
  if (!Prepare(decoder)) return Damaged(decoder);
  Raster raster(width, height, png_get_channels(decoder.png, decoder.info));
  raster.Allocate();
  if (!ReadRows(decoder, raster.samples.data(), raster.row_bytes())) return Damaged(decoder);
  return raster;
}

absl::StatusOr<std::string> EncodePng(const Raster& raster) {
  constexpr png_uint_32 kFormats[] = {PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB,
                                      PNG_FORMAT_RGBA};
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(raster.width);
  image.height = static_cast<png_uint_32>(raster.height);
  image.format = kFormats[raster.channels - 1];
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&image, file.data(), &size, 0, raster.samples.data(), 0, nullptr) ==
      0) {
    return absl::UnknownError(fmt::format("cannot be written as PNG: {}", image.message));
  }
  file.resize(size);
  return file;
}

}  // namespace convserve::cli
