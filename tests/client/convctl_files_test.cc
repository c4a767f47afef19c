// convctl with files: NumPy arrays, pictures and the filters that go with them.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/image.h"
#include "client/cli/npy.h"
#include "client/cli/npz.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/convctl_harness.h"
#include "tests/client/scratch_folder.h"
#include "tests/support/tensors.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::Embedded;
using ::convserve::testing::MakeTensor;
using ::convserve::testing::Outcome;
using ::convserve::testing::ReadBytes;
using ::convserve::testing::SameBits;
using ::convserve::testing::ScratchFolder;
using ::convserve::testing::ToDoubles;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string DataFile(const std::string& name) {
  return std::string(CONVSERVE_TEST_DATA) + "/npy/" + name;
}

std::string NpyBytes(const Tensor& tensor) {
  return NpyHeader(tensor.data_type(), tensor.shape()) +
         std::string(tensor.As<char>(), static_cast<std::size_t>(tensor.byte_count()));
}

Tensor ReadNpyFile(const std::string& path) {
  const std::string bytes = ReadBytes(path);
  MemoryReader reader(bytes);
  absl::StatusOr<Tensor> tensor = ReadNpy(reader);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? *std::move(tensor) : Tensor();
}

Tensor ReadPictureFile(const std::string& path) {
  absl::StatusOr<Tensor> tensor = ReadPicture(ReadBytes(path), TensorLayout::kUnspecified);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? *std::move(tensor) : Tensor();
}

Tensor Photo(std::int64_t channels) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < channels * 6 * 8; ++i) values.push_back(static_cast<double>(i));
  return MakeTensor(DataType::kUInt8, {1, channels, 6, 8}, values);
}

class ConvctlFiles : public ::testing::Test {
 protected:
  std::string WritePng(const std::string& name, const Tensor& picture) {
    return folder_.Write(
        name, *EncodePicture(picture.view(), TensorLayout::kUnspecified, PictureFormat::kPng));
  }

  ScratchFolder folder_;
};

TEST_F(ConvctlFiles, ArraysAreReadInEveryOrderAndWritten) {
  for (const std::string name : {"little_f4.npy", "big_f4.npy", "fortran_2d.npy"}) {
    const Outcome outcome = Embedded({"conv", "--input", DataFile(name), "--weight", "[[2]]",
                                      "--output", folder_.Path("y.npy")});
    ASSERT_EQ(outcome.exit_code, 0) << name << outcome;
    EXPECT_THAT(outcome.out,
                HasSubstr(name + ", float32 [2, 3] read as [1, 1, 2, 3]: one image, one channel"));
    EXPECT_THAT(outcome.out, HasSubstr("output  float32 [1, 1, 2, 3] to " + folder_.Path("y.npy")));
    const Tensor tensor = ReadNpyFile(folder_.Path("y.npy"));
    EXPECT_EQ(tensor.shape(), Shape({1, 1, 2, 3}));
    EXPECT_THAT(ToDoubles(tensor), ElementsAre(-4, -2, 0, 2, 4, 6));
  }
}

TEST_F(ConvctlFiles, ArchivesAreReadByMemberAndWritten) {
  const Outcome outcome = Embedded({"conv", "--input", DataFile("deflated.npz:first"), "--weight",
                                    "[[1]]", "--output", folder_.Path("y.npz:result")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const auto tensor = ReadNpz(folder_.Path("y.npz"), "result");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(ToDoubles(*tensor), ElementsAre(-2, -1, 0, 1, 2, 3));

  ASSERT_EQ(Embedded({"conv", "--input", DataFile("deflated.npz:first"), "--weight", "[[1]]",
                      "--output", folder_.Path("z.npz")})
                .exit_code,
            0);
  EXPECT_TRUE(ReadNpz(folder_.Path("z.npz"), "output").ok());
}

TEST_F(ConvctlFiles, ArraysOfArchivesMayHaveTheNamesOfTheirFiles) {
  const std::string archive = folder_.Path("y.npz");
  const Outcome outcome = Embedded({"conv", "--input", DataFile("deflated.npz:first.npy"),
                                    "--weight", "[[1]]", "--output", archive + ":x.npy"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr(" to " + archive + "\n"));
  EXPECT_TRUE(ReadNpz(archive, "x").ok());
  EXPECT_FALSE(std::filesystem::exists(archive + ":x.npy"));
  const auto refusal = [&](const std::string& name) {
    return Embedded({"conv", "--input", "[[1]]", "--weight", "[[1]]", "--output", name}).err;
  };
  for (const std::string name : {"y.npz:", "y.npz:.npy"}) {
    EXPECT_EQ(
        refusal(name),
        "convctl: --output: expected the name of an array behind .npz:, got \"" + name + "\"\n");
  }
}

TEST_F(ConvctlFiles, LiteralsTakeTheTypeOfTheFileBesideThem) {
  const auto type = [&](const std::string& input, const std::string& weight) {
    return Embedded({"--json", "conv", "--input", input, "--weight", weight}).json()["type"];
  };
  EXPECT_EQ(type(DataFile("little_f8.npy"), "[[1]]"), "float64");
  EXPECT_EQ(type(DataFile("little_f8.npy"), "box:1"), "float64");
  EXPECT_EQ(type("[[1,2,3],[4,5,6]]", DataFile("little_f2.npy")), "float16");
  EXPECT_EQ(type(DataFile("little_i1.npy"), "[[1]]"), "int32");
  EXPECT_EQ(type(DataFile("little_u1.npy"), "[[0.5]]"), "float32");
}

TEST_F(ConvctlFiles, BFloat16IsWrittenAsFloat32AndSaysSo) {
  const Outcome outcome = Embedded({"conv", "--input", "[[1,2]]", "--weight", "[[1]]", "--type",
                                    "bfloat16", "--output", folder_.Path("y.npy")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("as float32: NumPy has no bfloat16"));
  EXPECT_EQ(ReadNpyFile(folder_.Path("y.npy")).data_type(), DataType::kFloat32);
}

TEST_F(ConvctlFiles, JsonNamesTheFileInPlaceOfTheValues) {
  const json result = Embedded({"--json", "conv", "--input", "[[1,2]]", "--weight", "[[1]]",
                                "--output", folder_.Path("y.npy")})
                          .json();
  EXPECT_EQ(result["file"], folder_.Path("y.npy"));
  EXPECT_FALSE(result.contains("values"));
  EXPECT_EQ(result["shape"], json({1, 1, 1, 2}));
}

TEST_F(ConvctlFiles, FilterOfOneCellLeavesAPictureAsItIs) {
  for (const std::int64_t channels : {1, 3}) {
    const Tensor photo = Photo(channels);
    const std::string path = WritePng("photo.png", photo);
    const Outcome outcome =
        Embedded({"conv", "--input", path, "--weight", "box:1", "--output", folder_.Path("y.png")});
    ASSERT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_TRUE(SameBits(ReadPictureFile(folder_.Path("y.png")), photo));
  }
}

TEST_F(ConvctlFiles, FiltersWorkOnEachChannelAlone) {
  const std::string path = WritePng("photo.png", Photo(3));
  const Outcome text = Embedded({"conv", "--input", path, "--weight", "sobel-x"});
  EXPECT_THAT(text.out,
              HasSubstr("weight  sobel-x, float32 [3, 3] read as [3, 1, 3, 3], a copy for "
                        "each channel\ngroups  3, one for every channel\n"));
  const json each =
      Embedded({"--json", "conv", "--input", path, "--weight", "sobel-x"}).json()["values"][0];
  EXPECT_EQ(each.size(), 3u);
  for (const json& channel : each) {
    for (const json& row : channel) EXPECT_EQ(row, json({8, 8, 8, 8, 8, 8}));
  }
  const json layout = Embedded({"--json", "conv", "--input", path, "--weight", "sobel-x",
                                "--layout", "channels-last", "--weight-layout", "channels-last"})
                          .json();
  EXPECT_EQ(layout["shape"], json({1, 4, 6, 3}));
  EXPECT_EQ(layout["values"][0][0][0], json({8, 8, 8}));
}

TEST_F(ConvctlFiles, FiltersAddUpTheChannelsOfAGroup) {
  const std::string path = WritePng("photo.png", Photo(3));
  const json sum =
      Embedded({"--json", "conv", "--input", path, "--weight", "sobel-y", "--groups", "1"}).json();
  EXPECT_EQ(sum["shape"], json({1, 1, 4, 6}));
  EXPECT_EQ(sum["values"][0][0][0][0], 3 * 8 * 8);
  const Outcome uneven =
      Embedded({"conv", "--input", path, "--weight", "sobel-y", "--groups", "2"});
  EXPECT_EQ(uneven.exit_code, 3);
  EXPECT_THAT(uneven.err,
              HasSubstr("--groups: expected a divisor of the input's 3 channels, got 2"));
}

TEST_F(ConvctlFiles, BilinearDoublesAPicture) {
  const std::string path = WritePng(
      "photo.png", MakeTensor(DataType::kUInt8, {1, 3, 4, 5}, std::vector<double>(60, 100)));
  const Outcome outcome = Embedded({"conv-transpose", "--input", path, "--weight", "bilinear:2",
                                    "--output", folder_.Path("y.png")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("stride  2, by the filter\npadding 1, by the filter\n"));
  const Tensor doubled = ReadPictureFile(folder_.Path("y.png"));
  EXPECT_EQ(doubled.shape(), Shape({1, 3, 8, 10}));
  EXPECT_EQ(doubled.As<std::uint8_t>()[11], 100) << "within, a plain picture stays plain";
}

TEST_F(ConvctlFiles, JpegsAreReadAndWritten) {
  const std::string path = WritePng("photo.png", Photo(3));
  ASSERT_EQ(
      Embedded({"conv", "--input", path, "--weight", "box:1", "--output", folder_.Path("y.JPG")})
          .exit_code,
      0);
  const json again = Embedded({"--json", "conv", "--input", folder_.Path("y.JPG"), "--weight",
                               "gaussian:3", "--output", folder_.Path("z.jpeg")})
                         .json();
  EXPECT_EQ(again["shape"], json({1, 3, 4, 6}));
  EXPECT_EQ(ReadPictureFile(folder_.Path("z.jpeg")).shape(), Shape({1, 3, 4, 6}));
}

TEST_F(ConvctlFiles, WhatIsNoPictureIsKnownBeforeTheWork) {
  const std::string stack =
      folder_.Write("stack.npy", NpyBytes(MakeTensor(DataType::kFloat32, {2, 1, 1, 1}, {1, 2})));
  const Outcome outcome =
      Embedded({"conv", "--input", stack, "--weight", "[[1]]", "--output", folder_.Path("y.png")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err, "convctl: --output: " + folder_.Path("y.png") +
                             ": a picture needs a tensor [1, C, H, W], got [2, 1, 1, 1]; write "
                             ".npy instead\n");
  EXPECT_EQ(outcome.out, "");
}

TEST_F(ConvctlFiles, EmptyBatchesGiveEmptyResults) {
  const std::string empty =
      folder_.Write("empty.npy", NpyBytes(Tensor(DataType::kFloat32, {0, 1, 4, 4})));
  const json result =
      Embedded({"--json", "conv", "--input", empty, "--weight", "[[1,1],[1,1]]"}).json();
  EXPECT_EQ(result["shape"], json({0, 1, 3, 3}));
  EXPECT_EQ(result["values"], json::array());
  EXPECT_EQ(
      Embedded({"conv", "--input", empty, "--weight", "box:2", "--output", folder_.Path("y.npy")})
          .exit_code,
      0);
  EXPECT_EQ(ReadNpyFile(folder_.Path("y.npy")).shape(), Shape({0, 1, 3, 3}));
}

TEST_F(ConvctlFiles, StandardInputThatCannotBeReadIsNotEmpty) {
  std::ifstream in(folder_.Path(""));
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunConvctl({"--embedded", "conv", "--input", "-", "--weight", "[[1]]"}, {in, out, err}),
            1);
  EXPECT_EQ(err.str(), "convctl: --input: standard input cannot be read: Is a directory\n");
}

TEST_F(ConvctlFiles, StandardInputMayBeClosed) {
  const std::string line = std::string(CONVSERVE_BINARY_DIR) +
                           "/bin/convctl --embedded conv --input - --weight 1 <&- 2>'" +
                           folder_.Path("err") + "'";
  EXPECT_NE(std::system(line.c_str()), 0);
  EXPECT_EQ(ReadBytes(folder_.Path("err")), "convctl: --input: standard input is closed\n");
}

TEST_F(ConvctlFiles, NamesOfFilesStayOnTheirLine) {
  const std::string file =
      folder_.Write("a\nb.npy", NpyBytes(MakeTensor(DataType::kFloat32, {1, 1}, {1})));
  const Outcome outcome = Embedded(
      {"conv", "--input", file, "--weight", "[[1]]", "--output", folder_.Path("c\x1b.npy")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("a\\x0ab.npy, float32 [1, 1]"));
  EXPECT_THAT(outcome.out, HasSubstr("c\\x1b.npy\n"));
  EXPECT_TRUE(std::filesystem::exists(folder_.Path("c\x1b.npy")));
  const Outcome drawn = Embedded({"describe", "conv", "--input", file, "--weight", "[[1]]",
                                  "--draw", folder_.Path("d\n.svg")});
  EXPECT_THAT(drawn.out, HasSubstr("d\\x0a.svg\n"));
}

TEST_F(ConvctlFiles, FolderThatIsNotThereCannotBeWrittenTo) {
  for (const std::string name : {"none/y.npy", "none/y.npz", "none/y.png"}) {
    const Outcome outcome =
        Embedded({"conv", "--input", "[[1]]", "--weight", "[[1]]", "--output", folder_.Path(name)});
    EXPECT_EQ(outcome.exit_code, 1) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("convctl: --output: " + folder_.Path(name)));
    EXPECT_THAT(outcome.err, HasSubstr("cannot be written"));
  }
}

TEST_F(ConvctlFiles, EveryFormatSaysWhatIsInTheWay) {
  for (const std::string format : {"npy", "npz", "png"}) {
    const auto written_to = [&](const std::string& path) {
      return Embedded({"conv", "--input", "[[1]]", "--weight", "[[1]]", "--output", path}).err;
    };
    std::filesystem::create_directory(folder_.Path("folder." + format));
    EXPECT_THAT(written_to(folder_.Path("folder." + format)), HasSubstr("Is a directory"));
    std::filesystem::create_symlink("/dev/full", folder_.Path("full." + format));
    EXPECT_THAT(written_to(folder_.Path("full." + format)), HasSubstr("No space left on device"));
  }
}

}  // namespace
}  // namespace convserve::cli
