// How a Problem is made from a request: the checks, in order, of MakeProblem.
#ifndef CONVSERVE_CORE_PROBLEM_BUILDER_H_
#define CONVSERVE_CORE_PROBLEM_BUILDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "core/axis.h"
#include "core/limits.h"
#include "core/parameters.h"
#include "core/problem.h"
#include "core/violation.h"

namespace convserve {

// Runs the checks in order and collects what they find. A check that needs the outcome of an
// earlier one is left out when that one failed; all others run.
class ProblemBuilder {
 public:
  ProblemBuilder(const ProblemSpec& spec, const Limits& limits, const FieldPaths& paths,
                 Violations found);

  absl::StatusOr<Problem> Build();

 private:
  // Both operations' parameters, under one roof. What an operation lacks is empty.
  struct Common {
    AxisList stride, dilation, padding, output_padding, output_size;
    AutoPad auto_pad;
    PaddingMode padding_mode;
    std::optional<std::int64_t> groups;
    bool flip_kernel;
    TensorLayout tensor_layout;
    WeightLayout weight_layout;
  };
  static Common Unify(const std::variant<ConvParameters, ConvTransposeParameters>& parameters);

  bool transposed() const { return problem_.operation_ == Operation::kConvTranspose; }
  void Refuse(std::string field, std::string description);
  std::string Parameter(std::string_view name) const;

  void CheckTypes();
  template <typename Enum, std::size_t N>
  void CheckEnum(Enum value, const std::array<std::string_view, N>& names, std::string_view name);
  void CheckEnums();
  // The weight's rank says how many spatial axes there are; the input's must follow. Sets where
  // each dimension stands.
  void CheckRanks();
  void CheckData(const TensorSpec& tensor, const std::string& shape_path,
                 const std::string& data_path);
  // The problem is valid: its output shape, and whether it is too large.
  absl::StatusOr<Problem> Finish();
  std::optional<std::int64_t> CountMultiplyAdds() const;

  // Of parameters against shapes, in core/problem_builder_parameters.cc.
  void CheckList(const AxisList& list, std::string_view name, std::int64_t least);
  void CheckLists();
  void CheckChannels();
  void CheckAxes();
  // The path of the entry of a per-axis list that speaks for `axis`.
  std::string Entry(std::string_view name, const AxisList& list, std::size_t axis) const;
  std::string AxisPath(AxisField field, std::size_t axis) const;

  const ProblemSpec& spec_;
  const Limits& limits_;
  const FieldPaths& paths_;
  const Common common_;
  Violations violations_;
  Problem problem_;

  std::size_t axes_ = 0;  // set once the ranks are good
  bool batched_ = false;
  std::size_t input_channel_ = 0, input_spatial_ = 0;
  std::size_t outer_channel_ = 0, inner_channel_ = 0, weight_spatial_ = 0;
  bool shapes_positive_ = false;
  bool lists_good_ = true;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_PROBLEM_BUILDER_H_
