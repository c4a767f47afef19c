#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// After <cstdio>, which it needs and does not include; before the messages, which depend on it.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "client/cli/raster.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr int kQuality = 95;

// libjpeg leaves an error by the longjmp below, so the functions with setjmp hold nothing that has
// a destructor.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  bool in_pixels = false;  // behind the headers
  bool damaged = false;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void OnError(j_common_ptr codec) {
  auto* errors = reinterpret_cast<ErrorManager*>(codec->err);
  codec->err->format_message(codec, errors->message);
  std::longjmp(errors->jump, 1);
}

// Whether a warning says that pixels were made up or left out.
bool LosesPixels(const ErrorManager& errors) {
  // What some cameras leave behind the pixels; more is what damaged ones did not use up.
  constexpr int kMostStrayBytes = 16;
  switch (errors.base.msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      return true;
    case JWRN_EXTRANEOUS_DATA:
      return errors.in_pixels && errors.base.msg_parm.i[0] > kMostStrayBytes;
    default:
      return false;
  }
}

// A negative level is a warning. The first one that matters is kept.
void OnMessage(j_common_ptr codec, int level) {
  auto* errors = reinterpret_cast<ErrorManager*>(codec->err);
  if (level >= 0 || errors->damaged || !LosesPixels(*errors)) return;
  errors->damaged = true;
  if (errors->base.msg_code == JWRN_JPEG_EOF) {
    std::snprintf(errors->message, sizeof(errors->message), "it ends too early");
  } else {
    errors->base.format_message(codec, errors->message);
  }
}

jpeg_error_mgr* Install(ErrorManager& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = OnError;
  errors.base.emit_message = OnMessage;
  return &errors.base;
}

struct Decoder {
  jpeg_decompress_struct codec;
  ErrorManager errors;

  Decoder() {
    codec.err = Install(errors);
    codec.mem = nullptr;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (codec.mem != nullptr) jpeg_destroy_decompress(&codec);
  }
};

bool ReadHeader(Decoder& decoder, std::string_view bytes) {
  if (setjmp(decoder.errors.jump) != 0) return false;
  jpeg_create_decompress(&decoder.codec);
  jpeg_mem_src(&decoder.codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&decoder.codec, TRUE);
  return true;
}

bool ReadRows(Decoder& decoder, unsigned char* samples, std::size_t row_bytes) {
  if (setjmp(decoder.errors.jump) != 0) return false;
  decoder.errors.in_pixels = true;
  decoder.codec.out_color_space = decoder.codec.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&decoder.codec);
  while (decoder.codec.output_scanline < decoder.codec.output_height) {
    JSAMPROW row = samples + decoder.codec.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.codec, &row, 1);
  }
  jpeg_finish_decompress(&decoder.codec);
  return true;
}

struct Encoder {
  jpeg_compress_struct codec;
  ErrorManager errors;
  unsigned char* file = nullptr;
  unsigned long size = 0;

  Encoder() {
    codec.err = Install(errors);
    codec.mem = nullptr;
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() {
    if (codec.mem != nullptr) jpeg_destroy_compress(&codec);
    std::free(file);
  }
};

bool WriteFile(Encoder& encoder, const Raster& raster) {
  if (setjmp(encoder.errors.jump) != 0) return false;
  jpeg_create_compress(&encoder.codec);
  jpeg_mem_dest(&encoder.codec, &encoder.file, &encoder.size);
  encoder.codec.image_width = static_cast<JDIMENSION>(raster.width);
  encoder.codec.image_height = static_cast<JDIMENSION>(raster.height);
  encoder.codec.input_components = static_cast<int>(raster.channels);
  encoder.codec.in_color_space = raster.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&encoder.codec);
  jpeg_set_quality(&encoder.codec, kQuality, TRUE);
  jpeg_start_compress(&encoder.codec, TRUE);
  while (encoder.codec.next_scanline < encoder.codec.image_height) {
    // The library only reads from it; its type has no const.
    auto* row = const_cast<JSAMPROW>(raster.samples.data() +
                                     encoder.codec.next_scanline * raster.row_bytes());
    jpeg_write_scanlines(&encoder.codec, &row, 1);
  }
  jpeg_finish_compress(&encoder.codec);
  return true;
}

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(fmt::format("is a damaged JPEG file: {}", what));
}

}  // namespace

absl::StatusOr<Raster> DecodeJpeg(std::string_view bytes) {
  Decoder decoder;
  if (!ReadHeader(decoder, bytes)) return Damaged(decoder.errors.message);
  const int components = decoder.codec.num_components;
  if (components != 1 && components != 3) {
    return absl::UnimplementedError(
        fmt::format("is a JPEG file of {} components (CMYK): expected gray or RGB", components));
  }
  Raster raster(decoder.codec.image_width, decoder.codec.image_height, components);
  if (absl::Status status = CheckPictureSize(raster.width, raster.height); !status.ok()) {
    return status;
  }
  raster.Allocate();
  if (!ReadRows(decoder, raster.samples.data(), raster.row_bytes()) || decoder.errors.damaged) {
    return Damaged(decoder.errors.message);
  }
  return raster;
}

absl::StatusOr<std::string> EncodeJpeg(const Raster& raster) {
  Encoder encoder;
  if (!WriteFile(encoder, raster)) {
    return absl::UnknownError(fmt::format("cannot be written as JPEG: {}", encoder.errors.message));
  }
  return std::string(reinterpret_cast<const char*>(encoder.file), encoder.size);
}

}  // namespace convserve::cli
