// How convctl ends.
#ifndef CONVSERVE_CLIENT_CLI_EXIT_CODE_H_
#define CONVSERVE_CLIENT_CLI_EXIT_CODE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace convserve::cli {

enum class ExitCode : int {
  kDone = 0,
  kOther = 1,        // a file that cannot be read or written, a bug
  kUsage = 2,        // the command line is wrong
  kRefused = 3,      // the request is: by validation or by a limit
  kUnreachable = 4,  // no server, a busy one, or out of time
  kInterrupted = 130,
};

// The command line is wrong: INVALID_ARGUMENT that leads to kUsage.
absl::Status UsageError(std::string_view message);

// The same status, leading to `code`.
absl::Status WithExitCode(ExitCode code, absl::Status status);

// "subject: message", where the subject is an option; the rest of the status is kept.
absl::Status About(std::string_view subject, const absl::Status& status);

// What the status was marked with above; otherwise by its code: INVALID_ARGUMENT,
// FAILED_PRECONDITION, OUT_OF_RANGE and RESOURCE_EXHAUSTED are refusals (the last one is
// kUnreachable when the server named a time to come back), UNAVAILABLE and DEADLINE_EXCEEDED are
// kUnreachable, CANCELLED is kInterrupted.
ExitCode ExitCodeOf(const absl::Status& status);

// "convctl: message" for people: one violation a line where there are any.
std::string Complaint(const absl::Status& status);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_EXIT_CODE_H_
