// The questions that people ask, put to convctl.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/convctl_harness.h"
#include "tests/client/scratch_folder.h"

namespace convserve::testing {
namespace {

using ::nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Ones(const std::string& at) {
  return {"explain",   "conv-transpose",
          "--input",   "[[1,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]",
          "--weight",  "[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]",
          "--stride",  "2",
          "--padding", "1",
          "--at",      at};
}

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ConvctlExplain, PrintsTheEquationAsPeopleWriteIt) {
  const Outcome corner = Embedded(Ones("0,0,0,0"));
  EXPECT_EQ(corner.exit_code, 0) << corner;
  EXPECT_THAT(corner.out, HasSubstr("y[0,0,0,0] = x[0,0,0,0]*w[0,0,1,1] = 1*6 = 6\n"));
  EXPECT_THAT(Embedded(Ones("0,0,0,1")).out,
              HasSubstr("y[0,0,0,1] = x[0,0,0,1]*w[0,0,1,0] + x[0,0,0,0]*w[0,0,1,2] = 1*5 + 1*7 = "
                        "12\n"));
}

TEST(ConvctlExplain, SaysWhichTapsFellOnPaddingAndBetweenStrides) {
  const Outcome corner = Embedded(Ones("0,0,0,0"));
  EXPECT_THAT(corner.out, HasSubstr("receptive field   input height 0, width 0\n"));
  EXPECT_THAT(corner.out,
              HasSubstr("1 read an input, 12 fall outside the input, 3 between strides"));
  EXPECT_THAT(corner.out,
              HasSubstr("output 0: tap 0 between strides, tap 1 reads 0, tap 2 outside"));
  const Outcome padded = Embedded({"explain", "conv", "--input", "[1,2,3]", "--weight", "[1,1,1]",
                                   "--padding", "1", "--at", "0,0,0", "--bias", "[-2]"});
  EXPECT_THAT(padded.out, HasSubstr("tap 0 on padding, tap 1 reads 0, tap 2 reads 1"));
  EXPECT_THAT(padded.out, HasSubstr("1*1 + 2*1 + (-2) = 1\n"));
}

TEST(ConvctlExplain, GivesProgramsTheListAndTheSum) {
  const json parsed = Embedded([] {
                        auto line = Ones("0,0,0,1");
                        line.push_back("--json");
                        return line;
                      }())
                          .json();
  EXPECT_EQ(parsed["value"], 12);
  EXPECT_EQ(parsed["contributions"].size(), 2u);
  EXPECT_EQ(parsed["contributions"][0]["weight_index"], json({0, 0, 1, 0}));
  EXPECT_EQ(parsed["padded_taps"], 14);
  EXPECT_EQ(parsed["receptive_field"], json({{0, 0}, {0, 1}}));
}

TEST(ConvctlExplain, GivesProgramsWhatJsonHasNoNumberForAsText) {
  const json parsed = Embedded({"explain", "conv", "--input", "[inf,nan]", "--weight", "[1,-inf]",
                                "--bias", "-inf", "--at", "0,0,0", "--json"})
                          .json();
  EXPECT_EQ(parsed["contributions"][0]["input_value"], "Infinity");
  EXPECT_EQ(parsed["contributions"][0]["weight_value"], 1);
  EXPECT_EQ(parsed["contributions"][1]["input_value"], "NaN");
  EXPECT_EQ(parsed["contributions"][1]["weight_value"], "-Infinity");
  EXPECT_EQ(parsed["bias"], "-Infinity");
  EXPECT_EQ(parsed["value"], "NaN");
}

TEST(ConvctlExplain, GivesProgramsNoValuesOfBareShapes) {
  const json parsed = Embedded({"explain", "conv", "--input", "[1,2]", "--weight-shape", "2",
                                "--bias-shape", "1", "--at", "0,0,0", "--json"})
                          .json();
  const json& first = parsed["contributions"][0];
  EXPECT_EQ(first["input_value"], 1);
  EXPECT_FALSE(first.contains("weight_value"));
  EXPECT_FALSE(parsed.contains("bias"));
  EXPECT_FALSE(parsed.contains("value"));
}

TEST(ConvctlExplain, NeedsNoValues) {
  const Outcome names = Embedded({"explain", "conv", "--input-shape", "1,3,224,224",
                                  "--weight-shape", "64,3,7,7", "--at", "0,63,217,217"});
  EXPECT_EQ(names.exit_code, 0) << names;
  EXPECT_THAT(names.out, HasSubstr("... (135 more products)"));
}

TEST(ConvctlExplain, ListsABoundedPartOf4096Channels) {
  const json parsed = Embedded({"explain", "conv", "--input-shape", "1,4096,3,3", "--weight-shape",
                                "8,4096,3,3", "--padding", "1", "--at", "0,7,0,0", "--json"})
                          .json();
  EXPECT_EQ(parsed["truncated"], true);
  EXPECT_EQ(parsed["contributions"].size(), 4096u);
  EXPECT_EQ(parsed["padded_taps"], 4096 * 5);
}

TEST(ConvctlExplain, NamesTheIndexThatIsOutside) {
  const Outcome outside = Embedded(Ones("0,0,8,0"));
  EXPECT_EQ(outside.exit_code, 3);
  EXPECT_THAT(outside.err,
              HasSubstr("output_index[2]: expected 0 to 7 (output [1, 1, 8, 8]), got 8"));
}

TEST(ConvctlDescribe, SaysWhatAStrideBeyondTheKernelSkips) {
  const Outcome conv = Embedded(
      {"describe", "conv", "--input-shape", "6,6", "--weight-shape", "2,2", "--stride", "4"});
  EXPECT_THAT(conv.out, HasSubstr("2 of 6 reach no output: 2-3"));
  const Outcome transpose = Embedded({"describe", "conv-transpose", "--input-shape", "2,2",
                                      "--weight-shape", "2,2", "--stride", "4"});
  EXPECT_THAT(transpose.out, HasSubstr("2 of 6 are reached by no input and are 0: 2-3"));
  EXPECT_THAT(transpose.out, HasSubstr("(2 - 1)*4 - 0 - 0 + 2 + 0 = 6"));
  EXPECT_THAT(transpose.out, HasSubstr("a kernel of 4 would be even"));
}

TEST(ConvctlDescribe, AnswersForAxesOfAnySize) {
  const Outcome huge = Embedded({"describe", "conv", "--input-shape", "1,1,1099511627776",
                                 "--weight-shape", "1,1,3", "--stride", "1048576"});
  EXPECT_EQ(huge.exit_code, 0) << huge;
  EXPECT_THAT(huge.out, HasSubstr("reach no output: 3-1048575, 1048579-2097151,"));
}

TEST(ConvctlDescribe, RangesInJsonAreNumbers) {
  const auto ranges = [](const std::string& size) {
    return Embedded({"--json", "describe", "conv", "--input-shape", "1,1," + size, "--weight-shape",
                     "1,1,1", "--stride", "2"})
        .json()["axes"][0];
  };
  const auto all = ranges("2001");
  EXPECT_EQ(all["unused_input_ranges"].size(), 1000u);
  EXPECT_EQ(all["unused_input_ranges"].back(), nlohmann::json({1999, 1999}));
  EXPECT_EQ(all["ranges_truncated"], false);
  const auto first = ranges("200000001");
  EXPECT_EQ(first["unused_input_ranges"], all["unused_input_ranges"]);
  EXPECT_EQ(first["ranges_truncated"], true);
}

TEST(ConvctlDescribe, SpellsTheSameCallElsewhere) {
  const json parsed =
      Embedded({"describe", "conv-transpose", "--input-shape", "1,8,14,14", "--weight-shape",
                "8,4,3,3", "--stride", "2", "--padding", "1", "--output-padding", "1", "--json"})
          .json();
  EXPECT_EQ(parsed["frameworks"]["PyTorch"],
            "torch.nn.functional.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)");
  EXPECT_EQ(parsed["frameworks"]["ONNX"],
            "ConvTranspose(kernel_shape=[3, 3], strides=[2, 2], dilations=[1, 1], pads=[1, 1, 1, "
            "1], output_padding=[1, 1], group=1)");
  EXPECT_THAT(parsed["equal_direct_convolution"], HasSubstr("pad 1 before and 2 after"));
}

TEST(ConvctlDescribe, SaysHowFarTensorFlowsSameIsAway) {
  const auto warnings = [](const std::string& input, const std::string& kernel,
                           const std::string& stride, const std::string& padding) {
    return Embedded({"describe", "conv", "--input-shape", input, "--weight-shape", kernel,
                     "--stride", stride, "--padding", padding, "--json"})
        .json()["warnings"]
        .dump();
  };
  EXPECT_THAT(warnings("6", "3", "4", "2"),
              HasSubstr("begins with 0 cells of padding, so its kernel starts 2 later"));
  EXPECT_THAT(warnings("5", "3", "4", "2"), HasSubstr("starts 1 later than with 2."));
  EXPECT_THAT(warnings("224", "3", "2", "1"), HasSubstr("starts 1 later than with 1."));
  EXPECT_THAT(warnings("5", "3", "1", "0,2"), HasSubstr("starts 1 earlier than with 0."));
  EXPECT_THAT(warnings("5", "3", "4", "1"), Not(HasSubstr("SAME")));
  EXPECT_THAT(warnings("224", "3", "2", "0,1"), Not(HasSubstr("SAME")));
  EXPECT_THAT(warnings("5", "3", "1", "0"), Not(HasSubstr("SAME")));
}

TEST(ConvctlSolve, FindsTheOutputPaddingThatGives28Back) {
  const Outcome outcome =
      Convctl({"solve", "--invert", "--input", "28", "--kernel", "5", "--stride", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("output padding 1 restores 28: (28 + 0 + 0 - 5) mod 2 = 1"));
  EXPECT_THAT(outcome.out, HasSubstr("Inputs of 27 to 28 all give 12"));
}

TEST(ConvctlSolve, ComparesSymmetricSameWithTensorFlows) {
  const Outcome odd =
      Convctl({"solve", "--same", "--input", "224", "--kernel", "3", "--stride", "2"});
  EXPECT_THAT(odd.out, HasSubstr("both ends alike 1: the same size, but not TensorFlow's values"));
  const json none = Convctl({"--json", "solve", "--same", "--input", "16", "--kernel", "4"}).json();
  EXPECT_TRUE(none["symmetric"].is_null());
}

TEST(ConvctlSolve, ListsAllParametersBetweenTwoSizes) {
  const json parsed = Convctl({"--json", "solve", "--input", "224", "--output", "112", "--kernel",
                               "2..4", "--stride", "2", "--dilation", "1"})
                          .json();
  EXPECT_EQ(parsed["conv"]["count"], 3);
  EXPECT_EQ(parsed["conv"]["solutions"][0]["kernel"], 2);
  EXPECT_EQ(parsed["conv_transpose"]["count"], 0);
}

TEST(ConvctlSolve, RefusesWhatIsNoQuestion) {
  EXPECT_EQ(Convctl({"solve", "--input", "3"}).exit_code, 2);
  EXPECT_EQ(Convctl({"solve", "--input", "3", "--same"}).exit_code, 2);
  EXPECT_EQ(Convctl({"solve", "--input", "3", "--same", "--kernel", "1..2"}).exit_code, 2);
  const Outcome nothing = Convctl({"solve", "--input", "3", "--output", "0"});
  EXPECT_EQ(nothing.exit_code, 3);
  EXPECT_EQ(nothing.out, "");
  EXPECT_EQ(Convctl({"solve", "--input", "x", "--output", "0"}).exit_code, 2);
  for (const char* most : {"0", "-1", "x"}) {
    const Outcome outcome = Convctl({"solve", "--input", "7", "--output", "7", "--most", most});
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("--most: expected a whole number from 1"));
  }
  for (const char* option : {"--output", "--output-padding", "--padding", "--most"}) {
    const Outcome outcome =
        Convctl({"solve", "--input", "7", "--kernel", "3", "--same", option, "1"});
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(std::string(option)));
  }
  EXPECT_EQ(Convctl({"solve", "--input", "7", "--kernel", "3", "--invert", "--uneven"}).exit_code,
            2);
}

TEST(ConvctlDraw, WritesPicturesAndPagesAndCharacters) {
  const ScratchFolder folder;
  auto line = Ones("0,0,0,1");
  line.insert(line.end(), {"--draw", folder.Path("y.svg")});
  const Outcome svg = Embedded(line);
  EXPECT_EQ(svg.exit_code, 0) << svg;
  EXPECT_THAT(Read(folder.Path("y.svg")), StartsWith("<svg"));
  line.back() = folder.Path("y.html");
  EXPECT_EQ(Embedded(line).exit_code, 0);
  EXPECT_THAT(Read(folder.Path("y.html")), StartsWith("<!DOCTYPE html>"));
  line.back() = "-";
  EXPECT_THAT(Embedded(line).out, HasSubstr("\u2588\u2588  input that a tap reads"));
  for (std::vector<std::string> refused :
       {line,
        {"describe", "conv", "--input-shape", "3", "--weight-shape", "1", "--draw", "-"},
        {"solve", "--same", "--input", "3", "--kernel", "1", "--draw", "-"}}) {
    refused.push_back("--json");
    const Outcome outcome = Embedded(refused);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(ConvctlDraw, RefusesOtherEndingsAndPagesThatAreTooLarge) {
  auto line = Ones("0,0,0,1");
  line.insert(line.end(), {"--draw", "y.gif"});
  EXPECT_EQ(Embedded(line).exit_code, 2);
  const Outcome large = Embedded({"describe", "conv", "--input-shape", "1,1,5000", "--weight-shape",
                                  "1,1,3", "--draw", "never-written.html"});
  EXPECT_EQ(large.exit_code, 3);
  EXPECT_THAT(large.err, HasSubstr("expected an input size of at most 1024 for an HTML page"));
}

}  // namespace
}  // namespace convserve::testing
