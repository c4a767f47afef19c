// A validated convolution: shapes and parameters that passed every rule, with everything resolved.
//
// Notation, per spatial axis: n input size, k kernel size, s stride, d dilation, (pl, pr) padding
// before and after, op output padding, o output size, ek = d(k-1)+1 the effective kernel; g groups,
// C input and M output channels.
//
//   Conv           o = floor((n + pl + pr - ek) / s) + 1, defined only for n + pl + pr >= ek
//   ConvTranspose  o = (n-1)s - pl - pr + ek + op, at least 1
//
// SAME_UPPER and SAME_LOWER follow TensorFlow and ONNX (Conv: o = ceil(n/s); ConvTranspose: o =
// n*s); output_size follows PyTorch with explicit padding (it selects op) and ONNX's output_shape
// with SAME_* (it selects the padding). The rules in full stand in README.md, "Semantics".
#ifndef CONVSERVE_CORE_PROBLEM_H_
#define CONVSERVE_CORE_PROBLEM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "core/data_type.h"
#include "core/limits.h"
#include "core/parameters.h"
#include "core/tensor.h"
#include "core/violation.h"

namespace convserve {

// What is known of a tensor before its elements are looked at.
struct TensorSpec {
  DataType data_type = DataType::kUnspecified;
  Shape shape = {};
  // How many bytes of elements came along; nothing when only the shape is meant (Describe,
  // Explain).
  std::optional<std::int64_t> byte_count = {};
};

// A request as it came: nothing checked yet.
struct ProblemSpec {
  TensorSpec input = {};
  TensorSpec weight = {};
  std::optional<TensorSpec> bias = {};
  std::variant<ConvParameters, ConvTransposeParameters> parameters = {};
  DataType output_type = DataType::kUnspecified;
};

// The field paths that refusals use. The defaults are those of ConvRequest and
// ConvTransposeRequest; other messages spell the same things otherwise.
struct FieldPaths {
  std::string input_shape = "input.shape";
  std::string input_type = "input.data_type";
  std::string input_data = "input.data";
  std::string weight_shape = "weight.shape";
  std::string weight_type = "weight.data_type";
  std::string weight_data = "weight.data";
  std::string bias_shape = "bias.shape";
  std::string bias_type = "bias.data_type";
  std::string bias_data = "bias.data";
  std::string output_type = "output_type";
  std::string parameters = "parameters";
};

// One spatial axis, resolved.
struct Axis {
  std::int64_t input = 1;
  std::int64_t output = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t padding_begin = 0;
  std::int64_t padding_end = 0;
  std::int64_t output_padding = 0;

  std::int64_t effective_kernel() const { return dilation * (kernel - 1) + 1; }
  bool operator==(const Axis&) const = default;
};

// In which type products are formed and added up.
enum class Arithmetic {
  kFloat32,  // float32, float16, bfloat16, and uint8 input with a float32 weight
  kFloat64,
  kInteger,  // int8 and uint8 in any mix: exact
};

class Problem {
 public:
  Operation operation() const { return operation_; }
  Arithmetic arithmetic() const { return arithmetic_; }
  DataType input_type() const { return input_type_; }
  DataType weight_type() const { return weight_type_; }
  DataType output_type() const { return output_type_; }
  bool has_bias() const { return bias_type_.has_value(); }
  // Only with has_bias().
  DataType bias_type() const { return *bias_type_; }

  // 1 for an unbatched input. 0 is legal: an empty output.
  std::int64_t batch() const { return batch_; }
  std::int64_t groups() const { return groups_; }
  std::int64_t input_channels() const { return input_channels_; }
  std::int64_t output_channels() const { return output_channels_; }
  // One to three, outermost first.
  const absl::InlinedVector<Axis, 3>& axes() const { return axes_; }

  // Resolved: never kUnspecified.
  PaddingMode padding_mode() const { return padding_mode_; }
  TensorLayout tensor_layout() const { return tensor_layout_; }
  WeightLayout weight_layout() const { return weight_layout_; }
  bool flip_kernel() const { return flip_kernel_; }

  const Shape& input_shape() const { return input_shape_; }
  const Shape& weight_shape() const { return weight_shape_; }
  // Same rank and layout as the input's.
  const Shape& output_shape() const { return output_shape_; }

  std::int64_t input_bytes() const;
  std::int64_t weight_bytes() const;
  std::int64_t output_bytes() const;

  // Nominal: every tap of every output (Conv) or input (ConvTranspose) cell counted, padding
  // included. Conv N*M*prod(o)*(C/g)*prod(k); ConvTranspose N*C*prod(n)*(M/g)*prod(k).
  std::int64_t multiply_adds() const { return multiply_adds_; }

  // The same for another number of batch elements, which must not be more. Not for an unbatched
  // one.
  Problem WithBatch(std::int64_t batch) const;
  // The same with all tensors in float32.
  Problem AsFloat32() const;

  // "conv float32 [1, 3, 8, 8] * [4, 3, 3, 3] -> [1, 4, 6, 6], stride 1, ...", for logs and people.
  std::string ToString() const;

  bool operator==(const Problem&) const = default;

 private:
  friend class ProblemBuilder;
  Problem() = default;

  Operation operation_ = Operation::kConv;
  Arithmetic arithmetic_ = Arithmetic::kFloat32;
  DataType input_type_ = DataType::kUnspecified;
  DataType weight_type_ = DataType::kUnspecified;
  std::optional<DataType> bias_type_;
  DataType output_type_ = DataType::kUnspecified;
  std::int64_t batch_ = 1;
  std::int64_t groups_ = 1;
  std::int64_t input_channels_ = 0;
  std::int64_t output_channels_ = 0;
  absl::InlinedVector<Axis, 3> axes_;
  PaddingMode padding_mode_ = PaddingMode::kZeros;
  TensorLayout tensor_layout_ = TensorLayout::kChannelsFirst;
  WeightLayout weight_layout_ = WeightLayout::kChannelsFirst;
  bool flip_kernel_ = false;
  Shape input_shape_;
  Shape weight_shape_;
  Shape output_shape_;
  std::int64_t multiply_adds_ = 0;
};

// Checks every rule and resolves the problem.
//
// INVALID_ARGUMENT with all violations at once (core/violation.h), those in `found` (what decoding
// had to refuse) first; RESOURCE_EXHAUSTED, naming the bytes or multiply-adds asked and allowed,
// when a valid problem exceeds `limits`. All arithmetic is checked; nothing proportional to a size
// is allocated; time is constant.
absl::StatusOr<Problem> MakeProblem(const ProblemSpec& spec, const Limits& limits = {},
                                    const FieldPaths& paths = {}, Violations found = {});

}  // namespace convserve

#endif  // CONVSERVE_CORE_PROBLEM_H_
