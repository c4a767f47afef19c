#include "core/problem.h"

#include <iterator>
#include <vector>

#include "core/parameter_names.h"
#include "fmt/format.h"

namespace convserve {

std::int64_t Problem::input_bytes() const { return *ByteCount(input_type_, input_shape_); }
std::int64_t Problem::weight_bytes() const { return *ByteCount(weight_type_, weight_shape_); }
std::int64_t Problem::output_bytes() const { return *ByteCount(output_type_, output_shape_); }

Problem Problem::AsFloat32() const {
  Problem converted = *this;
  converted.arithmetic_ = Arithmetic::kFloat32;
  converted.input_type_ = converted.weight_type_ = converted.output_type_ = DataType::kFloat32;
  if (bias_type_) converted.bias_type_ = DataType::kFloat32;
  return converted;
}

Problem Problem::WithBatch(std::int64_t batch) const {
  Problem problem = *this;
  problem.multiply_adds_ = batch_ == 0 ? 0 : multiply_adds_ / batch_ * batch;
  problem.batch_ = problem.input_shape_[0] = problem.output_shape_[0] = batch;
  return problem;
}

std::string Problem::ToString() const {
  const auto list = [&](auto member) {
    std::vector<std::int64_t> values;
    for (const Axis& axis : axes_) values.push_back(axis.*member);
    return fmt::format("{}", fmt::join(values, ","));
  };
  const bool transposed = operation_ == Operation::kConvTranspose;
  std::string text = fmt::format(
      "{}{} {} * {} {} -> {} {}, stride {}, dilation {}, padding {} / {}",
      transposed ? "conv_transpose " : "conv ", Name(input_type_),
      convserve::ToString(input_shape_), Name(weight_type_), convserve::ToString(weight_shape_),
      Name(output_type_), convserve::ToString(output_shape_), list(&Axis::stride),
      list(&Axis::dilation), list(&Axis::padding_begin), list(&Axis::padding_end));
  if (transposed)
    fmt::format_to(std::back_inserter(text), ", output padding {}", list(&Axis::output_padding));
  fmt::format_to(std::back_inserter(text), ", groups {}", groups_);
  if (padding_mode_ != PaddingMode::kZeros) {
    fmt::format_to(std::back_inserter(text), ", {}",
                   kPaddingModeNames[static_cast<std::size_t>(padding_mode_)]);
  }
  if (flip_kernel_) fmt::format_to(std::back_inserter(text), ", flipped kernel");
  return text;
}

}  // namespace convserve
