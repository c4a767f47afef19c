// The RPCs as the service sees them: how the bytes of a call become what the handler takes, and
// what the handler gives becomes bytes.
//
// Read takes the bytes out of the buffer. INVALID_ARGUMENT for a malformed message,
// RESOURCE_EXHAUSTED for one beyond kMaxFieldBytes; throws std::bad_alloc. Write likewise.
// BytesToRead says before what memory Read is going to take at most beside the message, or refuses
// as Read would.
#ifndef CONVSERVE_SERVER_METHODS_H_
#define CONVSERVE_SERVER_METHODS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "convserve/v1/convolution.pb.h"
#include "core/parameters.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/raw_request.h"
#include "proto/results.h"

namespace convserve {

struct TensorMethod {
  using Request = ReceivedRequest;
  using Result = ConvResult;
  static constexpr bool kConvolves = true;
  static constexpr bool kTiny = false;  // whatever the request holds

  static absl::StatusOr<std::int64_t> BytesToRead(const grpc::ByteBuffer& bytes);
  static absl::StatusOr<Request> Read(Operation operation, grpc::ByteBuffer& bytes);
  static absl::Status Write(const Request& request, Result result, grpc::ByteBuffer& bytes);
};

struct ConvMethod : TensorMethod {
  static constexpr std::string_view kName = "Conv";
  static constexpr const char* kPath = "/convserve.v1.ConvolutionService/Conv";
  static absl::StatusOr<Request> Read(grpc::ByteBuffer& bytes) {
    return TensorMethod::Read(Operation::kConv, bytes);
  }
};

struct ConvTransposeMethod : TensorMethod {
  static constexpr std::string_view kName = "ConvTranspose";
  static constexpr const char* kPath = "/convserve.v1.ConvolutionService/ConvTranspose";
  static absl::StatusOr<Request> Read(grpc::ByteBuffer& bytes) {
    return TensorMethod::Read(Operation::kConvTranspose, bytes);
  }
};

struct DescribeMethod {
  static constexpr std::string_view kName = "Describe";
  static constexpr const char* kPath = "/convserve.v1.ConvolutionService/Describe";
  using Request = v1::DescribeRequest;
  using Result = v1::DescribeResponse;
  static constexpr bool kConvolves = false;
  static constexpr bool kTiny = true;

  static absl::StatusOr<std::int64_t> BytesToRead(const grpc::ByteBuffer& bytes);
  static absl::StatusOr<Request> Read(grpc::ByteBuffer& bytes);
  static absl::Status Write(const Request& request, const Result& result, grpc::ByteBuffer& bytes);
};

struct ExplainMethod {
  static constexpr std::string_view kName = "Explain";
  static constexpr const char* kPath = "/convserve.v1.ConvolutionService/Explain";
  using Request = v1::ExplainRequest;
  using Result = v1::ExplainResponse;
  static constexpr bool kConvolves = false;
  static constexpr bool kTiny = false;

  static absl::StatusOr<std::int64_t> BytesToRead(const grpc::ByteBuffer& bytes);
  static absl::StatusOr<Request> Read(grpc::ByteBuffer& bytes);
  static absl::Status Write(const Request& request, const Result& result, grpc::ByteBuffer& bytes);
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_METHODS_H_
