// What one run of convctl works with: its streams, the options that all commands share, and the
// server.
#ifndef CONVSERVE_CLIENT_CLI_SESSION_H_
#define CONVSERVE_CLIENT_CLI_SESSION_H_

#include <chrono>
#include <istream>
#include <memory>
#include <ostream>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/progress.h"
#include "client/cli/security_options.h"
#include "client/convolution_client.h"

namespace convserve {
class Server;
}

namespace convserve::cli {

// Where results (out) and everything else (err) go.
struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

// How the program around a run is situated.
struct Surroundings {
  bool show_progress = false;  // err is a terminal
  std::stop_token stop;        // requested: cancel the call and end with ExitCode::kInterrupted
};

struct GlobalOptions {
  std::string server = "127.0.0.1:50051";
  bool embedded = false;
  std::chrono::milliseconds timeout = std::chrono::minutes(1);
  bool json = false;
  SecurityOptions security = {};
};

class Session {
 public:
  Session(const Streams& streams, const Surroundings& surroundings);
  ~Session();

  std::istream& in() const { return streams_.in; }
  std::ostream& out() const { return streams_.out; }
  std::ostream& err() const { return streams_.err; }

  GlobalOptions& options() { return options_; }
  const GlobalOptions& options() const { return options_; }

  // The client of the server that the options name; made with the first use, which may state how.
  // With --embedded the server is started in this process, without a port, and honours the
  // environment as the program `convserve` does.
  absl::StatusOr<const ConvolutionClient*> Client(ClientOptions client_options = {});

  // Whether a person watches err.
  bool shows_progress() const { return surroundings_.show_progress; }

  // The options of every call: the timeout, and the stop of the surroundings.
  CallOptions call_options() const;

  // Runs `call(client, call_options())`, which returns a StatusOr, showing progress on a terminal.
  // Makes "no server" say which one and what to do.
  template <typename Call>
  auto Run(Call&& call) -> decltype(call(std::declval<const ConvolutionClient&>(), CallOptions{})) {
    absl::StatusOr<const ConvolutionClient*> client = Client();
    if (!client.ok()) return client.status();
    const std::unique_ptr<Progress> progress = StartProgress();
    auto result = call(**client, call_options());
    if (!result.ok()) return Explained(result.status());
    return result;
  }

 private:
  // Nothing where no terminal would show it.
  std::unique_ptr<Progress> StartProgress();
  absl::Status Explained(const absl::Status& status) const;

  Streams streams_;
  Surroundings surroundings_;
  GlobalOptions options_;
  bool tls_ = false;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ConvolutionClient> client_;
};

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_SESSION_H_
