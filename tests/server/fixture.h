// A server in this process and a caller of it, as the server's tests speak of them.
#ifndef CONVSERVE_TESTS_SERVER_FIXTURE_H_
#define CONVSERVE_TESTS_SERVER_FIXTURE_H_

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "convserve/v1/convolution.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "server/server.h"

namespace convserve {

// A value of the environment for the life of this object.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value);
  ~ScopedEnvironment();

 private:
  const char* name_;
};

// "expected 3, got 4" is the text of a refusal; this is the rest of it: what a test compares.
std::vector<std::string> RefusedFields(const absl::Status& status);

// A channel without a limit of its own on messages.
std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address);

grpc::ByteBuffer InOneSlice(const std::string& bytes);

struct AnswerInBytes {
  grpc::Status status;
  std::string message;
  std::string id;  // of the call, from the trailing metadata
};

// One unary call whose message may be anything; it takes at most two minutes unless `prepare` says
// otherwise.
AnswerInBytes CallInBytes(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
    const grpc::ByteBuffer& message,
    const std::function<void(grpc::ClientContext&)>& prepare = [](grpc::ClientContext&) {});

// Calls the service and gives absl statuses back; each call waits for the server and takes at most
// a minute.
class Caller {
 public:
  explicit Caller(std::shared_ptr<grpc::Channel> channel);

  absl::Status Conv(const v1::ConvRequest& request, v1::ConvResponse& response);
  absl::Status Conv(grpc::ClientContext& context, const v1::ConvRequest& request);
  absl::Status ConvTranspose(const v1::ConvTransposeRequest& request,
                             v1::ConvTransposeResponse& response);
  absl::Status Describe(const v1::DescribeRequest& request, v1::DescribeResponse& response);
  absl::Status Explain(const v1::ExplainRequest& request, v1::ExplainResponse& response);

  // The health of `service`: an enumerator's name, or that of a status code.
  std::string Health(const std::string& service);

  // Asks small things until the answer has this code.
  void AskUntil(absl::StatusCode code);

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ConvolutionService::Stub> service_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

// Pictures and filters of 64x64 int8 ones: each pair is one output element, of 4096 multiply-adds.
struct Amount {
  int pictures = 1;
  int filters = 1;
};
v1::ConvRequest SlowConv(Amount amount);

// With CONVSERVE_ALGORITHM=reference, which looks for a stop after each pair: long beside a round
// trip, and longer than any test may take.
inline constexpr Amount kMoment{1024, 1};
inline constexpr Amount kEndless{512, 2048};

// A request on its way to a server that takes one at a time.
class Pending {
 public:
  // Sends SlowConv(amount) and returns once it has been accepted.
  Pending(Caller& caller, Amount amount);

  void Cancel();
  absl::Status Wait() { return answer_.get(); }

 private:
  std::mutex mutex_;
  std::shared_ptr<grpc::ClientContext> context_;
  std::future<absl::Status> answer_;
};

// A server on a port of its own unless `options` say otherwise; a failure to start fails the test.
std::unique_ptr<Server> StartServer(const ServerOptions& options = {.listen = {"127.0.0.1:0"}});

// [[1, 2], [3, 4]] under [[1, 2], [0, 1]]: 9.
v1::ConvRequest SmallConv();
// The same operands, stride 4: a 6x6 picture of four separate kernels.
v1::ConvTransposeRequest SpreadConvTranspose();

inline constexpr std::chrono::hours kLongDrain{1};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_FIXTURE_H_
