#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "core/block_cache.h"
#include "core/convolve.h"
#include "core/planner.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/access_log.h"
#include "server/convolution_service.h"
#include "server/front_door.h"
#include "server/grpc_settings.h"
#include "server/listen.h"
#include "server/log.h"
#include "server/machine.h"
#include "server/metrics.h"
#include "server/operator_port.h"
#include "server/option_rules.h"
#include "server/reflection.h"
#include "server/reset_floods.h"
#include "server/saturating_add.h"
#include "server/security.h"
#include "server/throttle.h"
#include "tbb/global_control.h"

namespace convserve {
namespace {

// After the drain only streams remain (health watchers, reflection): what they get to end by
// themselves.
constexpr std::chrono::milliseconds kLastCalls{100};

// Honours CONVSERVE_ISA; core reads CONVSERVE_ALGORITHM.
absl::Status ForceFromEnvironment() {
  const char* name = std::getenv("CONVSERVE_ISA");
  if (name == nullptr || *name == '\0') return absl::OkStatus();
  const absl::Status status = ForceInstructionSet(name);
  return status.ok() ? status
                     : absl::Status(status.code(), fmt::format("CONVSERVE_ISA: {}",
                                                               std::string(status.message())));
}

absl::StatusOr<std::vector<Listening>> ListenAll(const std::vector<std::string>& addresses) {
  std::vector<Listening> all;
  for (const std::string& address : addresses) {
    auto listening = Listen(address, "--listen");
    if (!listening.ok()) return listening.status();
    all.push_back(*std::move(listening));
  }
  return all;
}

// What reflection lists beside itself.
std::vector<std::string> Services(const ServerOptions& options) {
  std::vector<std::string> names = {ConvolutionService::kName, "grpc.health.v1.Health"};
  if (options.channelz) names.emplace_back("grpc.channelz.v1.Channelz");
  return names;
}

}  // namespace

struct Server::Parts {
  explicit Parts(const ServerOptions& resolved, std::string algorithm, std::unique_ptr<Log> events)
      : options(resolved),
        log(std::move(events)),
        access_log(*log, options.log_sample),
        metrics({.instruction_set = std::string(InstructionSet()),
                 .threads = options.threads,
                 .memory_limit_bytes = options.memory_limit,
                 .max_requests = options.max_requests,
                 .max_connections = options.connections.max_connections}),
        parallelism(tbb::global_control::max_allowed_parallelism,
                    static_cast<std::size_t>(std::max(options.threads, Processors()))),
        service({.handler = {.max_message_bytes = options.max_message_bytes,
                             .max_multiply_adds = options.max_multiply_adds,
                             .algorithm = std::move(algorithm)},
                 .admission = {.memory_bytes = options.memory_limit,
                               .requests = options.max_requests,
                               .slots = options.threads},
                 .threads = options.threads,
                 .answer_timeout = options.connections.answer_timeout,
                 .observers = {&access_log, &metrics}}) {}

  void CompareMemory() {
    const std::int64_t memory = MemoryBytes();
    const std::int64_t wanted = SaturatingAdd(options.memory_limit, ReceiveQuota(options, memory));
    if (wanted <= memory) return;
    log->Write(Severity::kWarning, "overcommitted",
               {{"bytes", wanted},
                {"memory_bytes", memory},
                {"advice",
                 "requests and messages on their way may take more memory than there is; lower "
                 "--memory-limit or --max-message-bytes"}});
  }

  void Refused(Throttle& throttle, std::string_view key, std::string_view whose,
               std::string_view reason) {
    metrics.Rejected(reason);
    if (const auto before = throttle.Pass()) {
      log->Write(Severity::kWarning, "refused",
                 {{key, whose}, {"reason", reason}, {"unlogged", *before}});
    }
  }

  // Before anything is listened on.
  absl::Status OpenSecurity() {
    auto opened = Security::Open(
        options.security, options.listen,
        {.reloaded =
             [this](std::string_view file, const absl::Status& status) {
               metrics.Reloaded(file, status.ok());
               if (status.ok()) return log->Write(Severity::kInfo, "reloaded", {{"files", file}});
               log->Write(Severity::kError, "reload_failed",
                          {{"files", file}, {"error", std::string(status.message())}});
             },
         .refused =
             [this](std::string_view path) {
               Refused(refused_calls, "path", path, "UNAUTHENTICATED");
             }});
    if (!opened.ok()) return opened.status();
    security = *std::move(opened);
    return absl::OkStatus();
  }

  void WarnOfExposure() {
    for (const std::string& address : options.listen) {
      if (security->has_tls() || IsLocal(address)) continue;
      log->Write(Severity::kWarning, "exposed",
                 {{"address", address},
                  {"advice",
                   "calls are plaintext; add --tls-cert and --tls-key, or keep it behind "
                   "a proxy or mesh that encrypts"}});
    }
  }

  Metrics::Moment Now() const {
    const Admission::Usage usage = service.usage();
    return {.ready = ready,
            .calls_in_progress = usage.requests,
            .calls_waiting = usage.waiting,
            .calls_computing = usage.computing,
            .in_flight_bytes = usage.bytes,
            .kept_bytes = static_cast<std::int64_t>(BlockCache::Instance().kept()),
            .connections = front_door->connections(),
            .log_events_dropped = log->dropped(),
            .certificate_expiry = security->certificate_expires_at()};
  }

  void OpenFrontDoor(std::vector<Listening> listening) {
    for (const Listening& at : listening) addresses.push_back(at.address());
    front_door = std::make_unique<FrontDoor>(FrontDoor::Options{
        .listening = std::move(listening),
        .max_connections = options.connections.max_connections,
        .accepted =
            [this](int fd) {
              grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
              connection.fd = fd;
              acceptor->HandleNewConnection(&connection);
            },
        .floods = [this] { return floods.Find(); },
        .refused =
            [this](std::string_view reason, std::string_view peer) {
              Refused(refused_connections, "peer", peer, reason);
            }});
  }

  void OpenOperatorPort(Listening listening) {
    metrics_address = listening.address();
    operator_port = std::make_unique<OperatorPort>(
        std::move(listening), OperatorPort::Pages{.metrics = [this] { return metrics.Text(Now()); },
                                                  .ready = [this] { return ready.load(); }});
  }

  const ServerOptions options;
  const std::unique_ptr<Log> log;
  AccessLog access_log;
  Metrics metrics;
  Throttle refused_calls;
  Throttle refused_connections;
  ResetFloods floods{options.connections.max_streams};
  std::atomic<bool> ready = false;
  std::unique_ptr<Security> security;
  // More threads than processors are granted too. Requests begin on threads of the service's own
  // (server/worker_threads.h), which oneTBB counts when they compute.
  const tbb::global_control parallelism;
  ConvolutionService service;
  Reflection reflection{Services(options)};
  std::vector<std::string> addresses;
  std::string metrics_address;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<FrontDoor> front_door;
  std::unique_ptr<OperatorPort> operator_port;

  std::once_flag shut_down;
  std::mutex mutex;
  std::condition_variable ended;
  bool has_ended = false;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& requested) {
  if (const absl::Status status = CheckRanges(requested); !status.ok()) return status;
  auto log = Log::Make({.level = requested.log_level, .format = requested.log_format});
  if (!log.ok()) return log.status();
  auto algorithm = ForcedAlgorithm();
  if (!algorithm.ok()) return algorithm.status();
  if (const absl::Status status = ForceFromEnvironment(); !status.ok()) return status;
  const ServerOptions options = Resolve(requested);
  if (const absl::Status status = CheckConnections(options); !status.ok()) return status;
  SetUpGrpc(options);
  std::unique_ptr<Parts> parts;
  try {
    parts = std::make_unique<Parts>(options, *algorithm, *std::move(log));
  } catch (const std::system_error& e) {
    return absl::FailedPreconditionError(
        fmt::format("cannot start {} threads: {}", options.threads, e.code().message()));
  }
  parts->CompareMemory();
  if (const absl::Status status = parts->OpenSecurity(); !status.ok()) return status;
  auto listening = ListenAll(options.listen);
  if (!listening.ok()) return listening.status();
  parts->WarnOfExposure();
  std::optional<Listening> metrics;
  if (!options.metrics_listen.empty()) {
    auto bound = OperatorPort::Bind(options.metrics_listen);
    if (!bound.ok()) return bound.status();
    metrics.emplace(*std::move(bound));
  }

  grpc::ServerBuilder builder;
  Configure(builder, options);
  parts->service.RegisterWith(builder);
  builder.RegisterService(&parts->reflection);
  parts->acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      parts->security->credentials());
  parts->server = builder.BuildAndStart();
  if (parts->server == nullptr) return absl::InternalError("gRPC does not start");
  parts->OpenFrontDoor(*std::move(listening));
  if (metrics) parts->OpenOperatorPort(*std::move(metrics));
  parts->server->GetHealthCheckService()->SetServingStatus(ConvolutionService::kName, true);
  parts->ready = true;
  parts->log->Write(Severity::kInfo, "serving",
                    {{"addresses", fmt::format("{}", fmt::join(parts->addresses, ","))},
                     {"metrics", parts->metrics_address},
                     {"instruction_set", InstructionSet()},
                     {"tls", parts->security->has_tls()},
                     {"client_certificates", !options.security.tls_client_ca.empty()},
                     {"tokens", parts->security->has_tokens()},
                     {"threads", options.threads},
                     {"algorithm", algorithm->empty() ? "by plan" : *algorithm},
                     {"max_message_bytes", options.max_message_bytes},
                     {"max_multiply_adds", options.max_multiply_adds},
                     {"max_requests", options.max_requests},
                     {"max_connections", options.connections.max_connections},
                     {"memory_limit", options.memory_limit}});
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(std::chrono::milliseconds(0)); }

const std::vector<std::string>& Server::addresses() const { return parts_->addresses; }

const std::string& Server::metrics_address() const { return parts_->metrics_address; }

ServerLoad Server::load() const {
  const Admission::Usage usage = parts_->service.usage();
  return {.requests = usage.requests,
          .waiting = usage.waiting,
          .computing = usage.computing,
          .bytes = usage.bytes};
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  const int limit = static_cast<int>(parts_->options.max_message_bytes);
  arguments.SetMaxReceiveMessageSize(limit);
  arguments.SetMaxSendMessageSize(limit);
  return parts_->server->InProcessChannel(arguments);
}

void Server::Shutdown(std::chrono::milliseconds drain, std::chrono::milliseconds wait) {
  std::call_once(parts_->shut_down, [&] {
    parts_->log->Write(Severity::kInfo, "draining",
                       {{"wait_ms", wait.count()}, {"drain_ms", drain.count()}});
    parts_->ready = false;
    parts_->server->GetHealthCheckService()->Shutdown();
    std::this_thread::sleep_for(wait);
    parts_->front_door->Close();
    // gRPC cancels calls that reach it while it says goodbye, so it does so last: until then they
    // are refused with UNAVAILABLE, which callers know to take elsewhere.
    const bool finished = parts_->service.Drain(std::chrono::steady_clock::now() + drain);
    if (!finished) {
      parts_->log->Write(Severity::kWarning, "cancelling", {{"drain_ms", drain.count()}});
    }
    const auto last_calls = finished ? kLastCalls : std::chrono::milliseconds(0);
    parts_->server->Shutdown(std::chrono::system_clock::now() + last_calls);
    parts_->server->Wait();
    // Cancelled requests end when their kernels notice.
    parts_->service.Drain(std::chrono::steady_clock::time_point::max());
    parts_->operator_port.reset();
    parts_->front_door.reset();
    parts_->log->Write(Severity::kInfo, "stopped");
    const std::lock_guard lock(parts_->mutex);
    parts_->has_ended = true;
    parts_->ended.notify_all();
  });
}

void Server::Wait() {
  std::unique_lock lock(parts_->mutex);
  parts_->ended.wait(lock, [this] { return parts_->has_ended; });
}

}  // namespace convserve
