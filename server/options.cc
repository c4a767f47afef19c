#include "server/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <istream>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr int kUsage = 2;

constexpr char kFooter[] = R"(
Sizes take a unit: 65536, 64KiB, 256MiB, 1GiB (powers of 1024). So do times: 500ms, 2.5s, 30m, 1h.

Each option is also read from the environment (--max-requests as CONVSERVE_MAX_REQUESTS; several
addresses separated by commas) and from the --config file, one `name = value` a line:

  listen = ["127.0.0.1:50051", "unix:/run/convserve.sock"]
  threads = 8

The command line is the strongest, then the environment, then the file.

CONVSERVE_ALGORITHM=NAME and CONVSERVE_ISA=NAME force how requests are computed; a name that does not
exist is refused at start.

SIGTERM and SIGINT stop the server: health says NOT_SERVING, calls are served on for --drain-wait,
then accepted requests have --drain-seconds to finish. A second signal ends it at once.
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

constexpr std::chrono::milliseconds kZero{0};
constexpr std::chrono::milliseconds kPositive{1};

// "2.5s", "500ms", "30m", "1h"; without a unit, seconds. At most a year.
std::optional<std::chrono::milliseconds> ParseTime(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  for (const auto& [name, milliseconds] : kUnits) {
    const double product = number * milliseconds;
    if (name == unit && product >= 0 && product <= 365 * 24 * 3600e3) {
      return std::chrono::milliseconds(static_cast<std::int64_t>(product));
    }
  }
  return std::nullopt;
}

constexpr char kCount[] = "COUNT";
constexpr char kSize[] = "SIZE";

template <typename T>
constexpr std::int64_t MostOf(T) {
  return std::numeric_limits<T>::max();
}

// "65536", decimal.
std::optional<std::int64_t> ParseWhole(std::string_view text) {
  std::int64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  return error == std::errc() && end == last ? std::optional(number) : std::nullopt;
}

// "65536", "64KiB", "64 kb", "1g": powers of 1024.
std::optional<std::int64_t> ParseSize(std::string_view text) {
  constexpr std::string_view kPrefixes = "kmgtpe";
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<std::int64_t> number = ParseWhole(text.substr(0, digits));
  if (!number) return std::nullopt;
  std::string unit(text.substr(digits));
  unit.erase(0, unit.find_first_not_of(' '));
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::size_t power = 0;
  if (!unit.empty() && kPrefixes.find(unit[0]) != std::string_view::npos) {
    power = kPrefixes.find(unit[0]) + 1;
    unit.erase(0, 1);
    if (unit.starts_with('i')) unit.erase(0, 1);
  }
  if (!unit.empty() && unit != "b") return std::nullopt;
  const std::size_t shift = 10 * power;
  if (*number > std::numeric_limits<std::int64_t>::max() >> shift) return std::nullopt;
  return *number << shift;
}

std::string TimeText(std::chrono::milliseconds time) {
  if (time.count() % 1000 != 0) return fmt::format("{}ms", time.count());
  if (time.count() % 60'000 != 0 || time.count() == 0)
    return fmt::format("{}s", time.count() / 1000);
  return fmt::format("{}m", time.count() / 60'000);
}

// CLI11 asks the environment last. Here it is stronger than the file: what it sets is passed over.
class WeakFile final : public CLI::ConfigTOML {
 public:
  explicit WeakFile(std::set<std::string> known) : known_(std::move(known)) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    if (input.peek() == 0xEF) input.ignore(3);  // a byte order mark
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
  // CLI11 reads the file before it looks at the environment.
  const bool file_in_environment = InEnvironment("config");
  app.set_config("--config", file_in_environment ? std::getenv("CONVSERVE_CONFIG") : "",
                 "File to read options from", file_in_environment)
      ->type_name("FILE")
      ->envname("CONVSERVE_CONFIG");

  std::set<std::string> known;
  const auto add = [&](const char* name, auto& value, std::string help) {
    known.insert(name);
    // A variable that a script forgot to set must not switch tokens off.
    const auto check = [](const std::string& text) {
      return std::string(text.empty() ? "expected a value, got an empty text" : "");
    };
    return app.add_option(fmt::format("--{}", name), value, std::move(help))
        ->check(check)
        ->envname(EnvironmentName(name))
        ->capture_default_str();
  };
  const auto add_time = [&](const char* name, std::chrono::milliseconds& value, std::string help,
                            std::chrono::milliseconds least) {
    known.insert(name);
    const std::string option = fmt::format("--{}", name);
    return app
        .add_option_function<std::string>(
            option,
            [&value, option, least](const std::string& text) {
              const std::optional<std::chrono::milliseconds> time = ParseTime(text);
              if (!time || *time < least) {
                throw CLI::ValidationError(
                    option, fmt::format("expected a time{}, such as 2.5s, 500ms or 30m, got {}",
                                        least.count() > 0 ? " above 0" : "", text));
              }
              value = *time;
            },
            std::move(help))
        ->envname(EnvironmentName(name))
        ->type_name("TIME")
        ->default_str(TimeText(value));
  };
  // CLI11 reads 010 as 8, 0x10 as 16, and what does not fit as the largest number.
  const auto add_number = [&](const char* name, auto& value, std::string help, const char* type,
                              std::int64_t least, std::int64_t most) {
    known.insert(name);
    const std::string option = fmt::format("--{}", name);
    const bool size = std::string_view(type) == kSize;
    return app
        .add_option_function<std::string>(
            option,
            [&value, option, least, most, size](const std::string& text) {
              const std::optional<std::int64_t> number = size ? ParseSize(text) : ParseWhole(text);
              if (!number || *number < least || *number > most) {
                throw CLI::ValidationError(
                    option, fmt::format("expected a {} from {} to {}, got {}",
                                        size ? "size, such as 64KiB or 1GiB," : "whole number",
                                        least, most, text.empty() ? "an empty text" : text));
              }
              value = static_cast<std::remove_reference_t<decltype(value)>>(*number);
            },
            std::move(help))
        ->envname(EnvironmentName(name))
        ->type_name(type)
        ->default_str(fmt::format("{}", value));
  };
  const auto add_flag = [&](const char* name, bool& value, std::string help) {
    known.insert(name);
    return app.add_flag(fmt::format("--{}", name), value, std::move(help))
        ->envname(EnvironmentName(name));
  };
  add("listen", server.listen,
      "Where to answer: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 lets the system choose. "
      "Repeatable")
      ->type_name("ADDRESS")
      ->delimiter(',')
      ->allow_extra_args(false);
  add_number("threads", server.threads,
             "Threads that compute; 0: one for each processor, of the container's share where that "
             "is less",
             kCount, 0, MostOf(server.threads));
  add_number(
      "max-message-bytes", server.max_message_bytes,
      "Longest message received or sent; 64KiB to just under 2GiB. 0: 256MiB, or a tenth of the "
      "machine's or container's memory where that is less",
      kSize, 0, MostOf(server.max_message_bytes));
  add_number("max-multiply-adds", server.max_multiply_adds,
             "Most multiply-adds that one request may ask for", kCount, 1,
             MostOf(server.max_multiply_adds));
  add_number("memory-limit", server.memory_limit,
             "Memory for the tensors of all requests in progress, at least 64KiB; 0: half of the "
             "machine's or container's",
             kSize, 0, MostOf(server.memory_limit));
  add_number("max-requests", server.max_requests,
             "Requests accepted at a time, computing or waiting; further ones are refused", kCount,
             1, MostOf(server.max_requests));
  ConnectionLimits& connections = server.connections;
  add_number(
      "max-connections", connections.max_connections,
      "Connections open at a time; further ones are closed. 0: 1000, or what ulimit -n allows",
      kCount, 0, MostOf(connections.max_connections));
  add_number("max-streams", connections.max_streams, "Calls in progress on one connection", kCount,
             1, MostOf(connections.max_streams));
  add_number("max-metadata-bytes", connections.max_metadata_bytes,
             "Metadata of one call; 1KiB to 1MiB", kSize, 0,
             MostOf(connections.max_metadata_bytes));
  add_time("handshake-timeout", connections.handshake_timeout,
           "Time for the TLS and HTTP/2 handshakes of a connection", kPositive);
  add_time("max-connection-idle", connections.max_idle,
           "Connections without a call for so long are closed; 0: never", kZero);
  add_time("max-connection-age", connections.max_age,
           "Callers are asked to connect anew after so long; 0: never", kZero);
  add_time("keepalive-time", connections.keepalive_time, "Silent peers are probed after so long",
           kPositive);
  add_time("keepalive-timeout", connections.keepalive_timeout,
           "and given up after so long without an answer", kPositive);
  add_time("min-ping-interval", connections.min_ping_interval,
           "Callers that probe the server more often are sent away", kPositive);
  SecurityOptions& security = server.security;
  add("tls-cert", security.tls_cert, "Certificate with its chain, PEM; read again when it changes")
      ->type_name("FILE");
  add("tls-key", security.tls_key, "Private key of the certificate, PEM")->type_name("FILE");
  add("tls-client-ca", security.tls_client_ca,
      "Authorities of callers' certificates, PEM: callers must present one")
      ->type_name("FILE");
  add("token-file", security.token_file,
      "Bearer tokens, one a line, plain or as sha256:HEX: calls other than health need one")
      ->type_name("FILE");
  add_flag("plaintext-tokens", security.plaintext_tokens,
           "Allow tokens without TLS on addresses that other machines reach");
  add_time("reload-interval", security.reload_interval,
           "How often certificates and tokens are looked at for changes", kPositive);
  add_flag("channelz", server.channelz, "Serve gRPC's channelz");
  add_time("drain-wait", line.drain_wait,
           "When stopping, first serve on for so long while health says NOT_SERVING, so that load "
           "balancers take notice",
           kZero);
  add_number("drain-seconds", drain_seconds,
             "Seconds that accepted requests get to finish when stopping", "SECONDS", 0, 86400);
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
  add_flag("check", line.check, "Start, listen, stop again: 0 when a server would run like this");
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
