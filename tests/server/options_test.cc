#include "server/options.h"

#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fixture.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Parsed {
  std::variant<CommandLine, ExitCode> result;
  std::string out;
  std::string err;

  const CommandLine& line() const { return std::get<CommandLine>(result); }
  int exit_code() const { return std::get<ExitCode>(result).value; }
};

Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "convserve");
  std::ostringstream out;
  std::ostringstream err;
  auto result = ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(), out, err);
  return {std::move(result), out.str(), err.str()};
}

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("convserve-options-" + std::to_string(getpid()) + ".toml")) {
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  const char* path() const { return path_.c_str(); }

 private:
  std::filesystem::path path_;
};

TEST(Options, WithoutAnyTheServerIsOnLoopback) {
  const Parsed parsed = Parse({});
  EXPECT_THAT(parsed.line().server.listen, ElementsAre("127.0.0.1:50051"));
  EXPECT_EQ(parsed.line().server.threads, 0);
  EXPECT_EQ(parsed.line().server.max_message_bytes, 0);
  EXPECT_EQ(parsed.line().drain, std::chrono::seconds(30));
  EXPECT_EQ(parsed.line().drain_wait, std::chrono::milliseconds(2500));
  EXPECT_EQ(parsed.line().server.log_level, "info");
  EXPECT_EQ(parsed.line().server.metrics_listen, "");
  EXPECT_EQ(parsed.line().server.security.tls_cert, "");
  EXPECT_FALSE(parsed.line().check);
}

TEST(Options, TheCommandLineSetsEachOfThem) {
  const Parsed parsed =
      Parse({"--listen", "0.0.0.0:1", "--listen=unix:/s", "--threads", "3", "--max-message-bytes",
             "1MiB", "--max-multiply-adds", "1000", "--memory-limit", "2gb", "--max-requests", "5",
             "--drain-seconds", "0", "--log-level", "debug"});
  const ServerOptions& server = parsed.line().server;
  EXPECT_THAT(server.listen, ElementsAre("0.0.0.0:1", "unix:/s"));
  EXPECT_EQ(server.threads, 3);
  EXPECT_EQ(server.max_message_bytes, 1 << 20);
  EXPECT_EQ(server.max_multiply_adds, 1000);
  EXPECT_EQ(server.memory_limit, std::int64_t{2} << 30);
  EXPECT_EQ(server.max_requests, 5);
  EXPECT_EQ(server.log_level, "debug");
  EXPECT_EQ(parsed.line().drain, std::chrono::seconds(0));
}

TEST(Options, TheCommandLineSetsWhatOperatorsNeed) {
  const Parsed parsed = Parse({"--metrics-listen",
                               "9464",
                               "--log-format",
                               "json",
                               "--log-sample",
                               "0.25",
                               "--tls-cert",
                               "c",
                               "--tls-key",
                               "k",
                               "--tls-client-ca",
                               "a",
                               "--token-file",
                               "t",
                               "--plaintext-tokens",
                               "--reload-interval",
                               "5s",
                               "--channelz",
                               "--check",
                               "--max-connections",
                               "9",
                               "--max-streams",
                               "8",
                               "--max-metadata-bytes",
                               "2KiB"});
  const ServerOptions& server = parsed.line().server;
  EXPECT_EQ(server.metrics_listen, "9464");
  EXPECT_EQ(server.log_format, "json");
  EXPECT_EQ(server.log_sample, 0.25);
  EXPECT_EQ(server.security.tls_cert, "c");
  EXPECT_EQ(server.security.tls_key, "k");
  EXPECT_EQ(server.security.tls_client_ca, "a");
  EXPECT_EQ(server.security.token_file, "t");
  EXPECT_TRUE(server.security.plaintext_tokens);
  EXPECT_EQ(server.security.reload_interval, std::chrono::seconds(5));
  EXPECT_TRUE(server.channelz);
  EXPECT_TRUE(parsed.line().check);
  EXPECT_EQ(server.connections.max_connections, 9);
  EXPECT_EQ(server.connections.max_streams, 8);
  EXPECT_EQ(server.connections.max_metadata_bytes, 2048);
}

TEST(Options, TimesHaveUnits) {
  using std::chrono::milliseconds;
  const struct {
    const char* text;
    milliseconds time;
  } rows[] = {{"0", milliseconds(0)},           {"2.5", milliseconds(2500)},
              {"2.5s", milliseconds(2500)},     {"750ms", milliseconds(750)},
              {"30m", milliseconds(1'800'000)}, {"1h", milliseconds(3'600'000)}};
  for (const auto& row : rows) {
    EXPECT_EQ(Parse({"--drain-wait", row.text}).line().drain_wait, row.time) << row.text;
  }
  for (const char* text : {"", "s", "-1s", "1 day", "5d", "nan", "inf", "1e300h"}) {
    const Parsed parsed = Parse({"--drain-wait", text});
    ASSERT_TRUE(std::holds_alternative<ExitCode>(parsed.result)) << text;
    EXPECT_THAT(parsed.err, HasSubstr("--drain-wait")) << text;
  }
  EXPECT_EQ(Parse({"--keepalive-time", "0"}).exit_code(), 2);
}

TEST(Options, NumbersAreDecimalAndSizesHaveUnits) {
  EXPECT_EQ(Parse({"--max-requests", "010"}).line().server.max_requests, 10);
  const struct {
    const char* text;
    std::int64_t bytes;
  } rows[] = {{"65536", 65536},
              {"064", 64},
              {"64KiB", 65536},
              {"64 kb", 65536},
              {"1g", 1 << 30},
              {"3B", 3},
              {"9223372036854775807", std::numeric_limits<std::int64_t>::max()}};
  for (const auto& row : rows) {
    EXPECT_EQ(Parse({"--memory-limit", row.text}).line().server.memory_limit, row.bytes)
        << row.text;
  }
}

TEST(Options, OtherNumbersAreRefusedWithTheRangeWhereverTheyStand) {
  const struct {
    const char* option;
    const char* text;
    const char* range;
  } rows[] = {{"max-requests", "0x10", "from 1 to 2147483647"},
              {"max-requests", "2147483648", "from 1 to 2147483647"},
              {"max-requests", "1e3", "a whole number from"},
              {"max-requests", "1.0", "a whole number from"},
              {"threads", "-1", "from 0 to"},
              {"max-multiply-adds", "99999999999999999999", "from 1 to 9223372036854775807"},
              {"drain-seconds", "86401", "from 0 to 86400"},
              {"memory-limit", "0x10KiB", "a size"},
              {"memory-limit", "8EiB", "from 0 to 9223372036854775807"},
              {"max-message-bytes", "1KiBs", "a size"},
              {"max-metadata-bytes", "4GiB", "from 0 to 2147483647"}};
  for (const auto& row : rows) {
    const std::string option = std::string("--") + row.option;
    std::string variable = std::string("CONVSERVE_") + row.option;
    for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    const ConfigFile file(std::string(row.option) + " = " + row.text + "\n");
    const auto refused = [&](const Parsed& parsed) {
      ASSERT_TRUE(std::holds_alternative<ExitCode>(parsed.result)) << option << row.text;
      EXPECT_EQ(parsed.exit_code(), 2);
      EXPECT_THAT(parsed.err, AllOf(HasSubstr(option + ": expected a "), HasSubstr(row.range),
                                    HasSubstr(std::string(", got ") + row.text)));
    };
    refused(Parse({option.c_str(), row.text}));
    refused(Parse({"--config", file.path()}));
    const ScopedEnvironment environment(variable.c_str(), row.text);
    refused(Parse({}));
  }
}

TEST(Options, TheFileMayBeginWithAByteOrderMark) {
  const ConfigFile file("\xEF\xBB\xBFthreads = 3\n");
  EXPECT_EQ(Parse({"--config", file.path()}).line().server.threads, 3);
  const ConfigFile empty("");
  EXPECT_EQ(Parse({"--config", empty.path()}).line().server.threads, 0);
}

TEST(Options, TheCommandLineIsStrongerThanTheEnvironmentAndThatThanTheFile) {
  const ConfigFile file("threads = 1\nmax-requests = 1\nmax-multiply-adds = 1\n");
  const ScopedEnvironment threads("CONVSERVE_THREADS", "2");
  const ScopedEnvironment requests("CONVSERVE_MAX_REQUESTS", "2");
  const Parsed parsed = Parse({"--config", file.path(), "--threads", "3"});
  EXPECT_EQ(parsed.line().server.threads, 3);
  EXPECT_EQ(parsed.line().server.max_requests, 2);
  EXPECT_EQ(parsed.line().server.max_multiply_adds, 1);
}

TEST(Options, TheEnvironmentMayNameTheFile) {
  const ConfigFile file("threads = 3\n");
  {
    const ScopedEnvironment config("CONVSERVE_CONFIG", file.path());
    EXPECT_EQ(Parse({}).line().server.threads, 3);
  }
  const ScopedEnvironment config("CONVSERVE_CONFIG", "/no/such/file");
  EXPECT_EQ(Parse({"--config", file.path()}).line().server.threads, 3);
  const Parsed missing = Parse({});
  ASSERT_TRUE(std::holds_alternative<ExitCode>(missing.result));
  EXPECT_EQ(missing.exit_code(), 2);
  EXPECT_THAT(missing.err, HasSubstr("/no/such/file"));
}

TEST(Options, TheEnvironmentAndTheFileTakeSeveralAddresses) {
  const ConfigFile file(
      "listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nmax-message-bytes = \"2MiB\"\n");
  EXPECT_THAT(Parse({"--config", file.path()}).line().server.listen,
              ElementsAre("127.0.0.1:1", "127.0.0.1:2"));
  EXPECT_EQ(Parse({"--config", file.path()}).line().server.max_message_bytes, 2 << 20);
  const ScopedEnvironment listen("CONVSERVE_LISTEN", "127.0.0.1:3,unix:/s");
  EXPECT_THAT(Parse({"--config", file.path()}).line().server.listen,
              ElementsAre("127.0.0.1:3", "unix:/s"));
}

TEST(Options, MistakesAreExplainedAndEndWithTwo) {
  const ConfigFile file("threds = 4\n");
  const struct {
    std::vector<const char*> arguments;
    const char* explanation;
  } rows[] = {
      {{"--threds", "4"}, "--threds"},
      {{"50051"}, "50051"},
      {{"--threads", "many"}, "--threads"},
      {{"--threads"}, "--threads"},
      {{"--threads", ""}, "got an empty text"},
      {{"--max-message-bytes", "1parsec"}, "--max-message-bytes"},
      {{"--drain-seconds", "-1"}, "--drain-seconds"},
      {{"--token-file", ""}, "--token-file: expected a value"},
      {{"--config", "/no/such/file"}, "/no/such/file"},
      {{"--config", file.path()}, "threds"},
  };
  for (const auto& row : rows) {
    const Parsed parsed = Parse(row.arguments);
    ASSERT_TRUE(std::holds_alternative<ExitCode>(parsed.result)) << row.explanation;
    EXPECT_EQ(parsed.exit_code(), 2);
    EXPECT_THAT(parsed.err, AllOf(HasSubstr(row.explanation), HasSubstr("convserve --help")));
    EXPECT_THAT(parsed.out, IsEmpty());
  }
}

TEST(Options, AMistakeInTheEnvironmentIsExplained) {
  const ScopedEnvironment threads("CONVSERVE_THREADS", "many");
  const Parsed parsed = Parse({});
  EXPECT_EQ(parsed.exit_code(), 2);
  EXPECT_THAT(parsed.err, HasSubstr("many"));
}

TEST(Options, HelpNamesEveryOptionItsEnvironmentAndItsDefault) {
  const Parsed parsed = Parse({"--help"});
  EXPECT_EQ(parsed.exit_code(), 0);
  EXPECT_THAT(parsed.err, IsEmpty());
  for (const char* text : {"--listen",
                           "CONVSERVE_LISTEN",
                           "127.0.0.1:50051",
                           "--threads",
                           "--max-message-bytes",
                           "--max-multiply-adds",
                           "--memory-limit",
                           "--max-requests",
                           "--drain-seconds",
                           "30",
                           "CONVSERVE_DRAIN_SECONDS",
                           "--log-level",
                           "--config",
                           "CONVSERVE_CONFIG",
                           "--drain-wait",
                           "2500ms",
                           "--max-connection-idle",
                           "30m",
                           "--tls-cert",
                           "--token-file",
                           "--metrics-listen",
                           "CONVSERVE_ALGORITHM",
                           "CONVSERVE_ISA"}) {
    EXPECT_THAT(parsed.out, HasSubstr(text));
  }
}

TEST(Options, TheReadmeSpeaksOfEveryOption) {
  std::ifstream file(CONVSERVE_SOURCE_DIR "/README.md");
  const std::string readme(std::istreambuf_iterator<char>(file), {});
  std::istringstream help(Parse({"--help"}).out);
  int options = 0;
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with("  --")) continue;
    const std::string option = line.substr(2, line.find(' ', 2) - 2);
    if (option == "--version") continue;
    EXPECT_THAT(readme, testing::ContainsRegex("`" + option + "[` ]"));
    ++options;
  }
  EXPECT_GT(options, 20);
}

TEST(Options, VersionIsPrinted) {
  const Parsed parsed = Parse({"--version"});
  EXPECT_EQ(parsed.exit_code(), 0);
  EXPECT_THAT(parsed.out, testing::MatchesRegex("convserve [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

}  // namespace
}  // namespace convserve
