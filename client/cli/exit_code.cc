#include "client/cli/exit_code.h"

#include "absl/strings/cord.h"
#include "client/cli/text.h"
#include "core/violation.h"
#include "fmt/format.h"
#include "proto/status.h"

namespace convserve::cli {
namespace {

constexpr char kExitCodeUrl[] = "convserve/convctl_exit_code";

}  // namespace

absl::Status UsageError(std::string_view message) {
  return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(std::string(message)));
}

absl::Status WithExitCode(ExitCode code, absl::Status status) {
  status.SetPayload(kExitCodeUrl, absl::Cord(std::to_string(static_cast<int>(code))));
  return status;
}

absl::Status About(std::string_view subject, const absl::Status& status) {
  absl::Status about(status.code(), fmt::format("{}: {}", subject, std::string(status.message())));
  status.ForEachPayload([&about](absl::string_view url, const absl::Cord& payload) {
    about.SetPayload(url, payload);
  });
  return about;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (const auto mark = status.GetPayload(kExitCodeUrl)) {
    return static_cast<ExitCode>(ParseInteger(std::string(*mark)).value_or(1));
  }
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kRefused;
    case absl::StatusCode::kResourceExhausted:
      return RetryDelayOf(status) ? ExitCode::kUnreachable : ExitCode::kRefused;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kOther;
  }
}

std::string Complaint(const absl::Status& status) {
  const Violations violations = ViolationsOf(status);
  if (violations.empty()) {
    return fmt::format("convctl: {}\n", Printable(std::string(status.message())));
  }
  std::string text;
  for (const FieldViolation& violation : violations) {
    const std::string_view separator = violation.field.empty() ? "" : ": ";
    text += fmt::format("convctl: {}{}{}\n", Printable(violation.field), separator,
                        Printable(violation.description));
  }
  return text;
}

}  // namespace convserve::cli
