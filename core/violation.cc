#include "core/violation.h"

#include <cstddef>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_split.h"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr char kPayloadUrl[] = "convserve/violations";
constexpr std::size_t kListedInMessage = 8;

// Separates field from description, and one violation from the next, in the payload. Control
// characters occur in neither.
constexpr char kUnitSeparator = '\x1f';
constexpr char kRecordSeparator = '\x1e';

}  // namespace

absl::Status InvalidArgument(const Violations& violations) {
  std::vector<std::string> listed;
  std::vector<std::string> records;
  for (const auto& [field, description] : violations) {
    if (listed.size() < kListedInMessage)
      listed.push_back(fmt::format("{}: {}", field, description));
    records.push_back(fmt::format("{}{}{}", field, kUnitSeparator, description));
  }
  std::string message = fmt::format("{}", fmt::join(listed, "; "));
  if (violations.size() > kListedInMessage) {
    message += fmt::format("; and {} more", violations.size() - kListedInMessage);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kPayloadUrl, absl::Cord(fmt::format(
                                     "{}", fmt::join(records, std::string(1, kRecordSeparator)))));
  return status;
}

Violations ViolationsOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return {};
  Violations violations;
  for (const absl::string_view record : absl::StrSplit(std::string(*payload), kRecordSeparator)) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(record, absl::MaxSplits(kUnitSeparator, 1));
    violations.push_back({parts.first, parts.second});
  }
  return violations;
}

}  // namespace convserve
