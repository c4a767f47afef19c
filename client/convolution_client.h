// Calls a convserve server from C++: tensors in, tensors out.
//
//   convserve::ConvolutionClient client("localhost:50051");
//   absl::StatusOr<convserve::ConvResult> result = client.Conv({input.view(), weight.view()},
//   {.padding = {1}});
//
// Targets are those of gRPC: `host:port`, `dns:///host:port`, `ipv4:10.0.0.1:50051,10.0.0.2:50051`,
// `unix:/path`. Calls are spread over all addresses that a target names, in turn. The connection is
// made with the first call, kept alive, and made again when it breaks; through the proxy that the
// environment names (`https_proxy`, `http_proxy`, `no_proxy`), but for targets on this machine.
//
// Every call has a deadline. The operation is pure, so a call that fails with UNAVAILABLE is tried
// again with growing, randomised pauses (also one whose answer broke off), and one that a busy
// server turned away (RESOURCE_EXHAUSTED with a retry delay) after the delay that it asked for,
// until the call succeeds, the attempts are used up, or the deadline comes.
//
// Errors
//   INVALID_ARGUMENT     the server refused the request; ViolationsOf(status) lists the fields
//                        (core/violation.h)
//   RESOURCE_EXHAUSTED   too large for a message (refused here, nothing is sent), too large for the
//                        server, or it is busy; no memory here for the answer
//   DEADLINE_EXCEEDED    the call's time is over
//   CANCELLED            a stop was requested
//   UNAVAILABLE          no server can be reached, or it is shutting down
//   INTERNAL             the server's answer makes no sense
//
// Tensors are sent from the caller's memory, without a copy. A call therefore returns only when
// nothing reads its operands any more: at once, but for a call that was given up while its
// connection was stuck in the middle of a message, which takes until the connection moves or
// keepalive finds it dead (ClientOptions).
//
// Thread safety: one client serves any number of threads. Results of more than a MiB are moved into
// their tensor by up to four threads of oneTBB, which it starts when it first needs them.
#ifndef CONVSERVE_CLIENT_CONVOLUTION_CLIENT_H_
#define CONVSERVE_CLIENT_CONVOLUTION_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/client_security.h"
#include "core/convolve.h"
#include "core/explain.h"
#include "core/limits.h"
#include "core/parameters.h"
#include "core/problem.h"
#include "core/tensor.h"
#include "proto/results.h"

namespace grpc {
class Channel;
}

namespace convserve {

inline constexpr int kMaxConnections = 64;

struct ClientOptions {
  // The deadline of calls that state none.
  std::chrono::milliseconds timeout = std::chrono::minutes(1);

  // The largest request and response. Values above kMaxMessageBytes mean kMaxMessageBytes.
  std::int64_t max_message_bytes = kMaxMessageBytes;

  // How often a call is tried in all, 1 to 5; and the pause before the second attempt, which
  // doubles from there. Pauses vary by a fifth.
  int max_attempts = 5;
  std::chrono::milliseconds initial_backoff = std::chrono::milliseconds(100);

  // Connections to each address, 1 to kMaxConnections. One carries any number of calls at a time,
  // but moves their bytes one after the other: a few more help where many large tensors are under
  // way. A call takes the connection with the fewest calls.
  int connections = 1;

  // Watch the health of every server (grpc.health.v1) and send nothing to one that is draining.
  // Turn it off where a proxy in between ends streams that are silent for long.
  bool watch_health = true;

  // How long a connection with calls in flight may be silent before it is probed, and how long the
  // answer may take.
  std::chrono::milliseconds keepalive_time = std::chrono::minutes(1);
  std::chrono::milliseconds keepalive_timeout = std::chrono::seconds(20);

  // TLS and tokens. Where they contradict each other, every call fails with what is wrong.
  ClientSecurity security = {};
};

struct CallOptions {
  // Nothing: ClientOptions::timeout.
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;

  // Requesting a stop cancels the call, here and on the server.
  std::stop_token stop = {};

  // Wait for a server to come up, until the deadline, where otherwise the call would fail with
  // UNAVAILABLE.
  bool wait_for_ready = false;

  // Conv and ConvTranspose: the element type of the output. kUnspecified: by the types of input and
  // weight.
  DataType output_type = DataType::kUnspecified;
};

// Told how an asynchronous call ended. Called once, on a thread of gRPC that serves other calls
// too: hand work and waiting over to a thread of your own. Where nothing is sent, on the thread
// that calls, before the call returns: hold no lock there that this takes. Must not throw.
using ConvCallback = absl::AnyInvocable<void(absl::StatusOr<ConvResult>)>;

enum class ServingStatus { kUnknown, kServing, kNotServing };

class ConvolutionClient {
 public:
  explicit ConvolutionClient(const std::string& target, const ClientOptions& options = {});

  // Over a channel that the caller made. Of `options` the timeout, the attempts with their pause,
  // the message size of requests and the token apply: the rest belongs to the channel, whose own
  // retries, where it has a policy for them, multiply the attempts.
  explicit ConvolutionClient(const std::shared_ptr<grpc::Channel>& channel,
                             const ClientOptions& options = {});

  ConvolutionClient(ConvolutionClient&&) noexcept;
  ConvolutionClient& operator=(ConvolutionClient&&) noexcept;
  ~ConvolutionClient();

  // The operations, as core/convolve.h and core/problem.h define them. Operands are only read.
  absl::StatusOr<ConvResult> Conv(const Operands& operands, const ConvParameters& parameters = {},
                                  const CallOptions& options = {}) const;
  absl::StatusOr<ConvResult> ConvTranspose(const Operands& operands,
                                           const ConvTransposeParameters& parameters = {},
                                           const CallOptions& options = {}) const;

  // The same without waiting: the result comes through a future, or to a callback (perhaps before
  // these return). Until then the memory of the operands must neither change nor end. Any number of
  // calls may be under way; a call may outlive its client, and one whose future is dropped goes on:
  // only CallOptions::stop cancels it.
  std::future<absl::StatusOr<ConvResult>> ConvAsync(const Operands& operands,
                                                    const ConvParameters& parameters = {},
                                                    const CallOptions& options = {}) const;
  std::future<absl::StatusOr<ConvResult>> ConvTransposeAsync(
      const Operands& operands, const ConvTransposeParameters& parameters = {},
      const CallOptions& options = {}) const;
  void ConvAsync(const Operands& operands, const ConvParameters& parameters,
                 const CallOptions& options, ConvCallback done) const;
  void ConvTransposeAsync(const Operands& operands, const ConvTransposeParameters& parameters,
                          const CallOptions& options, ConvCallback done) const;

  // What follows from shapes and parameters alone. `spec.output_type` counts, not CallOptions'.
  absl::StatusOr<Description> Describe(const ProblemSpec& spec,
                                       const CallOptions& options = {}) const;

  // Where output[output_index] comes from. `spec` states shapes and types, `operands` the elements
  // that there are.
  absl::StatusOr<Explanation> Explain(const ProblemSpec& spec,
                                      absl::Span<const std::int64_t> output_index,
                                      const ExplainOperands& operands = {},
                                      const CallOptions& options = {}) const;

  // Whether the server, or one service of it, takes calls. NOT_FOUND for a service that it does not
  // have.
  absl::StatusOr<ServingStatus> Health(const std::string& service = "",
                                       const CallOptions& options = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_CONVOLUTION_CLIENT_H_
