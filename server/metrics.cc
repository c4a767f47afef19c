#include "server/metrics.h"

#include <array>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "core/planner.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "proto/status.h"
#include "server/process_metrics.h"

namespace convserve {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;

constexpr std::array<std::string_view, 5> kMethods = {"Conv", "ConvTranspose", "Describe",
                                                      "Explain", kUnknownMethod};
constexpr int kCodes = 17;

// Reasons are constants of the program; should one ever not be, it cannot fill the memory.
constexpr std::size_t kMaxReasons = 64;

const Histogram::BucketBoundaries& Buckets() {
  static const auto& buckets = *new Histogram::BucketBoundaries{
      50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3,
      0.1,   0.25,   0.5,    1,      2.5,  5,      10,   30,    60};
  return buckets;
}

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

struct MethodSeries {
  Counter* started;
  std::array<Counter*, kCodes> finished;
  Histogram* whole;
  Histogram* queued;
  Histogram* computed;
  Counter* request_bytes;
  Counter* response_bytes;
};

prometheus::MetricFamily Of(prometheus::MetricType type, std::string name, std::string help,
                            double value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  metric.counter.value = value;
  return {std::move(name), std::move(help), type, {metric}};
}

}  // namespace

struct Metrics::Families {
  Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& Durations(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  void Constant(const char* name, const char* help, double value,
                const std::map<std::string, std::string>& labels = {}) {
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
  }

  prometheus::Registry registry;
  std::array<MethodSeries, kMethods.size()> methods;
  std::map<std::string, Counter*, std::less<>> multiply_adds;
  std::map<std::string, std::array<Counter*, 2>, std::less<>> reloads;
  std::map<std::string, prometheus::Gauge*, std::less<>> broken;

  Family<Counter>* rejections;
  std::mutex mutex;
  std::set<std::string, std::less<>> reasons;

  MethodSeries* Find(std::string_view method) {
    for (std::size_t i = 0; i < kMethods.size(); ++i) {
      if (kMethods[i] == method) return &methods[i];
    }
    return nullptr;
  }
};

Metrics::Metrics(const Facts& facts) : families_(std::make_unique<Families>()) {
  Families& all = *families_;
  auto& started = all.Counters("convserve_calls_started_total", "Calls that reached the service.");
  auto& finished =
      all.Counters("convserve_calls_finished_total", "Calls that were answered, by status code.");
  auto& whole = all.Durations("convserve_call_duration_seconds", "From arrival to answer.");
  auto& queued = all.Durations("convserve_queue_duration_seconds",
                               "From arrival to the beginning of the computation.");
  auto& computed = all.Durations("convserve_compute_duration_seconds", "The computation.");
  auto& request_bytes =
      all.Counters("convserve_request_bytes_total", "Bytes of messages received.");
  auto& response_bytes = all.Counters("convserve_response_bytes_total", "Bytes of messages sent.");
  for (std::size_t i = 0; i < kMethods.size(); ++i) {
    const std::map<std::string, std::string> labels = {{"method", std::string(kMethods[i])}};
    MethodSeries& method = all.methods[i];
    method.started = &started.Add(labels);
    method.whole = &whole.Add(labels, Buckets());
    method.queued = &queued.Add(labels, Buckets());
    method.computed = &computed.Add(labels, Buckets());
    method.request_bytes = &request_bytes.Add(labels);
    method.response_bytes = &response_bytes.Add(labels);
    for (int code = 0; code < kCodes; ++code) {
      const auto name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      method.finished[static_cast<std::size_t>(code)] =
          &finished.Add({{"method", std::string(kMethods[i])}, {"code", name}});
    }
  }
  auto& multiply_adds =
      all.Counters("convserve_multiply_adds_total", "Multiply-adds of the calls computed.");
  for (const std::string_view name : AlgorithmNames()) {
    all.multiply_adds.emplace(name, &multiply_adds.Add({{"algorithm", std::string(name)}}));
  }
  auto& reloads =
      all.Counters("convserve_reloads_total", "Files that changed and were read again.");
  auto& broken = prometheus::BuildGauge()
                     .Name("convserve_files_broken")
                     .Help("Whether files that changed cannot be used; those before them are.")
                     .Register(all.registry);
  for (const char* file : {"tls", "tokens"}) {
    all.broken[file] = &broken.Add({{"file", file}});
    all.reloads[file] = {&reloads.Add({{"file", file}, {"result", "failed"}}),
                         &reloads.Add({{"file", file}, {"result", "ok"}})};
  }
  all.rejections =
      &all.Counters("convserve_rejections_total", "Calls and connections that were turned away.");
  // There from the start, so that the first one is an increase: it is what an alert waits for.
  all.rejections->Add({{"reason", "RESET_FLOOD"}});
  all.Constant("convserve_threads", "Threads that compute.", static_cast<double>(facts.threads));
  all.Constant("convserve_memory_limit_bytes", "Memory that accepted calls may hold together.",
               static_cast<double>(facts.memory_limit_bytes));
  all.Constant("convserve_max_requests", "Calls accepted at a time.",
               static_cast<double>(facts.max_requests));
  all.Constant("convserve_max_connections", "Connections accepted at a time.",
               static_cast<double>(facts.max_connections));
  all.Constant("convserve_build_info", "What is running; always 1.", 1,
               {{"version", CONVSERVE_VERSION},
                {"grpc", grpc::Version()},
                {"instruction_set", facts.instruction_set}});
}

Metrics::~Metrics() = default;

void Metrics::Started(std::string_view method) {
  if (MethodSeries* series = families_->Find(method)) series->started->Increment();
}

void Metrics::Finished(const CallRecord& record) {
  MethodSeries* series = families_->Find(record.method);
  if (series == nullptr) return;
  const auto code = static_cast<std::size_t>(record.status.code());
  series->finished[code < kCodes ? code : std::size_t{2}]->Increment();
  series->whole->Observe(Seconds(record.whole));
  series->queued->Observe(Seconds(record.queued));
  if (record.computed.count() > 0) series->computed->Observe(Seconds(record.computed));
  series->request_bytes->Increment(static_cast<double>(record.request_bytes));
  series->response_bytes->Increment(static_cast<double>(record.response_bytes));
  if (record.status.ok()) {
    const bool tensors = record.method == kMethods[0] || record.method == kMethods[1];
    if (!tensors || record.plan == nullptr) return;
    const auto sum = families_->multiply_adds.find(record.plan->algorithm_name());
    if (sum == families_->multiply_adds.end()) return;
    sum->second->Increment(static_cast<double>(record.plan->problem().multiply_adds()));
    return;
  }
  const std::string reason = ReasonOf(record.status);
  if (!reason.empty()) {
    Rejected(reason);
  } else if (record.status.code() == absl::StatusCode::kInvalidArgument) {
    Rejected("INVALID_ARGUMENT");
  }
}

void Metrics::NotTaken(std::string_view /*method*/, std::string_view /*request_id*/,
                       std::string_view /*peer*/) {
  Rejected("ANSWER_NOT_TAKEN");
}

void Metrics::Rejected(std::string_view reason) {
  const std::lock_guard lock(families_->mutex);
  auto& reasons = families_->reasons;
  const bool known = reasons.contains(reason);
  if (!known && reasons.size() < kMaxReasons) reasons.emplace(reason);
  const std::string label = reasons.contains(reason) ? std::string(reason) : "OTHER";
  families_->rejections->Add({{"reason", label}}).Increment();
}

void Metrics::Reloaded(std::string_view file, bool good) {
  const auto series = families_->reloads.find(file);
  if (series == families_->reloads.end()) return;
  series->second[good ? 1 : 0]->Increment();
  families_->broken.find(file)->second->Set(good ? 0 : 1);
}

std::string Metrics::Text(const Moment& moment) const {
  std::vector<prometheus::MetricFamily> all = families_->registry.Collect();
  const auto gauge = [&](const char* name, const char* help, std::int64_t value) {
    all.push_back(Of(prometheus::MetricType::Gauge, name, help, static_cast<double>(value)));
  };
  gauge("convserve_ready", "Whether calls are welcome.", moment.ready ? 1 : 0);
  gauge("convserve_calls_in_progress", "Calls accepted and not yet answered.",
        moment.calls_in_progress);
  gauge("convserve_calls_waiting", "Calls in the queue.", moment.calls_waiting);
  gauge("convserve_calls_computing", "Calls that compute.", moment.calls_computing);
  gauge("convserve_in_flight_bytes", "Memory that accepted calls hold.", moment.in_flight_bytes);
  gauge("convserve_kept_bytes", "Freed memory kept for the next calls.", moment.kept_bytes);
  gauge("convserve_connections", "Open connections.", moment.connections);
  gauge("convserve_certificate_expiry_timestamp_seconds",
        "When the certificate in use ends; 0 without TLS.", moment.certificate_expiry);
  all.push_back(Of(prometheus::MetricType::Counter, "convserve_log_events_dropped_total",
                   "Log events lost because standard error was blocked.",
                   static_cast<double>(moment.log_events_dropped)));
  for (const ProcessMetric& metric : ProcessMetrics()) {
    all.push_back(
        Of(metric.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
           metric.name, metric.help, metric.value));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, all);
  return std::move(text).str();
}

}  // namespace convserve
