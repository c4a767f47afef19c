#include "server/options.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <istream>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr int kUsage = 2;

constexpr char kFooter[] = R"(
Sizes take a unit: 65536, 64KiB, 256MiB, 1GiB (powers of 1024).

Each option is also read from the environment (--max-requests as CONVSERVE_MAX_REQUESTS; several
addresses separated by commas) and from the --config file, one `name = value` a line:

  listen = ["127.0.0.1:50051", "unix:/run/convserve.sock"]
  threads = 8

The command line is the strongest, then the environment, then the file.

CONVSERVE_ALGORITHM=NAME and CONVSERVE_ISA=NAME force how requests are computed; a name that does not
exist is refused at start.

SIGTERM and SIGINT stop the server once accepted requests are done; a second signal ends it at once.
Exit codes: 0 stopped, 1 could not start, 2 wrong usage.)";

std::string EnvironmentName(std::string option) {
  for (char& c : option) {
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return "CONVSERVE_" + option;
}

bool InEnvironment(const std::string& option) {
  const char* value = std::getenv(EnvironmentName(option).c_str());
  return value != nullptr && *value != '\0';
}

// CLI11 asks the environment last. Here it is stronger than the file: what it sets is passed over.
class WeakFile final : public CLI::ConfigTOML {
 public:
  explicit WeakFile(std::set<std::string> known) : known_(std::move(known)) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
    for (const CLI::ConfigItem& item : items) {
      if (!known_.contains(item.fullname())) {
        throw CLI::ConfigError(
            fmt::format("--config: the file sets {}, which is no option", item.fullname()),
            CLI::ExitCodes::ConfigError);
      }
    }
    std::erase_if(items, [](const CLI::ConfigItem& item) { return InEnvironment(item.name); });
    return items;
  }

 private:
  const std::set<std::string> known_;
};

}  // namespace

std::variant<CommandLine, ExitCode> ParseCommandLine(int argc, const char* const* argv,
                                                     std::ostream& out, std::ostream& err) {
  CommandLine line;
  ServerOptions& server = line.server;
  server.listen = {"127.0.0.1:50051"};
  server.log_level = "info";
  std::int64_t drain_seconds = line.drain.count();

  CLI::App app("convserve: convolution and transposed convolution as a gRPC service", "convserve");
  app.footer(kFooter);
  app.set_version_flag("--version", "convserve " CONVSERVE_VERSION);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "File to read options from")->type_name("FILE");

  std::set<std::string> known;
  const auto add = [&](const char* name, auto& value, std::string help) {
    known.insert(name);
    return app.add_option(fmt::format("--{}", name), value, std::move(help))
        ->envname(EnvironmentName(name))
        ->capture_default_str();
  };
  const CLI::AsSizeValue size(/*kb_is_1000=*/false);
  add("listen", server.listen,
      "Where to answer: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 lets the system choose. "
      "Repeatable")
      ->type_name("ADDRESS")
      ->delimiter(',')
      ->allow_extra_args(false);
  add("threads", server.threads, "Threads that compute; 0: one for each processor")
      ->type_name("COUNT");
  add("max-message-bytes", server.max_message_bytes,
      "Longest message received or sent; 64KiB to just under 2GiB")
      ->type_name("SIZE")
      ->transform(size);
  add("max-multiply-adds", server.max_multiply_adds,
      "Most multiply-adds that one request may ask for")
      ->type_name("COUNT");
  add("memory-limit", server.memory_limit,
      "Memory for the tensors of all requests in progress; 0: half of the machine's or container's")
      ->type_name("SIZE")
      ->transform(size);
  add("max-requests", server.max_requests,
      "Requests accepted at a time, computing or waiting; further ones are refused")
      ->type_name("COUNT");
  add("drain-seconds", drain_seconds, "Seconds that accepted requests get to finish when stopping")
      ->type_name("SECONDS")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{86400}));
  add("metrics-listen", server.metrics_listen,
      "Where operators find /metrics, /livez and /readyz over HTTP: PORT (on 127.0.0.1), HOST:PORT "
      "or [IPV6]:PORT; nowhere without it")
      ->type_name("ADDRESS");
  add("log-level", server.log_level,
      "Least severity that is logged (to standard error): trace, debug, info, warning, error, "
      "critical, off")
      ->type_name("LEVEL");
  add("log-format", server.log_format, "Form of log lines: text or json")->type_name("FORMAT");
  add("log-sample", server.log_sample,
      "Share of the successful calls that is logged, 0 to 1; failed ones all are")
      ->type_name("SHARE");
  app.config_formatter(std::make_shared<WeakFile>(std::move(known)));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    err << fmt::format("convserve: unknown: {}\nTry convserve --help.\n",
                       fmt::join(app.remaining(), " "));
    return ExitCode{kUsage};
  } catch (const CLI::ParseError& error) {
    const bool asked_for = error.get_exit_code() == 0;
    if (asked_for) {
      app.exit(error, out, err);
      return ExitCode{0};
    }
    err << "convserve: " << error.what() << "\nTry convserve --help.\n";
    return ExitCode{kUsage};
  }
  line.drain = std::chrono::seconds(drain_seconds);
  return line;
}

}  // namespace convserve
