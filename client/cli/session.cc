#include "client/cli/session.h"

#include <string_view>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "core/limits.h"
#include "fmt/format.h"
#include "server/server.h"

namespace convserve::cli {
namespace {

// host:port, or a scheme that gRPC knows with what it takes behind it. Without a port gRPC would
// call port 443 or 0.
absl::Status CheckServer(const std::string& server) {
  const std::size_t colon = server.rfind(':');
  if (colon != std::string::npos && colon + 1 < server.size() && !server.ends_with(']')) {
    return absl::OkStatus();
  }
  return UsageError(
      fmt::format("--server: expected host:port or unix:/path, got {}", Quoted(server)));
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
