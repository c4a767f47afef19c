// Everything that is wrong with a request, and its passage through absl::Status.
//
// Core speaks absl::Status and knows no protobuf, so the list of violations travels as a status
// payload in a small text form; proto/status turns it into google.rpc.BadRequest and back.
#ifndef CONVSERVE_CORE_VIOLATION_H_
#define CONVSERVE_CORE_VIOLATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace convserve {

// One refused field: its path in the request ("weight.shape[1]", "parameters.stride[0]") and what
// was expected and what came ("expected 3 (input channels 6 / groups 2), got 4").
struct FieldViolation {
  std::string field;
  std::string description;
  bool operator==(const FieldViolation&) const = default;
};

using Violations = std::vector<FieldViolation>;

// INVALID_ARGUMENT that carries all of `violations` (at least one). The message holds the first
// eight, "field: description" joined by "; ", and says how many more there are.
absl::Status InvalidArgument(const Violations& violations);

// The violations that a status carries; empty for any other status.
Violations ViolationsOf(const absl::Status& status);

}  // namespace convserve

#endif  // CONVSERVE_CORE_VIOLATION_H_
