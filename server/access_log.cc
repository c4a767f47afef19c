#include "server/access_log.h"

#include <random>
#include <string>

#include "proto/status.h"

namespace convserve {
namespace {

double Milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

bool Chosen(double share) {
  if (share >= 1) return true;
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>()(random) < share;
}

Severity SeverityOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return Severity::kError;
    default:
      return Severity::kInfo;
  }
}

}  // namespace

void AccessLog::Finished(const CallRecord& record) {
  const absl::Status& status = record.status;
  const Severity severity = SeverityOf(status.code());
  if (!log_.Wants(severity) || (status.ok() && !Chosen(sample_))) return;
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string_view algorithm = record.plan ? record.plan->algorithm_name() : "";
  const std::string problem = record.plan ? record.plan->problem().ToString() : "";
  const double whole = Milliseconds(record.whole);
  const double queued = Milliseconds(record.queued);
  const double computed = Milliseconds(record.computed);
  if (status.ok()) {
    log_.Write(severity, "call",
               {{"method", record.method},
                {"code", code},
                {"id", record.request_id},
                {"peer", record.peer},
                {"ms", whole},
                {"queue_ms", queued},
                {"compute_ms", computed},
                {"bytes_in", record.request_bytes},
                {"bytes_out", record.response_bytes},
                {"algorithm", algorithm},
                {"problem", problem}});
    return;
  }
  log_.Write(severity, "call",
             {{"method", record.method},
              {"code", code},
              {"id", record.request_id},
              {"peer", record.peer},
              {"ms", whole},
              {"queue_ms", queued},
              {"compute_ms", computed},
              {"bytes_in", record.request_bytes},
              {"algorithm", algorithm},
              {"problem", problem},
              {"reason", ReasonOf(status)},
              {"error", std::string(status.message())}});
}

}  // namespace convserve
