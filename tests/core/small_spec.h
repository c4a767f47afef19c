// A problem that is valid as it stands, for tests that change something of it.
#ifndef CONVSERVE_TESTS_CORE_SMALL_SPEC_H_
#define CONVSERVE_TESTS_CORE_SMALL_SPEC_H_

#include <cstddef>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/problem.h"

namespace convserve::testing {

// Four channels in, six out, input 8 and kernel 3 on every axis; valid as it stands.
template <typename Parameters>
ProblemSpec Default(std::size_t axes) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {2, 4}, {}};
  spec.weight = {DataType::kFloat32, {6, 4}, {}};
  if constexpr (std::is_same_v<Parameters, ConvTransposeParameters>) spec.weight.shape = {4, 6};
  for (std::size_t i = 0; i < axes; ++i) {
    spec.input.shape.push_back(8);
    spec.weight.shape.push_back(3);
  }
  spec.parameters = Parameters{};
  return spec;
}

inline ConvParameters& C(ProblemSpec& spec) { return std::get<ConvParameters>(spec.parameters); }
inline ConvTransposeParameters& T(ProblemSpec& spec) {
  return std::get<ConvTransposeParameters>(spec.parameters);
}

inline std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : ViolationsOf(status)) fields.push_back(violation.field);
  return fields;
}

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_SMALL_SPEC_H_
