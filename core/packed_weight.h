// Weights that are used again and again: brought into the layout of the kernels once.
#ifndef CONVSERVE_CORE_PACKED_WEIGHT_H_
#define CONVSERVE_CORE_PACKED_WEIGHT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "core/aligned_buffer.h"
#include "core/planner.h"
#include "core/tensor.h"

namespace convserve {

// The weight of one plan, packed. Runs with it give the bits that runs without it give. May be used
// by any number of threads at once.
class PackedWeight {
 public:
  // 0 where the plan's algorithm reads weights as they come, and nothing is won.
  std::int64_t byte_count() const { return static_cast<std::int64_t>(data_.size()); }
  std::span<const std::byte> bytes() const { return {data_.data(), data_.size()}; }

  // Why runs of `plan` cannot use it; empty when they can. It serves plans of the same problem and
  // algorithm, on the instruction set that was in use when it was made.
  std::string RefusalFor(const Plan& plan) const;

 private:
  friend absl::StatusOr<PackedWeight> PackWeight(const Plan& plan, const TensorView& weight);
  PackedWeight(Plan plan, std::string_view instruction_set, std::int64_t bytes)
      : plan_(std::move(plan)), instruction_set_(instruction_set), data_(bytes) {}

  Plan plan_;
  std::string_view instruction_set_;
  AlignedBuffer data_;
};

// Packs the weight for runs of this plan, which take it as Operands::packed_weight.
// INVALID_ARGUMENT when type or shape are not those of the plan. Throws std::bad_alloc.
absl::StatusOr<PackedWeight> PackWeight(const Plan& plan, const TensorView& weight);

}  // namespace convserve

#endif  // CONVSERVE_CORE_PACKED_WEIGHT_H_
