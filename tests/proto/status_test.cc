#include "proto/status.h"

#include <chrono>
#include <cstdint>
#include <string>

#include "core/violation.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;

google::rpc::Status Details(const grpc::Status& status) {
  google::rpc::Status wire;
  EXPECT_TRUE(wire.ParseFromString(status.error_details()));
  return wire;
}

template <typename Detail>
Detail OnlyDetail(const grpc::Status& status) {
  Detail detail;
  const google::rpc::Status wire = Details(status);
  EXPECT_EQ(wire.details_size(), 1);
  EXPECT_TRUE(wire.details_size() == 1 && wire.details(0).UnpackTo(&detail));
  return detail;
}

Violations Many(int count, const std::string& description) {
  Violations violations;
  for (int i = 0; i < count; ++i) {
    violations.push_back({"parameters.stride[" + std::to_string(i) + "]", description});
  }
  return violations;
}

TEST(Status, OkCrossesAsOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(Status, EveryCodeKeepsItsNumberAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpc(status);
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    EXPECT_EQ(sent.error_message(), "why");
    EXPECT_EQ(Details(sent).code(), code);
    EXPECT_EQ(Details(sent).message(), "why");
    EXPECT_EQ(FromGrpc(sent).code(), status.code());
    EXPECT_EQ(FromGrpc(sent).message(), "why");
  }
}

TEST(Status, ViolationsBecomeABadRequestAndReturn) {
  const Violations violations = {{"weight.shape[1]", "expected 3, got 4"},
                                 {"parameters.stride[0]", "expected at least 1, got 0"}};
  const absl::Status status = InvalidArgument(violations);
  const grpc::Status sent = ToGrpc(status);
  EXPECT_EQ(sent.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto request = OnlyDetail<google::rpc::BadRequest>(sent);
  ASSERT_EQ(request.field_violations_size(), 2);
  EXPECT_EQ(request.field_violations(0).field(), "weight.shape[1]");
  EXPECT_EQ(request.field_violations(1).description(), "expected at least 1, got 0");
  EXPECT_EQ(ViolationsOf(FromGrpc(sent)), violations);
  EXPECT_EQ(FromGrpc(sent).message(), status.message());
}

TEST(Status, OtherRefusalsCarryAReasonForPrograms) {
  absl::Status status = absl::ResourceExhaustedError("output: 9 bytes");
  EXPECT_EQ(OnlyDetail<google::rpc::ErrorInfo>(ToGrpc(status)).reason(), "RESOURCE_EXHAUSTED");
  SetReason(status, "OUTPUT_LIMIT");
  const auto info = OnlyDetail<google::rpc::ErrorInfo>(ToGrpc(status));
  EXPECT_EQ(info.reason(), "OUTPUT_LIMIT");
  EXPECT_EQ(info.domain(), "convserve");
  EXPECT_EQ(ReasonOf(FromGrpc(ToGrpc(status))), "OUTPUT_LIMIT");
}

TEST(Status, TheRetryDelayCrosses) {
  absl::Status status = absl::ResourceExhaustedError("busy");
  EXPECT_EQ(RetryDelayOf(status), std::nullopt);
  SetRetryDelay(status, milliseconds(1250));
  const google::rpc::Status wire = Details(ToGrpc(status));
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(wire.details(0).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
  EXPECT_EQ(RetryDelayOf(FromGrpc(ToGrpc(status))), milliseconds(1250));
}

TEST(Status, ARetryDelayBeyondADurationIsTheLongestOne) {
  for (const std::int64_t seconds : {18'446'744'073'709'552, INT64_MAX, INT64_MIN}) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(seconds);
    google::rpc::Status wire;
    wire.add_details()->PackFrom(retry);
    const grpc::Status status(grpc::StatusCode::RESOURCE_EXHAUSTED, "", wire.SerializeAsString());
    EXPECT_EQ(RetryDelayOf(FromGrpc(status)),
              std::chrono::seconds(seconds < 0 ? -315'576'000'000 : 315'576'000'000));
  }
}

TEST(Status, DetailsStaySmallAndSayHowManyViolationsAreLeftOut) {
  for (const int count : {1, 10, 20, 50, 100, 1000}) {
    for (const std::size_t length : {1, 50, 600, 5000}) {
      const grpc::Status sent = ToGrpc(InvalidArgument(Many(count, std::string(length, 'x'))));
      EXPECT_LE(sent.error_details().size(), kMaxDetailBytes) << count << " of " << length;
      const auto request = OnlyDetail<google::rpc::BadRequest>(sent);
      const int listed = request.field_violations_size();
      ASSERT_GE(listed, 1);
      if (listed < count || request.field_violations(listed - 1).field().empty()) {
        EXPECT_EQ(request.field_violations(listed - 1).description(),
                  std::to_string(count - (listed - 1)) + " more violations are not listed");
      }
    }
  }
}

TEST(Status, DetailsStaySmallWithTheLongestMessageAndReason) {
  absl::Status status = absl::InternalError(std::string(100'000, 'm'));
  SetReason(status, std::string(100'000, 'r'));
  SetRetryDelay(status, milliseconds(1));
  const grpc::Status sent = ToGrpc(status);
  EXPECT_LE(sent.error_details().size(), kMaxDetailBytes);
  EXPECT_EQ(sent.error_message().size(), kMaxMessageTextBytes);
  EXPECT_THAT(sent.error_message(), EndsWith("..."));
}

TEST(Status, TextIsValidUtf8) {
  struct Row {
    const char* name;
    std::string text;
    std::string expected;
  };
  for (const Row& row :
       {Row{"ascii", "plain", "plain"}, Row{"two bytes", "\xC3\xA9", "\xC3\xA9"},
        Row{"four bytes", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        Row{"stray continuation", "a\x80z", "a?z"}, Row{"cut sequence", "a\xE2\x82", "a??"},
        Row{"overlong", "\xC0\xAF", "??"}, Row{"surrogate", "\xED\xA0\x80", "???"},
        Row{"beyond Unicode", "\xF4\x90\x80\x80", "????"}}) {
    const grpc::Status sent = ToGrpc(absl::InternalError(row.text));
    EXPECT_EQ(sent.error_message(), row.expected) << row.name;
  }
}

TEST(Status, ACutNeverSplitsACharacter) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\xE2\x82\xAC";
  const std::string message = ToGrpc(absl::InternalError(text)).error_message();
  EXPECT_THAT(message, EndsWith("\xE2\x82\xAC..."));
  EXPECT_LE(3 * message.size(), kMaxMessageTextBytes + 6);
}

TEST(Status, UnreadableDetailsLeaveCodeAndMessage) {
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone", std::string("\xFF\xFF\xFF", 3)));
  EXPECT_EQ(status, absl::UnavailableError("gone"));
}

TEST(Status, ADetailOfAnotherTypeIsPassedOver) {
  google::rpc::Status wire;
  wire.add_details()->PackFrom(google::rpc::Status());
  google::rpc::ErrorInfo info;
  info.set_reason("DRAINING");
  wire.add_details()->PackFrom(info);
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping", wire.SerializeAsString()));
  EXPECT_EQ(ReasonOf(status), "DRAINING");
}

}  // namespace
}  // namespace convserve
