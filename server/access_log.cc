#include "server/access_log.h"

#include <random>
#include <string>
#include <string_view>
#include <vector>

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
  const std::string problem = record.plan ? record.plan->problem().ToString() : "";
  const std::string reason = ReasonOf(status);
  std::vector<LogField> fields = {
      {"method", record.method},
      {"code", code},
      {"id", record.request_id},
      {"peer", record.peer},
      {"ms", Milliseconds(record.whole)},
      {"queue_ms", Milliseconds(record.queued)},
      {"compute_ms", Milliseconds(record.computed)},
      {"bytes_in", record.request_bytes},
      {"bytes_out", record.response_bytes},
      {"algorithm", record.plan ? record.plan->algorithm_name() : ""},
      {"problem", problem},
  };
  if (!status.ok()) {
    fields.push_back({"reason", reason});
    fields.push_back({"error", std::string_view(status.message().data(), status.message().size())});
  }
  log_.Write(severity, "call", fields);
}

void AccessLog::NotTaken(std::string_view method, std::string_view request_id,
                         std::string_view peer) {
  log_.Write(Severity::kWarning, "not_taken",
             {{"method", method}, {"id", request_id}, {"peer", peer}});
}

}  // namespace convserve
