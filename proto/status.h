// The crossing between absl::Status, which all of convserve speaks, and grpc::Status with
// google.rpc details, which callers in any language read from the `grpc-status-details-bin`
// trailer.
//
//   violations of a request (core/violation.h)  <->  BadRequest.field_violations
//   reason of any other refusal                 <->  ErrorInfo { reason, domain "convserve" }
//   delay before a retry may succeed            <->  RetryInfo
//
// What is sent is bounded, because a client that receives more than about 8 KiB of trailers sees
// another error in place of ours: details serialize to at most kMaxDetailBytes, violations beyond
// that are counted in a last entry without a field, long texts are cut. All text is made valid
// UTF-8.
//
// All functions are thread-safe.
#ifndef CONVSERVE_PROTO_STATUS_H_
#define CONVSERVE_PROTO_STATUS_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace grpc {
class Status;
}

namespace convserve {

inline constexpr std::size_t kMaxDetailBytes = 4096;

// The message is cut so that its percent-encoded form, which is how it travels, stays within this.
inline constexpr std::size_t kMaxMessageTextBytes = 1536;

grpc::Status ToGrpc(const absl::Status& status);

// The inverse, for clients. Details that cannot be read are left out.
absl::Status FromGrpc(const grpc::Status& status);

// A short constant for programs, such as "MEMORY_LIMIT". Without one, ToGrpc sends the name of the
// code.
void SetReason(absl::Status& status, std::string_view reason);

// Empty when the status carries none.
std::string ReasonOf(const absl::Status& status);

// How long a caller should wait before it tries again.
void SetRetryDelay(absl::Status& status, std::chrono::milliseconds delay);
std::optional<std::chrono::milliseconds> RetryDelayOf(const absl::Status& status);

}  // namespace convserve

#endif  // CONVSERVE_PROTO_STATUS_H_
