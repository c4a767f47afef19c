// Between the messages of convserve.v1 and core's types, in pairs: FromProto reads a message,
// ToProto writes one.
//
// FromProto of a request refuses nothing by itself. It carries every number as it came and collects
// what only the message can show (a missing tensor, `data` and `values` both set, a count of values
// that the shape does not have, a value that its type cannot hold); MakeProblem then reports these
// together with the rules of core, each under the path of its field. Enumerators outside the
// contract travel as their number and are refused there by name.
//
// Requests and responses whose tensors stay outside the message are in proto/raw_request.h and
// proto/raw_response.h.
//
// All functions are thread-safe and may throw std::bad_alloc.
#ifndef CONVSERVE_PROTO_CONVERT_H_
#define CONVSERVE_PROTO_CONVERT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/convolve.h"
#include "core/explain.h"
#include "core/parameters.h"
#include "core/problem.h"
#include "core/tensor.h"
#include "proto/results.h"

namespace convserve {

namespace v1 {
class ConvParameters;
class ConvRequest;
class ConvTransposeParameters;
class ConvTransposeRequest;
class DescribeRequest;
class DescribeResponse;
class Execution;
class ExplainRequest;
class ExplainResponse;
class Tensor;
enum DataType : int;
enum TensorEncoding : int;
}  // namespace v1

// Types and parameters.

DataType FromProto(v1::DataType type);
v1::DataType ToProto(DataType type);

ConvParameters FromProto(const v1::ConvParameters& message);
ConvTransposeParameters FromProto(const v1::ConvTransposeParameters& message);
v1::ConvParameters ToProto(const ConvParameters& parameters);
v1::ConvTransposeParameters ToProto(const ConvTransposeParameters& parameters);

// Tensors.

// How elements travel: as raw bytes (`data`) or as numbers (`values`).
enum class TensorEncoding : int { kUnspecified = 0, kData = 1, kValues = 2 };

// A message that carries a copy of the tensor's elements. TensorEncoding::kUnspecified means kData.
v1::Tensor ToProto(const TensorView& tensor, TensorEncoding encoding = TensorEncoding::kData);

// A copy of the message's tensor. INVALID_ARGUMENT, with field paths below `field`, for whatever a
// request's tensor would be refused for.
absl::StatusOr<Tensor> FromProto(const v1::Tensor& message, std::string_view field = "tensor");

// The same without elements, and its inverse: a view without data.
v1::Tensor HeadToProto(DataType type, absl::Span<const std::int64_t> shape);
TensorView HeadFromProto(const v1::Tensor& message);

// Refuses what FromProto of a tensor refuses, where its `data` of `data_bytes` bytes may lie
// elsewhere.
absl::StatusOr<TensorSpec> CheckTensor(const v1::Tensor& message, std::int64_t data_bytes,
                                       std::string_view field);

// The elements of a message's tensor that passed all checks: where they are `data` and aligned for
// their type, a view of them; otherwise `storage` then owns them.
TensorView DecodeTensor(const v1::Tensor& message, Tensor& storage);

// `bytes` as a tensor of `type` and `shape`, whose byte count they must have: a view of them where
// they are aligned for the type; otherwise of a copy, which `storage` then owns.
TensorView AlignedView(DataType type, Shape shape, std::string_view bytes, Tensor& storage);

// Requests.

// What a request asks for: the arguments of MakeProblem.
struct DecodedProblem {
  ProblemSpec spec;
  FieldPaths paths;
  Violations found;
};

// The bytes of the tensors' `data`, where they lie outside the message.
struct DataBytes {
  std::int64_t input = 0;
  std::int64_t weight = 0;
  std::int64_t bias = 0;
};

DecodedProblem FromProto(const v1::ConvRequest& message);
DecodedProblem FromProto(const v1::ConvRequest& message, const DataBytes& data);
DecodedProblem FromProto(const v1::ConvTransposeRequest& message);
DecodedProblem FromProto(const v1::ConvTransposeRequest& message, const DataBytes& data);
// Shapes and types alone. A bias takes the type that the operation expects of one.
DecodedProblem FromProto(const v1::DescribeRequest& message);
// Tensors may carry a shape and no elements.
DecodedProblem FromProto(const v1::ExplainRequest& message);

// core's MakeProblem. Where a whole tensor is missing that is said once, without the complaints
// about its empty shape and type that would follow from it.
absl::StatusOr<Problem> MakeProblem(const DecodedProblem& decoded, const Limits& limits = {});

// The tensors of a request that passed MakeProblem, those that came with elements; views live as
// long as both the message and this object. `values` are converted here, so memory proportional to
// a tensor is taken only now.
class DecodedOperands {
 public:
  explicit DecodedOperands(const v1::ExplainRequest& message);
  DecodedOperands(const DecodedOperands&) = delete;
  DecodedOperands& operator=(const DecodedOperands&) = delete;

  const ExplainOperands& operands() const { return operands_; }

 private:
  ExplainOperands operands_;
  std::array<Tensor, 3> storage_;
};

// Requests for a client.
v1::DescribeRequest ToDescribeRequest(const ProblemSpec& spec);
// `spec` states the shapes and types; `operands` the elements, where there are any.
v1::ExplainRequest ToExplainRequest(const ProblemSpec& spec,
                                    absl::Span<const std::int64_t> output_index,
                                    const ExplainOperands& operands = {});

// Responses.

Execution FromProto(const v1::Execution& message);
v1::Execution ToProto(const Execution& execution);

// `operation` is what was asked: the response does not repeat it.
Description FromProto(const v1::DescribeResponse& message, Operation operation);
v1::DescribeResponse ToProto(const Description& description);

Explanation FromProto(const v1::ExplainResponse& message);
v1::ExplainResponse ToProto(const Explanation& explanation);

}  // namespace convserve

#endif  // CONVSERVE_PROTO_CONVERT_H_
