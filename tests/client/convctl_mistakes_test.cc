// What people type wrong: each mistake gets a message that names its place, and the right exit
// code.
#include <sys/resource.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/convctl_harness.h"
#include "tests/client/scratch_folder.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::Embedded;
using ::convserve::testing::Outcome;
using ::convserve::testing::ReadBytes;
using ::convserve::testing::ScratchFolder;
using ::testing::HasSubstr;

struct Mistake {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string message;
};

std::ostream& operator<<(std::ostream& out, const Mistake& row) { return out << row.name; }

class ConvctlMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(ConvctlMistake, IsAnsweredWithItsPlaceAndTheRightExitCode) {
  const Outcome outcome = Embedded(GetParam().arguments);
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("convctl: " + GetParam().message));
  EXPECT_EQ(outcome.out, "");
}

std::vector<std::string> Conv(const std::vector<std::string>& more) {
  std::vector<std::string> line = {"conv", "--input", "[[1,2,3],[4,5,6],[7,8,9]]", "--weight",
                                   "[[1,2],[3,4]]"};
  line.insert(line.end(), more.begin(), more.end());
  return line;
}

std::vector<std::string> Transpose(const std::vector<std::string>& more) {
  std::vector<std::string> line = Conv(more);
  line[0] = "conv-transpose";
  return line;
}

INSTANTIATE_TEST_SUITE_P(
    Usage, ConvctlMistake,
    ::testing::Values(
        Mistake{"NoCommand", {}, 2, "a command is missing; see --help\n"},
        Mistake{
            "CommandMistyped", {"cnov"}, 2, "\"cnov\" is not understood (did you mean conv?)\n"},
        Mistake{"CommandUnknown", {"train"}, 2, "\"train\" is not understood; see --help\n"},
        Mistake{"TwoCommands", Transpose({"health"}), 2,
                "conv-transpose and health are two commands: expected one\n"},
        Mistake{"TwoCommandsBeforeTheirOptions",
                {"health", "conv"},
                2,
                "health and conv are two commands: expected one\n"},
        Mistake{"TwoOperations",
                {"describe", "conv", "--input", "[[1]]", "--weight", "[[1]]", "conv-transpose"},
                2,
                "conv and conv-transpose are two commands: expected one\n"},
        Mistake{"OptionMistyped", Conv({"--strid", "2"}), 2,
                "\"--strid\" is not understood (did you mean --stride?)\n"},
        Mistake{"OptionWithValueMistyped", Conv({"--paddings=2"}), 2,
                "\"--paddings=2\" is not understood (did you mean --padding?)\n"},
        Mistake{"GlobalOptionMistyped", Conv({"--jsno"}), 2,
                "\"--jsno\" is not understood (did you mean --json?)\n"},
        Mistake{"OptionOfTheOtherOperation", Transpose({"--padding-mode", "reflect"}), 2,
                "\"--padding-mode\" is not understood"},
        Mistake{"OptionTwice", Conv({"--stride", "1", "--stride", "2"}), 2,
                "--stride: expected once, got 2 of them\n"},
        Mistake{"OptionWithoutValue", Conv({"--stride"}), 2,
                "--stride: expected a value behind it, got nothing\n"},
        Mistake{"OptionWithNothingBehindEquals", Conv({"--stride=", "--padding", "1"}), 2,
                "--stride: expected a value behind the =, got nothing\n"},
        Mistake{"FlagWithAValue", Conv({"--flip-kernel=maybe"}), 2,
                "--flip-kernel = maybe: expected true or false\n"},
        Mistake{"DescribeWithoutOperation",
                {"describe", "--input-shape", "3,3"},
                2,
                "\"--input-shape\" is not understood without conv or conv-transpose behind "
                "describe; see --help\n"},
        Mistake{"SameWithoutKernel",
                {"solve", "--same", "--input", "7"},
                2,
                "--kernel is required here\n"},
        Mistake{"SameOfSeveralKernels",
                {"solve", "--same", "--input", "7", "--kernel", "1..3"},
                2,
                "--kernel: expected one number here, got 1..3\n"},
        Mistake{"InputMissing", {"conv", "--weight", "[[1]]"}, 2, "--input is required\n"},
        Mistake{"WeightMissing", {"conv", "--input", "[[1]]"}, 2, "--weight is required\n"},
        Mistake{"DescribeOfNothing", {"describe"}, 2, "describe needs conv or conv-transpose"},
        Mistake{"ListWithLetters", Conv({"--stride", "two"}), 2,
                "--stride: expected whole numbers below 2^63"},
        Mistake{"ListAbove2To63", Conv({"--dilation", "9223372036854775808"}), 2,
                "--dilation: expected whole numbers below 2^63"},
        Mistake{"GroupsAsAList", Conv({"--groups", "1,2"}), 2, "--groups: expected a whole number"},
        Mistake{"PaddingUnknown", Conv({"--padding", "full"}), 2,
                "--padding: expected one of valid, same"},
        Mistake{"TypeUnknown", Conv({"--output-type", "float"}), 2,
                "--output-type: expected one of float32"},
        Mistake{"RaggedLiteral",
                {"conv", "--input", "[[1,2],[3]]", "--weight", "[[1]]"},
                2,
                "--input: [1]: expected 2 elements"},
        Mistake{"FileOfUnknownKind",
                {"conv", "--input", "x.csv", "--weight", "[[1]]"},
                2,
                "--input: expected FILE.npy"},
        Mistake{"FilterMistyped",
                {"conv", "--input", "[[1]]", "--weight", "gausian:5"},
                2,
                "--weight: expected FILE.npy"},
        Mistake{"FilterWithoutSize",
                {"conv", "--input", "[[1]]", "--weight", "box"},
                2,
                "--weight: expected the form box:K, got box\n"},
        Mistake{"FilterAsInput",
                {"conv", "--input", "box:3", "--weight", "[[1]]"},
                2,
                "a filter by name can only be the --weight\n"},
        Mistake{"BilinearForConv",
                {"conv", "--input", "[[1]]", "--weight", "bilinear:2"},
                2,
                "--weight: bilinear:F is a filter for conv-transpose\n"},
        Mistake{"OutputOfUnknownKind", Conv({"--output", "y.txt"}), 2,
                "--output: expected a file ending in .npy, .npz, .npz:NAME, .png or .jpg, got "
                "\"y.txt\"\n"},
        Mistake{"TimeoutOfNothing", Conv({"--timeout", "0"}), 2,
                "--timeout: expected a time from 1ms to 366 days"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Request, ConvctlMistake,
    ::testing::Values(
        Mistake{"KernelLargerThanInput",
                {"conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1,1,1],[1,1,1],[1,1,1]]"},
                3,
                "weight.shape[2]: expected"},
        Mistake{"GroupsThatDoNotDivide", Conv({"--groups", "2"}), 3, "parameters.groups: expected"},
        Mistake{"StrideZero", Conv({"--stride", "0"}), 3,
                "parameters.stride[0]: expected at least 1, got 0\n"},
        Mistake{"StrideNegative", Conv({"--stride", "-1"}), 3,
                "parameters.stride[0]: expected at least 1, got -1\n"},
        Mistake{"TransposeOf69Gigabytes", Transpose({"--stride", "65536"}), 3,
                "output: expected at most"},
        Mistake{"PaddingOf2To62", Conv({"--padding", "4611686018427387904"}), 3,
                "parameters.padding[0]: expected"},
        Mistake{"OutputPaddingTooLarge", Transpose({"--output-padding", "1"}), 3,
                "parameters.output_padding[0]: expected"},
        Mistake{"ScalarInput", {"conv", "--input", "5", "--weight", "[[1]]"}, 3, "input.shape"},
        Mistake{"FilterOnARow",
                {"conv", "--input", "[1,2,3]", "--weight", "box:1"},
                3,
                "--weight: a filter by name needs an input with two spatial axes"},
        Mistake{"LiteralTypeTooSmall",
                {"conv", "--input", "[[300]]", "--weight", "[[1]]", "--type", "uint8"},
                3,
                "--input: element 0: expected a value of uint8, got 300\n"}),
    [](const auto& test) { return test.param.name; });

TEST(ConvctlMistakes, EveryViolationHasALineOfItsOwn) {
  const Outcome outcome = Embedded(Conv({"--stride", "0", "--padding", "-1"}));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.err,
            "input   float32 [3, 3] read as [1, 1, 3, 3]: one image, one channel\n"
            "weight  float32 [2, 2] read as [1, 1, 2, 2]: one input channel, one output channel\n"
            "convctl: parameters.stride[0]: expected at least 1, got 0\n"
            "convctl: parameters.padding[0]: expected at least 0, got -1\n");
}

TEST(ConvctlMistakes, FilesAreNamedWithWhatIsWrong) {
  const ScratchFolder folder;
  const std::string good = ReadBytes(std::string(CONVSERVE_TEST_DATA) + "/npy/little_f4.npy");
  const auto input = [](const std::string& path) {
    return Embedded({"conv", "--input", path, "--weight", "[[1]]"});
  };
  const struct {
    std::string path;
    std::string message;
  } rows[] = {
      {folder.Path("missing.npy"), " cannot be opened: No such file or directory"},
      {folder.Path("missing.npz:x"), " cannot be opened: No such file or directory"},
      {folder.Path("missing.png"), " cannot be opened: No such file or directory"},
      {folder.Write("text.npy", "1 2 3\n"), " is not a .npy file: expected it to begin with"},
      {folder.Write("cut.npy", good.substr(0, good.size() - 5)),
       " is a damaged .npy file: shape [2, 3] of float32 takes 24 bytes, got 19"},
      {folder.Write("empty.npy", ""), " is not a .npy file"},
      {folder.Write("text.png", "hello"), " is no picture"},
      {folder.Write("text.npz", "hello"), " is not a .npz file"},
      {std::string(CONVSERVE_TEST_DATA) + "/npy/int64.npy", " holds elements of type \"<i8\""},
      {std::string(CONVSERVE_TEST_DATA) + "/npy/stored.npz:third", " has no array \"third\""},
  };
  for (const auto& row : rows) {
    const Outcome outcome = input(row.path);
    EXPECT_EQ(outcome.exit_code, 1) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("convctl: --input: " + row.path + row.message));
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(ConvctlMistakes, NothingOfTheSizeThatWasAskedForIsAllocated) {
  const auto peak_kib = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  EXPECT_EQ(Embedded(Conv({"--stride", "0"})).exit_code, 3);
  const long before = peak_kib();
  EXPECT_EQ(Embedded(Transpose({"--stride", "65536"})).exit_code, 3);
  EXPECT_EQ(Embedded(Conv({"--padding", "1000000000"})).exit_code, 3);
  EXPECT_EQ(
      Embedded({"describe", "conv", "--input-shape", "1,1000000000000,8,8", "--weight", "box:3"})
          .exit_code,
      3);
  EXPECT_LT(peak_kib() - before, 64 * 1024);
}

}  // namespace
}  // namespace convserve::cli
