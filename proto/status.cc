#include "proto/status.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "core/violation.h"
#include "fmt/format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace convserve {
namespace {

constexpr char kDomain[] = "convserve";
constexpr std::size_t kMaxFieldBytes = 256;
constexpr std::size_t kMaxDescriptionBytes = 512;
// Room for the entry that counts the violations that are left out.
constexpr std::size_t kRemainderBytes = 96;

// The bytes of the UTF-8 sequence that `text` begins with; 0 when it begins with none.
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool beyond = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

// Percent-encoding, the form of a message in the trailers, keeps printable ASCII and triples the
// rest.
std::size_t EncodedLength(std::string_view sequence) {
  const bool kept = sequence.size() == 1 && sequence[0] >= 0x20 && sequence[0] <= 0x7E;
  return kept && sequence[0] != '%' ? 1 : 3 * sequence.size();
}

// `text` as valid UTF-8, '?' for each byte that is not, cut with "..." where its percent-encoded
// form exceeds `limit`.
std::string Bounded(std::string_view text, std::size_t limit) {
  constexpr std::string_view kCut = "...";
  std::string result;
  std::size_t encoded = 0;
  std::size_t safe = 0;  // where to cut: the longest beginning that leaves room for kCut
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    const std::string_view sequence = length == 0 ? "?" : text.substr(0, length);
    encoded += EncodedLength(sequence);
    if (encoded > limit) return result.substr(0, safe).append(kCut);
    result.append(sequence);
    if (encoded + kCut.size() <= limit) safe = result.size();
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string UrlOf(const google::protobuf::Message& message) {
  return "type.googleapis.com/" + message.GetDescriptor()->full_name();
}

// Adds as many violations as leave `status` within kMaxDetailBytes.
void PackViolations(const Violations& violations, google::rpc::Status& status) {
  const std::string url = UrlOf(google::rpc::BadRequest::default_instance());
  // Tags and lengths of the Any, its URL and its value.
  const std::size_t used = status.ByteSizeLong() + url.size() + 16;
  google::rpc::BadRequest request;
  std::size_t packed = 0;
  for (const auto& [field, description] : violations) {
    auto* added = request.add_field_violations();
    added->set_field(Bounded(field, kMaxFieldBytes));
    added->set_description(Bounded(description, kMaxDescriptionBytes));
    if (used + request.ByteSizeLong() + kRemainderBytes > kMaxDetailBytes) {
      request.mutable_field_violations()->RemoveLast();
      break;
    }
    ++packed;
  }
  if (packed < violations.size()) {
    request.add_field_violations()->set_description(
        fmt::format("{} more violations are not listed", violations.size() - packed));
  }
  status.add_details()->PackFrom(request);
}

template <typename Detail>
std::optional<Detail> PayloadOf(const absl::Status& status) {
  const auto payload = status.GetPayload(UrlOf(Detail::default_instance()));
  Detail detail;
  if (!payload || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

void SetPayload(absl::Status& status, const google::protobuf::Message& detail) {
  status.SetPayload(UrlOf(detail), absl::Cord(detail.SerializeAsString()));
}

// core's own form of the list, on a status whose message came over the wire.
void SetViolations(absl::Status& status, const google::rpc::BadRequest& request) {
  Violations violations;
  for (const auto& violation : request.field_violations()) {
    violations.push_back({violation.field(), violation.description()});
  }
  if (violations.empty()) return;
  InvalidArgument(violations).ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    status.SetPayload(url, payload);
  });
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status wire;
  wire.set_code(static_cast<std::int32_t>(status.code()));
  wire.set_message(
      Bounded({status.message().data(), status.message().size()}, kMaxMessageTextBytes));
  if (const auto retry = PayloadOf<google::rpc::RetryInfo>(status)) {
    wire.add_details()->PackFrom(*retry);
  }
  const Violations violations = ViolationsOf(status);
  if (violations.empty()) {
    auto info = PayloadOf<google::rpc::ErrorInfo>(status).value_or(google::rpc::ErrorInfo());
    if (info.reason().empty()) info.set_reason(absl::StatusCodeToString(status.code()));
    info.set_domain(kDomain);
    wire.add_details()->PackFrom(info);
  } else {
    PackViolations(violations, wire);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), wire.message(),
                      wire.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  absl::Status result(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.error_message());
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return result;
  for (const auto& detail : wire.details()) {
    google::rpc::BadRequest request;
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&request)) {
      SetViolations(result, request);
    } else if (detail.UnpackTo(&info)) {
      SetPayload(result, info);
    } else if (detail.UnpackTo(&retry)) {
      SetPayload(result, retry);
    }
  }
  return result;
}

void SetReason(absl::Status& status, std::string_view reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(Bounded(reason, kMaxFieldBytes));
  info.set_domain(kDomain);
  SetPayload(status, info);
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = PayloadOf<google::rpc::ErrorInfo>(status);
  return info ? info->reason() : "";
}

void SetRetryDelay(absl::Status& status, std::chrono::milliseconds delay) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(delay.count() / 1000);
  retry.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(delay.count() % 1000) *
                                         1'000'000);
  SetPayload(status, retry);
}

std::optional<std::chrono::milliseconds> RetryDelayOf(const absl::Status& status) {
  const auto retry = PayloadOf<google::rpc::RetryInfo>(status);
  if (!retry) return std::nullopt;
  // What a Duration may hold: beyond, the sum could overflow.
  constexpr std::int64_t kMaxSeconds = 315'576'000'000;
  const auto seconds =
      std::clamp<std::int64_t>(retry->retry_delay().seconds(), -kMaxSeconds, kMaxSeconds);
  return std::chrono::seconds(seconds) +
         std::chrono::milliseconds(retry->retry_delay().nanos() / 1'000'000);
}

}  // namespace convserve
