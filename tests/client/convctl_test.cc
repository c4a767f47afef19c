#include "client/cli/convctl.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/cli/command.h"
#include "core/convolve.h"
#include "core/planner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/server.h"
#include "tests/client/convctl_harness.h"
#include "tests/client/fake_server.h"
#include "tests/client/scratch_folder.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::Convctl;
using ::convserve::testing::Embedded;
using ::convserve::testing::Environment;
using ::convserve::testing::FakeServer;
using ::convserve::testing::Outcome;
using ::convserve::testing::ScratchFolder;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::vector<std::string> kSmall = {"conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1]]"};

std::vector<std::string> With(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The words of a shell line that uses single quotes alone.
std::vector<std::string> ShellWords(const std::string& line) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

TEST(Convctl, PrintsShapeTypeAndValuesAndHowTheInputWasRead) {
  const Outcome outcome = Embedded({"conv", "--input", "[[1,2,3],[4,5,6],[7,8,9]]", "--weight",
                                    "[[1,0],[0,-1]]", "--bias", "5"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out,
              StartsWith("input   float32 [3, 3] read as [1, 1, 3, 3]: one image, one channel\n"
                         "weight  float32 [2, 2] read as [1, 1, 2, 2]: one input channel, one "
                         "output channel\n"
                         "bias    float32 [] read as [1]: one output channel\n"
                         "output  float32 [1, 1, 2, 2]\n"
                         "[[[[1, 1],\n"
                         "   [1, 1]]]]\n"
                         "computed in "));
  EXPECT_EQ(outcome.err, "");
}

TEST(Convctl, JsonHoldsShapeTypeValuesAndExecution) {
  const json result = Embedded(With(kSmall, {"--json", "--output-type", "float64"})).json();
  EXPECT_EQ(result["shape"], json({1, 1, 2, 2}));
  EXPECT_EQ(result["type"], "float64");
  EXPECT_EQ(result["values"], json::parse("[[[[1, 2], [3, 4]]]]"));
  EXPECT_EQ(result["execution"]["instruction_set"], InstructionSet());
  EXPECT_GT(result["execution"]["compute_nanoseconds"], 0);
  EXPECT_GE(result["execution"]["queue_nanoseconds"], 0);
}

TEST(Convctl, EveryParameterReachesTheServer) {
  const json circular = Embedded({"--json", "conv", "--input", "[1,2,3,4]", "--weight", "[1,10]",
                                  "--stride", "2", "--dilation", "2", "--padding", "1,2",
                                  "--padding-mode", "circular", "--flip-kernel"})
                            .json();
  // Padded: 4 1 2 3 4 1 2; taps 0 and 2 from 0, 2, 4 with the kernel reversed.
  EXPECT_EQ(circular["values"], json::parse("[[[42, 24, 42]]]"));

  const json transpose =
      Embedded({"--json", "conv-transpose", "--input", "[1,2]", "--weight", "[1,1,1]", "--stride",
                "3", "--padding", "1", "--output-padding", "2"})
          .json();
  EXPECT_EQ(transpose["values"], json::parse("[[[1, 1, 2, 2, 2, 0]]]"));

  const json sized = Embedded({"--json", "conv-transpose", "--input", "[[1,2],[3,4]]", "--weight",
                               "[[1,1],[1,1]]", "--stride", "2", "--output-size", "5,4"})
                         .json();
  EXPECT_EQ(sized["shape"], json({1, 1, 5, 4}));

  const json grouped = Embedded({"--json", "conv", "--input", "[[[1]],[[2]]]", "--weight",
                                 "[[[[3]]],[[[5]]]]", "--groups", "2"})
                           .json();
  EXPECT_EQ(grouped["values"], json::parse("[[[3]], [[10]]]"));
}

TEST(Convctl, PaddingHasAllItsForms) {
  const auto shape = [](const std::string& padding) {
    return Embedded({"--json", "conv", "--input", "[[1,2,3],[4,5,6],[7,8,9]]", "--weight",
                     "[[1,1],[1,1]]", "--padding", padding})
        .json()["shape"];
  };
  EXPECT_EQ(shape("0"), json({1, 1, 2, 2}));
  EXPECT_EQ(shape("1"), json({1, 1, 4, 4}));
  EXPECT_EQ(shape("1,2"), json({1, 1, 4, 6}));
  EXPECT_EQ(shape("0,1,2,3"), json({1, 1, 4, 6}));
  EXPECT_EQ(shape("valid"), json({1, 1, 2, 2}));
  EXPECT_EQ(shape("same"), json({1, 1, 3, 3}));
  EXPECT_EQ(shape("same-upper"), json({1, 1, 3, 3}));
  EXPECT_EQ(shape("same-lower"), json({1, 1, 3, 3}));
}

TEST(Convctl, ShorthandRanksAreReadByTheWeight) {
  const auto shape = [](const std::string& input, const std::string& weight) {
    return Embedded({"--json", "conv", "--input", input, "--weight", weight}).json()["shape"];
  };
  EXPECT_EQ(shape("[1,2,3]", "[1,1]"), json({1, 1, 2}));
  EXPECT_EQ(shape("[[1,2,3]]", "[1,1]"), json({1, 2})) << "unbatched: one channel";
  EXPECT_EQ(shape("[[1,2,3]]", "[[1,1]]"), json({1, 1, 1, 2}));
  EXPECT_EQ(shape("[[[1,2,3]]]", "[[1,1]]"), json({1, 1, 2})) << "unbatched: one channel";
  EXPECT_EQ(shape("[[[1,2,3]]]", "[[[[[1,1]]]]]"), json({1, 1, 1, 1, 2})) << "one volume";
}

TEST(Convctl, ChannelsLastShorthandPutsTheChannelLast) {
  const Outcome outcome =
      Embedded({"conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1,1]]", "--layout",
                "channels-last", "--weight-layout", "channels-last"});
  EXPECT_THAT(outcome.out, HasSubstr("read as [1, 2, 2, 1]"));
  EXPECT_THAT(outcome.out, HasSubstr("read as [1, 2, 1, 1]"));
  EXPECT_THAT(outcome.out, HasSubstr("output  float32 [1, 2, 1, 1]"));
}

TEST(Convctl, TypesFollowTheOptionOrTheOtherOperand) {
  const auto type = [](const std::vector<std::string>& more) {
    return Embedded(With({"--json", "conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1]]"}, more))
        .json()["type"];
  };
  EXPECT_EQ(type({}), "float32");
  EXPECT_EQ(type({"--type", "bfloat16"}), "bfloat16");
  EXPECT_EQ(type({"--type", "int8", "--bias", "70000"}), "int32");
  EXPECT_EQ(type({"--output-type", "float16"}), "float16");
}

TEST(Convctl, StandardInputIsATensorToo) {
  const json literal =
      Convctl({"--embedded", "--json", "conv", "--input", "-", "--weight", "[[2]]"}, "[[1,2]]\n")
          .json();
  EXPECT_EQ(literal["values"], json::parse("[[[[2, 4]]]]"));
  for (const char* text : {"[[1,2]]", "", "no tensor"}) {
    const Outcome twice = Convctl({"--embedded", "conv", "--input", "-", "--weight", "-"}, text);
    EXPECT_EQ(twice.exit_code, 2);
    EXPECT_THAT(twice.err, HasSubstr("only one tensor can come from standard input"));
  }
}

TEST(Convctl, DescribeTellsAxesBytesAndWork) {
  const std::vector<std::string> line = {"describe",  "conv", "--input-shape",  "1,3,224,224",
                                         "--stride",  "2",    "--weight-shape", "64,3,7,7",
                                         "--padding", "3",    "--bias-shape",   "64"};
  const Outcome text = Embedded(line);
  EXPECT_EQ(text.exit_code, 0) << text;
  EXPECT_THAT(text.out, HasSubstr("output  float32 [1, 64, 112, 112]"));
  EXPECT_THAT(text.out, HasSubstr("118,013,952 multiply-adds"));
  const json parsed = Embedded(With(line, {"--json"})).json();
  EXPECT_EQ(parsed["output_shape"], json({1, 64, 112, 112}));
  EXPECT_EQ(parsed["axes"].size(), 2u);
  EXPECT_EQ(parsed["axes"][0]["restoring_output_padding"], 1);
  EXPECT_EQ(parsed["input_bytes"], 602112);
}

TEST(Convctl, DescribeTakesTensorsAndFiltersToo) {
  const json parsed = Embedded({"describe", "conv-transpose", "--input-shape", "1,3,10,20",
                                "--weight", "bilinear:2", "--json"})
                          .json();
  EXPECT_EQ(parsed["output_shape"], json({1, 3, 20, 40}));
  const Outcome both = Embedded(
      {"describe", "conv", "--input-shape", "3,3", "--input", "[[1]]", "--weight", "[[1]]"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--input excludes --input-shape"));
}

TEST(Convctl, HealthIsTheExitCode) {
  EXPECT_EQ(Embedded({"health"}).out, "SERVING\n");
  EXPECT_EQ(Embedded({"health", "--json"}).json()["status"], "SERVING");
  const Outcome unknown = Embedded({"health", "--service", "no.such.Service"});
  EXPECT_EQ(unknown.exit_code, 1);
}

TEST(Convctl, HealthWaitsForAServerThatComesUpLate) {
  const ScratchFolder folder;
  const std::string address = "unix:" + folder.Path("socket");
  const auto health = [&](const std::string& timeout) {
    return Convctl({"--server", address, "--timeout", timeout, "health", "--wait"});
  };
  // By then a call without --wait has given up.
  const Outcome nobody = health("2500ms");
  EXPECT_EQ(nobody.exit_code, 4) << nobody;
  EXPECT_THAT(nobody.err, HasSubstr("no answer within 2.5 s; see --timeout"));
  auto late = std::async(std::launch::async, health, "60");
  auto server = Server::Start({.listen = {address}});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(late.get().out, "SERVING\n");
}

TEST(Convctl, ExamplesOfEveryCommandWorkAndStandInItsHelp) {
  for (const Command& command : Commands()) {
    ASSERT_THAT(command.examples, Not(IsEmpty())) << command.name;
    const Outcome help = Convctl({command.name, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    for (const std::string& example : command.examples) {
      EXPECT_THAT(help.out, HasSubstr(example));
      std::vector<std::string> words = ShellWords(example);
      ASSERT_EQ(words.front(), "convctl");
      words.erase(words.begin());
      const Outcome outcome = Convctl(words);
      EXPECT_EQ(outcome.exit_code, 0) << example << "\n" << outcome;
      EXPECT_EQ(outcome.err, "");
    }
  }
}

TEST(Convctl, HelpNamesEveryCommandAndVersionTheProgram) {
  const Outcome help = Convctl({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const Command& command : Commands()) EXPECT_THAT(help.out, HasSubstr(command.summary));
  EXPECT_THAT(Convctl({"--version"}).out, StartsWith("convctl "));
}

TEST(Convctl, ServerMayBeNamedByOptionOrEnvironment) {
  const ScratchFolder folder;
  const std::string socket = "unix:" + folder.Path("socket");
  auto server = Server::Start({.listen = {socket, "127.0.0.1:0"}});
  ASSERT_TRUE(server.ok()) << server.status();
  for (const std::string& address : (*server)->addresses()) {
    EXPECT_EQ(Convctl(With({"--server", address}, kSmall)).exit_code, 0);
    EXPECT_EQ(Convctl(With(kSmall, {"--server=" + address})).exit_code, 0);
    const Environment environment("CONVSERVE_SERVER", address);
    EXPECT_EQ(Convctl(kSmall).exit_code, 0);
  }
}

TEST(Convctl, EmbeddedOverridesTheEnvironmentButNotTheCommandLine) {
  const Environment environment("CONVSERVE_SERVER", "127.0.0.1:1");
  EXPECT_EQ(Embedded(kSmall).exit_code, 0);
  const Outcome both = Embedded(With(kSmall, {"--server", "127.0.0.1:1"}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_EQ(both.err, "convctl: --server and --embedded exclude each other\n");
}

TEST(Convctl, EmbeddedHonoursTheForcedAlgorithmAndInstructionSet) {
  for (const std::string_view name : AlgorithmNames()) {
    const Environment environment("CONVSERVE_ALGORITHM", std::string(name));
    const Outcome outcome = Embedded(With(kSmall, {"--json"}));
    if (outcome.exit_code == 0) {
      EXPECT_EQ(outcome.json()["execution"]["algorithm"], name);
    }
  }
  {
    const Environment environment("CONVSERVE_ALGORITHM", "magic");
    const Outcome outcome = Embedded(kSmall);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("magic"));
  }
  for (const std::string_view name : InstructionSets()) {
    const Environment environment("CONVSERVE_ISA", std::string(name));
    EXPECT_EQ(Embedded(With(kSmall, {"--json"})).json()["execution"]["instruction_set"], name);
  }
  ASSERT_TRUE(ForceInstructionSet("").ok());
}

TEST(Convctl, AServerNeedsAPort) {
  for (const std::string address :
       {"", "localhost", "127.0.0.1", "localhost:", "[::1]", "http://localhost:1", "::1:1", ":1"}) {
    const Outcome outcome = Convctl({"--server", address, "health"});
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_THAT(outcome.err,
                HasSubstr("--server: expected host:port or unix:/path, got \"" + address + "\""));
  }
}

TEST(Convctl, APortIsANumberFrom1To65535) {
  for (const std::string port : {"0", "65536", "106770", "41234x", "-24302", "+80", " 80", "abc"}) {
    for (const std::string host : {"localhost:", "dns:localhost:", "dns:///[::1]:"}) {
      const Outcome outcome = Convctl({"--server", host + port, "health"});
      EXPECT_EQ(outcome.exit_code, 2) << outcome;
      EXPECT_THAT(outcome.err,
                  HasSubstr("--server: expected a port from 1 to 65535, got \"" + port));
    }
  }
  for (const std::string address : {"localhost:1", "[::1]:1", "ipv4:127.0.0.1:1", "unix:/a:b",
                                    "dns:127.0.0.1:1", "dns:///[::1]:1", "dns:127.0.0.1"}) {
    EXPECT_EQ(Convctl({"--server", address, "--timeout", "100ms", "health"}).exit_code, 4);
  }
}

TEST(Convctl, NobodyThereIsExitCode4WithAHint) {
  const Outcome outcome = Convctl(With(kSmall, {"--server", "127.0.0.1:1"}));
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_THAT(outcome.err, StartsWith("convctl: cannot reach a server at 127.0.0.1:1"));
  EXPECT_THAT(outcome.err, HasSubstr("--embedded"));
  EXPECT_EQ(outcome.out, "");
}

TEST(Convctl, OutOfTimeIsExitCode4) {
  FakeServer server;
  const Outcome outcome =
      Convctl(With(kSmall, {"--server", server.address(), "--timeout", "50ms"}));
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(outcome.err, "convctl: no answer within 0.05 s; see --timeout\n");
}

TEST(Convctl, BusyIsExitCode4AndTooLargeIsExitCode3) {
  for (const bool busy : {true, false}) {
    FakeServer server([busy](int, const v1::ConvRequest&, v1::ConvResponse*) {
      absl::Status status = absl::ResourceExhaustedError("too much");
      if (busy) SetRetryDelay(status, std::chrono::milliseconds(1));
      return ToGrpc(status);
    });
    const Outcome outcome = Convctl(With(kSmall, {"--server", server.address()}));
    EXPECT_EQ(outcome.exit_code, busy ? 4 : 3);
    EXPECT_THAT(outcome.err, HasSubstr("convctl: too much\n"));
  }
}

TEST(Convctl, TextOfAServerCannotDriveTheTerminal) {
  FakeServer server([](int, const v1::ConvRequest&, v1::ConvResponse*) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "\x1b[2Jboo\n");
  });
  const Outcome outcome = Convctl(With(kSmall, {"--server", server.address()}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "convctl: \\x1b[2Jboo\\x0a\n");
}

TEST(Convctl, StopCancelsTheCall) {
  FakeServer server;
  std::stop_source stop;
  std::jthread stopper([&] {
    server.WaitForCall();
    stop.request_stop();
  });
  const Outcome outcome = Convctl(With(kSmall, {"--server", server.address()}), "",
                                  {.show_progress = false, .stop = stop.get_token()});
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_EQ(outcome.err, "convctl: interrupted\n");
  server.WaitForCancel();
}

TEST(Convctl, SignalsEndTheProgramPromptly) {
  for (const int signal : {SIGINT, SIGTERM}) {
    FakeServer server;
    std::vector<std::string> words = With(kSmall, {"--server", server.address()});
    words.insert(words.begin(), std::string(CONVSERVE_BINARY_DIR) + "/bin/convctl");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environ), 0);
    server.WaitForCall();
    ASSERT_EQ(kill(child, signal), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    server.WaitForCancel();
  }
}

TEST(Convctl, OutputThatCannotBeWrittenIsAnError) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(RunConvctl(With({"--embedded"}, kSmall), {in, out, err}), 1);
  EXPECT_EQ(err.str(), "convctl: the output cannot be written\n");
}

}  // namespace
}  // namespace convserve::cli
