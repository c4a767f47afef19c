#include "client/cli/image.h"

#include <png.h>

#include <csetjmp>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/raster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/tensors.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::MakeTensor;
using ::convserve::testing::ToDoubles;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct PngSpec {
  int width = 1;
  int height = 1;
  int bit_depth = 8;
  int color_type = PNG_COLOR_TYPE_GRAY;
  int interlace = PNG_INTERLACE_NONE;
  std::vector<std::vector<unsigned char>> rows = {};
  std::vector<png_color> palette = {};
  std::vector<png_byte> palette_alpha = {};
};

void Append(png_structp png, png_bytep bytes, std::size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

void Flush(png_structp) {}

// A PNG file as other programs write them; the specs here are right, so libpng has nothing to
// complain about.
std::string MakePng(PngSpec spec) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, Append, Flush);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(png, info, static_cast<png_uint_32>(spec.width),
               static_cast<png_uint_32>(spec.height), spec.bit_depth, spec.color_type,
               spec.interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!spec.palette.empty()) {
    png_set_PLTE(png, info, spec.palette.data(), static_cast<int>(spec.palette.size()));
  }
  if (!spec.palette_alpha.empty()) {
    png_set_tRNS(png, info, spec.palette_alpha.data(), static_cast<int>(spec.palette_alpha.size()),
                 nullptr);
  }
  png_write_info(png, info);
  std::vector<png_bytep> rows = {};
  for (auto& row : spec.rows) rows.push_back(row.data());
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

Tensor Read(std::string_view bytes, TensorLayout layout = TensorLayout::kUnspecified) {
  absl::StatusOr<Tensor> tensor = ReadPicture(bytes, layout);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? *std::move(tensor) : Tensor();
}

std::string Message(const absl::StatusOr<Tensor>& result) {
  return std::string(result.status().message());
}

Tensor Photo(std::int64_t channels, std::int64_t height = 16, std::int64_t width = 24) {
  std::vector<double> values;
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        values.push_back(static_cast<double>((40 * c + 5 * y + 3 * x) % 200));
      }
    }
  }
  return MakeTensor(DataType::kUInt8, {1, channels, height, width}, values);
}

TEST(Picture, GrayPngIsOneChannel) {
  const Tensor tensor = Read(MakePng({.width = 2, .height = 2, .rows = {{1, 2}, {3, 255}}}));
  EXPECT_EQ(tensor.data_type(), DataType::kUInt8);
  EXPECT_EQ(tensor.shape(), Shape({1, 1, 2, 2}));
  EXPECT_THAT(ToDoubles(tensor), ElementsAre(1, 2, 3, 255));
}

TEST(Picture, RgbPngIsThreePlanes) {
  const std::string file =
      MakePng({.width = 2, .color_type = PNG_COLOR_TYPE_RGB, .rows = {{1, 2, 3, 4, 5, 6}}});
  EXPECT_EQ(Read(file).shape(), Shape({1, 3, 1, 2}));
  EXPECT_THAT(ToDoubles(Read(file)), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(Picture, ChannelsLastKeepsThePixelsTogether) {
  const std::string file =
      MakePng({.width = 2, .color_type = PNG_COLOR_TYPE_RGB, .rows = {{1, 2, 3, 4, 5, 6}}});
  const Tensor tensor = Read(file, TensorLayout::kChannelsLast);
  EXPECT_EQ(tensor.shape(), Shape({1, 1, 2, 3}));
  EXPECT_THAT(ToDoubles(tensor), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Picture, AlphaIsAChannelUnlessItIsOpaqueEverywhere) {
  const auto with_alpha = [](unsigned char alpha) {
    return Read(MakePng(
        {.width = 2, .color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .rows = {{7, 255, 8, alpha}}}));
  };
  EXPECT_EQ(with_alpha(255).shape(), Shape({1, 1, 1, 2}));
  EXPECT_THAT(ToDoubles(with_alpha(255)), ElementsAre(7, 8));
  EXPECT_EQ(with_alpha(128).shape(), Shape({1, 2, 1, 2}));
  EXPECT_THAT(ToDoubles(with_alpha(128)), ElementsAre(7, 8, 255, 128));
}

TEST(Picture, SmallSamplesAreSpreadOverTheRange) {
  EXPECT_THAT(ToDoubles(Read(MakePng({.width = 4, .bit_depth = 1, .rows = {{0b1010'0000}}}))),
              ElementsAre(255, 0, 255, 0));
  EXPECT_THAT(ToDoubles(Read(MakePng({.width = 4, .bit_depth = 2, .rows = {{0b00'01'10'11}}}))),
              ElementsAre(0, 85, 170, 255));
}

TEST(Picture, SixteenBitSamplesAreRounded) {
  // 0x00ff is 0.992 of a step, 0x0080 is 0.498.
  const std::string file =
      MakePng({.width = 3, .bit_depth = 16, .rows = {{0x00, 0xff, 0x00, 0x80, 0xff, 0xff}}});
  EXPECT_THAT(ToDoubles(Read(file)), ElementsAre(1, 0, 255));
}

TEST(Picture, PaletteIsLookedUp) {
  PngSpec spec{.width = 2,
               .color_type = PNG_COLOR_TYPE_PALETTE,
               .rows = {{1, 0}},
               .palette = {{10, 20, 30}, {40, 50, 60}}};
  EXPECT_EQ(Read(MakePng(spec)).shape(), Shape({1, 3, 1, 2}));
  EXPECT_THAT(ToDoubles(Read(MakePng(spec))), ElementsAre(40, 10, 50, 20, 60, 30));
  spec.palette_alpha = {99};
  EXPECT_THAT(ToDoubles(Read(MakePng(spec))), ElementsAre(40, 10, 50, 20, 60, 30, 255, 99));
}

TEST(Picture, InterlacedPngIsPutInOrder) {
  PngSpec spec{.width = 9, .height = 9, .interlace = PNG_INTERLACE_ADAM7};
  std::vector<double> expected;
  for (int y = 0; y < 9; ++y) {
    spec.rows.emplace_back();
    for (int x = 0; x < 9; ++x) {
      spec.rows.back().push_back(static_cast<unsigned char>(9 * y + x));
      expected.push_back(9 * y + x);
    }
  }
  EXPECT_EQ(ToDoubles(Read(MakePng(spec))), expected);
}

TEST(Picture, PngsReturnAsTheyWereWritten) {
  for (std::int64_t channels = 1; channels <= 4; ++channels) {
    const Tensor photo = Photo(channels);
    const absl::StatusOr<std::string> file =
        EncodePicture(photo.view(), TensorLayout::kUnspecified, PictureFormat::kPng);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(testing::SameBits(Read(*file), photo)) << channels;
  }
}

TEST(Picture, JpegsReturnNearlyAsTheyWereWritten) {
  for (const std::int64_t channels : {1, 3}) {
    const Tensor photo = Photo(channels);
    const absl::StatusOr<std::string> file =
        EncodePicture(photo.view(), TensorLayout::kUnspecified, PictureFormat::kJpeg);
    ASSERT_TRUE(file.ok()) << file.status();
    const Tensor read = Read(*file);
    ASSERT_EQ(read.shape(), photo.shape());
    double difference = 0;
    for (std::int64_t i = 0; i < photo.size(); ++i) {
      difference += std::abs(photo.As<std::uint8_t>()[i] - read.As<std::uint8_t>()[i]);
    }
    // The stripes of the test picture are smooth but for their edges.
    EXPECT_LT(difference / static_cast<double>(photo.size()), 12) << channels;
  }
}

TEST(Picture, ValuesAreRoundedAndClamped) {
  const Tensor tensor =
      MakeTensor(DataType::kFloat32, {1, 1, 1, 6},
                 {-3, 0.5, 1.5, 254.6, 1000, std::numeric_limits<double>::quiet_NaN()});
  const absl::StatusOr<std::string> file =
      EncodePicture(tensor.view(), TensorLayout::kUnspecified, PictureFormat::kPng);
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(ToDoubles(Read(*file)), ElementsAre(0, 0, 2, 255, 255, 0));
}

TEST(Picture, UnbatchedAndChannelsLastTensorsAreWritten) {
  const Tensor planes = MakeTensor(DataType::kUInt8, {3, 1, 2}, {1, 4, 2, 5, 3, 6});
  const Tensor pixels = MakeTensor(DataType::kUInt8, {1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const auto first =
      EncodePicture(planes.view(), TensorLayout::kChannelsFirst, PictureFormat::kPng);
  const auto last = EncodePicture(pixels.view(), TensorLayout::kChannelsLast, PictureFormat::kPng);
  ASSERT_TRUE(first.ok() && last.ok());
  EXPECT_EQ(*first, *last);
}

struct Refusal {
  Shape shape;
  PictureFormat format;
  std::string message;
};

TEST(Picture, TensorsThatAreNoPictureAreNotWritten) {
  const Refusal rows[] = {
      {{2, 3, 4, 4},
       PictureFormat::kPng,
       "a picture needs a tensor [1, C, H, W], got [2, 3, 4, 4]"},
      {{4, 4}, PictureFormat::kPng, "got [4, 4]"},
      {{1, 1, 1, 4, 4}, PictureFormat::kPng, "got [1, 1, 1, 4, 4]"},
      {{1, 5, 4, 4}, PictureFormat::kPng, "a PNG holds 1 to 4 channels, got 5"},
      {{1, 2, 4, 4}, PictureFormat::kJpeg, "a JPEG holds 1 or 3 channels, got 2"},
      {{1, 4, 4, 4}, PictureFormat::kJpeg, "a JPEG holds 1 or 3 channels, got 4"},
      {{1, 1, 0, 4}, PictureFormat::kPng, "needs from 1 to"},
      {{1, 1, 1 << 20, 1 << 20}, PictureFormat::kPng, "needs from 1 to 268435456 pixels"},
      {{1, 1, 1, 65501}, PictureFormat::kJpeg, "at most 65500 pixels wide and high"},
      {{1, 1, 1, 1000001}, PictureFormat::kPng, "a PNG is at most 1000000 pixels wide and high"},
      {{1, 1, 1000001, 1}, PictureFormat::kPng, "got 1 x 1000001"},
  };
  for (const Refusal& row : rows) {
    const absl::Status status =
        CheckPictureShape(row.shape, TensorLayout::kUnspecified, row.format);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message));
  }
}

TEST(Picture, OtherFilesAreNoPicture) {
  for (const std::string_view bytes : {"", "GIF89a", "\x89PN", "hello"}) {
    const absl::StatusOr<Tensor> tensor = ReadPicture(bytes, TensorLayout::kUnspecified);
    EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(Message(tensor), HasSubstr("is no picture"));
  }
}

TEST(Picture, EveryTruncationIsRefused) {
  for (const PictureFormat format : {PictureFormat::kPng, PictureFormat::kJpeg}) {
    const std::string file = *EncodePicture(Photo(3).view(), TensorLayout::kUnspecified, format);
    // The last two bytes of a JPEG are its end marker, which decoders do without.
    const std::size_t longest = file.size() - (format == PictureFormat::kJpeg ? 3 : 1);
    for (std::size_t size = 0; size <= longest; ++size) {
      const absl::StatusOr<Tensor> tensor =
          ReadPicture(std::string_view(file).substr(0, size), TensorLayout::kUnspecified);
      EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss) << size;
    }
  }
}

// A JPEG file with `bytes` put in before its end marker, in place of the last `lost` ones there.
std::string JpegEndingWith(std::string_view bytes, std::size_t lost) {
  std::string file =
      *EncodePicture(Photo(1, 64, 64).view(), TensorLayout::kUnspecified, PictureFormat::kJpeg);
  return file.replace(file.size() - 2 - lost, lost, bytes);
}

TEST(Picture, LostPixelsAreNotMadeUp) {
  const struct {
    std::string file, message;
  } rows[] = {
      {JpegEndingWith("", 20), "premature end of data segment"},
      // Only ones: no code of the standard's tables, which are those in use.
      {JpegEndingWith({"\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00", 10}, 20), "bad Huffman code"},
      {JpegEndingWith(std::string(40, '\x55'), 0), " extraneous bytes before marker 0xd9"},
  };
  for (const auto& [file, message] : rows) {
    const absl::StatusOr<Tensor> tensor = ReadPicture(file, TensorLayout::kUnspecified);
    EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(Message(tensor), AllOf(HasSubstr("is a damaged JPEG file: Corrupt JPEG data: "),
                                       HasSubstr(message)));
  }
}

TEST(Picture, StrayBytesInAJpegDoNoHarm) {
  const std::string good = JpegEndingWith("", 0);
  EXPECT_TRUE(ReadPicture(JpegEndingWith(std::string(16, '\x55'), 0), {}).ok());
  std::string file = good;
  file.insert(file.find("\xff\xdb"), std::string(100, '\x55'));  // between two headers
  const absl::StatusOr<Tensor> tensor = ReadPicture(file, {});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(ToDoubles(*tensor), ToDoubles(*ReadPicture(good, {})));
}

TEST(Picture, DamagedBytesNeverDoMoreThanChangeThePicture) {
  for (const PictureFormat format : {PictureFormat::kPng, PictureFormat::kJpeg}) {
    const std::string file =
        *EncodePicture(Photo(3, 8, 8).view(), TensorLayout::kUnspecified, format);
    for (std::size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(~damaged[at]);
      const absl::StatusOr<Tensor> tensor = ReadPicture(damaged, TensorLayout::kUnspecified);
      EXPECT_TRUE(tensor.ok() || !Message(tensor).empty());
    }
  }
}

TEST(Picture, SidesBeyondAMillionAreRead) {
  constexpr int kSide = 1'000'003;
  std::vector<unsigned char> row(kSide, 7);
  row.back() = 9;
  const Tensor wide = Read(MakePng({.width = kSide, .rows = {row}}));
  ASSERT_EQ(wide.shape(), Shape({1, 1, 1, kSide}));
  EXPECT_EQ(wide.As<std::uint8_t>()[0], 7);
  EXPECT_EQ(wide.As<std::uint8_t>()[kSide - 1], 9);
  const std::vector<std::vector<unsigned char>> rows(kSide, {5});
  EXPECT_EQ(Read(MakePng({.height = kSide, .rows = rows})).shape(), Shape({1, 1, kSide, 1}));
}

TEST(Picture, HugeDimensionsAreRefusedBeforeMemoryIsTaken) {
  const auto with_size = [](std::string_view width, std::string_view height) {
    std::string file = MakePng({.rows = {{0}}});
    file.replace(16, 4, width);
    file.replace(20, 4, height);
    // The header's checksum, over its name and 13 bytes.
    std::uint32_t crc = 0xffffffff;
    for (std::size_t i = 12; i < 29; ++i) {
      crc ^= static_cast<unsigned char>(file[i]);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    for (std::size_t i = 0; i < 4; ++i) file[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
    return ReadPicture(file, TensorLayout::kUnspecified);
  };
  const absl::StatusOr<Tensor> large =
      with_size(std::string("\x00\x01\x00\x00", 4), std::string("\x00\x01\x00\x00", 4));
  EXPECT_EQ(large.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(large), HasSubstr("65536 x 65536 pixels: expected at most 268435456"));
  const absl::StatusOr<Tensor> bomb =
      with_size(std::string("\x00\x00\x40\x00", 4), std::string("\x00\x00\x40\x00", 4));
  EXPECT_EQ(bomb.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(bomb), HasSubstr("bytes cannot hold 16384 x 16384 pixels"));
  const absl::StatusOr<Tensor> row =
      with_size(std::string("\x10\x00\x00\x00", 4), std::string("\x00\x00\x00\x01", 4));
  EXPECT_THAT(Message(row), HasSubstr("bytes cannot hold 268435456 x 1 pixels"));
}

}  // namespace
}  // namespace convserve::cli
