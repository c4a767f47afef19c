// What the service costs beside its arithmetic: calls that compute next to nothing, against a bare
// gRPC server that sends the same bytes back, with the callers' side of it included. Servers run in
// processes of their own, and the two are measured in turns.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/convolution_client.h"
#include "fmt/format.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "proto/raw_request.h"
#include "tests/bench/service/load.h"
#include "tests/bench/service/processes.h"

namespace convserve::bench {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

struct Options {
  std::string only = {};
  int rounds = 9;
  int milliseconds = 300;
  std::vector<std::string> echo = {};  // set in the process that serves the echo
};

// A picture of one channel under a 1x1 kernel.
struct Case {
  const char* name;
  std::int64_t side;
  double target;
};
constexpr Case kCases[] = {{"1x1x1x1", 1, 1.3}, {"16 MiB", 2048, 1.15}};

Operands Picture(const Tensor& input, const Tensor& weight) {
  return {input.view(), weight.view(), {}};
}

Tensor Filled(std::int64_t side, float value) {
  Tensor tensor(DataType::kFloat32, {1, 1, side, side});
  std::fill_n(tensor.As<float>(), tensor.size(), value);
  return tensor;
}

// A caller that sends bytes and drops what comes back.
class EchoCaller {
 public:
  EchoCaller(const std::string& address, const grpc::ByteBuffer& message)
      : stub_(MakeChannel(address)), message_(message) {}

  void Call() {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::ByteBuffer answer;
    grpc::Status status;
    const auto call = stub_.PrepareUnaryCall(&context, "/bench.Echo/Echo", message_, &queue);
    call->StartCall();
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) throw std::runtime_error("echo: " + status.error_message());
    if (answer.Length() != message_.Length()) throw std::runtime_error("echo: wrong length");
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
  }

 private:
  static std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  grpc::GenericStub stub_;
  const grpc::ByteBuffer message_;
};

std::string Time(double seconds) {
  return seconds < 1e-3 ? fmt::format("{:.0f} us", seconds * 1e6)
                        : fmt::format("{:.2f} ms", seconds * 1e3);
}

void RaceEchoes(const Options& options, const std::string& self, const std::string& server) {
  const std::string folder =
      (std::filesystem::temp_directory_path() / fmt::format("convserve-bench-{}", getpid()));
  const std::string ours_path = "unix:" + folder + "-ours.sock";
  const std::string echo_path = "unix:" + folder + "-echo.sock";
  // Without the log of calls, which the echo has not either.
  const ServerProcess ours(
      {server, "--log-level", "warning", "--listen", "127.0.0.1:0", "--listen", ours_path}, 2);
  const ServerProcess echo({self, "--echo", "127.0.0.1:0", "--echo", echo_path}, 2);

  fmt::print("{:<9} {:<5} {:>5}  {:>9} {:>9}  {:>9} {:>9}  {:>8}  {:>6} {:>7}\n", "tensor", "over",
             "calls", "echo p50", "a call", "ours p50", "a call", "overhead", "+-", "target");
  for (const Case& row : kCases) {
    if (!options.only.empty() && options.only != row.name) continue;
    const Tensor input = Filled(row.side, 2);
    const Tensor weight = Filled(1, 3);
    const Operands operands = Picture(input, weight);
    for (const std::size_t socket : {0, 1}) {
      for (const int concurrency : {1, 16}) {
        const ConvolutionClient client(ours.address(socket));
        EchoCaller echo_caller(echo.address(socket),
                               WriteRequest({operands, ConvParameters{}, {}}, {}));
        const auto convolve = [&] {
          const auto result = client.Conv(operands);
          if (!result.ok()) throw std::runtime_error(result.status().ToString());
          if (result->output.As<float>()[input.size() - 1] != 6) throw std::runtime_error("wrong");
        };
        const Race race = RunRace([&] { echo_caller.Call(); }, convolve,
                                  {.concurrency = concurrency,
                                   .time = std::chrono::milliseconds(options.milliseconds),
                                   .min_calls = concurrency == 1 ? 5 : 2},
                                  options.rounds);
        fmt::print("{:<9} {:<5} {:>5}  {:>9} {:>9}  {:>9} {:>9}  {:>8.2f}  {:>6.2f} {:>7.2f}\n",
                   row.name, socket == 0 ? "TCP" : "unix", concurrency, Time(race.echo.latency),
                   Time(race.echo.per_call), Time(race.ours.latency), Time(race.ours.per_call),
                   race.overhead, race.spread, row.target);
        std::fflush(stdout);
      }
    }
  }
  std::filesystem::remove(folder + "-ours.sock");
  std::filesystem::remove(folder + "-echo.sock");
}

// Of one request of 64 MiB that is answered with 64 MiB, by a server that served nothing before.
void MeasurePeakMemory(const std::string& server) {
  const ServerProcess process({server, "--log-level", "warning", "--listen", "127.0.0.1:0"}, 1);
  const std::int64_t idle = process.PeakMemory();
  const Tensor input = Filled(4096, 2);
  const Tensor weight = Filled(1, 3);
  const auto result = ConvolutionClient(process.address(0)).Conv(Picture(input, weight));
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  const double tensors = 2.0 * 64 * static_cast<double>(kMiB);
  fmt::print(
      "\npeak memory of 64 MiB in, 64 MiB out: {} MiB ({} MiB idle), {:.2f} times the tensors; "
      "target 1.6, at most 2.2\n",
      process.PeakMemory() / kMiB, idle / kMiB,
      static_cast<double>(process.PeakMemory()) / tensors);
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("The service against a bare gRPC echo of the same bytes");
  app.add_option("--only", options.only, "one case, by the name of its tensor");
  app.add_option("--rounds", options.rounds, "rounds of each case")->check(CLI::Range(1, 1000));
  app.add_option("--milliseconds", options.milliseconds, "time of a loop in a round")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--echo", options.echo, "serve the echo at this address")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!options.echo.empty()) return ServeEcho(options.echo);
  const std::string server = CONVSERVE_BINARY_DIR "/bin/convserve";
  RaceEchoes(options, std::filesystem::read_symlink("/proc/self/exe"), server);
  MeasurePeakMemory(server);
  return 0;
}

}  // namespace
}  // namespace convserve::bench

int main(int argc, char** argv) {
  try {
    return convserve::bench::Main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
