#include "client/cli/session.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "core/limits.h"
#include "fmt/format.h"
#include "server/server.h"

namespace convserve::cli {
namespace {

// What gRPC takes to be no host.
bool HasScheme(std::string_view server) {
  constexpr std::string_view kSchemes[] = {"unix", "unix-abstract", "dns", "ipv4",
                                           "ipv6", "vsock",         "xds", "google-c2p"};
  const std::string_view begin = server.substr(0, server.find(':'));
  return std::find(std::begin(kSchemes), std::end(kSchemes), begin) != std::end(kSchemes);
}

absl::Status CheckPort(std::string_view port) {
  const bool digits = port.find_first_not_of("0123456789") == std::string_view::npos;
  const std::int64_t number = digits ? ParseInteger(port).value_or(0) : 0;
  if (number >= 1 && number <= 65535) return absl::OkStatus();
  return UsageError(fmt::format("--server: expected a port from 1 to 65535, got {}", Quoted(port)));
}

// host, host:port or //authority/host:port. Without a port gRPC calls 443.
absl::Status CheckDnsServer(std::string_view server) {
  const std::string_view host = server.substr(server.rfind('/') + 1);
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return absl::OkStatus();
  // The colons of an IPv6 address without brackets.
  if (host.find(':') != colon && host[colon - 1] != ']') return absl::OkStatus();
  return CheckPort(host.substr(colon + 1));
}

// host:port, or a scheme that gRPC knows with what it takes behind it. Without a port gRPC would
// call port 443 or 0, and of a larger one the remainder by 65536; what has several colons and no
// brackets it takes for a host.
absl::Status CheckServer(const std::string& server) {
  const std::size_t colon = server.rfind(':');
  absl::Status refusal =
      UsageError(fmt::format("--server: expected host:port or unix:/path, got {}", Quoted(server)));
  if (colon == std::string::npos || colon + 1 == server.size() || server.ends_with(']')) {
    return refusal;
  }
  if (server.starts_with("dns:")) return CheckDnsServer(std::string_view(server).substr(4));
  if (HasScheme(server)) return absl::OkStatus();
  const std::string_view host = std::string_view(server).substr(0, colon);
  const bool one_host = !host.empty() && host.find('/') == std::string_view::npos &&
                        (host.find(':') == std::string_view::npos || host.ends_with(']'));
  return one_host ? CheckPort(std::string_view(server).substr(colon + 1)) : refusal;
}

struct Advice {
  bool tls;
  std::string_view sign;  // in what gRPC says
  std::string_view text;
};

constexpr Advice kAdvice[] = {
    {false, "Socket closed", "if it wants TLS, say --tls"},
    {false, "Connection reset by peer", "if it wants TLS, say --tls"},
    {true, "wrong version number", "it speaks no TLS: leave out --tls and what begins with it"},
    {true, "certificate verify failed", "name the authority of its certificate with --tls-ca"},
    {true, "is not in peer certificate", "say what name its certificate is for: --tls-server-name"},
    {true, "Socket closed", "if it wants a certificate, see --tls-cert"},
    {true, "Connection reset by peer", "if it wants a certificate, see --tls-cert"},
    {true, "empty address list",
     "see that --tls-ca, --tls-cert and --tls-key are whole PEM files and fit together"},
};

std::string_view AdviceOn(bool tls, std::string_view message) {
  for (const Advice& advice : kAdvice) {
    if (advice.tls == tls && message.find(advice.sign) != std::string_view::npos) {
      return advice.text;
    }
  }
  return "start one with `convserve`, or use --embedded";
}

}  // namespace

Session::Session(const Streams& streams, const Surroundings& surroundings)
    : streams_(streams), surroundings_(surroundings) {}

Session::~Session() {
  client_.reset();
  if (server_ != nullptr) server_->Shutdown(std::chrono::milliseconds(0));
}

absl::StatusOr<const ConvolutionClient*> Session::Client(ClientOptions client_options) {
  if (client_ != nullptr) return client_.get();
  if (!options_.embedded) {
    if (absl::Status status = CheckServer(options_.server); !status.ok()) return status;
    absl::StatusOr<ClientSecurity> security = ReadSecurity(options_.security);
    if (!security.ok()) return security.status();
    if (absl::Status status = CheckSecurity(options_.server, *security); !status.ok()) {
      return UsageError(
          fmt::format("{} (--tls), or say --plaintext-token", std::string(status.message())));
    }
    tls_ = security->tls;
    client_options.security = *std::move(security);
    client_ = std::make_unique<ConvolutionClient>(options_.server, client_options);
    return client_.get();
  }
  ServerOptions server_options;
  server_options.max_message_bytes = kMaxMessageBytes;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(server_options);
  // The options are ours, so what is wrong must be in the environment.
  if (!server.ok()) {
    return WithExitCode(ExitCode::kUsage, About("--embedded", server.status()));
  }
  server_ = *std::move(server);
  client_ = std::make_unique<ConvolutionClient>(server_->InProcessChannel(), client_options);
  return client_.get();
}

CallOptions Session::call_options() const {
  return {.timeout = options_.timeout, .stop = surroundings_.stop};
}

std::unique_ptr<Progress> Session::StartProgress() {
  if (!surroundings_.show_progress) return nullptr;
  return std::make_unique<Progress>(err());
}

absl::Status Session::Explained(const absl::Status& status) const {
  const std::string message(status.message());
  if (status.code() == absl::StatusCode::kUnavailable && !options_.embedded) {
    return absl::UnavailableError(fmt::format("cannot reach a server at {} ({}); {}",
                                              options_.server, message, AdviceOn(tls_, message)));
  }
  if (status.code() == absl::StatusCode::kUnauthenticated) {
    return absl::UnauthenticatedError(
        fmt::format("the server wants a token: {}; see --token-file", message));
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(
        fmt::format("no answer within {} s; see --timeout",
                    static_cast<double>(options_.timeout.count()) / 1000));
  }
  if (status.code() == absl::StatusCode::kCancelled && surroundings_.stop.stop_requested()) {
    return absl::CancelledError("interrupted");
  }
  return status;
}

}  // namespace convserve::cli
