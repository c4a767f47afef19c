// What the planner knows of a way to compute a convolution. A new algorithm is one file here and
// one row of the list in core/planner.cc.
#ifndef CONVSERVE_CORE_ALGORITHMS_ALGORITHM_H_
#define CONVSERVE_CORE_ALGORITHMS_ALGORITHM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/convolve.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

// One run: the operands fit the problem, the output and the workspace have the announced sizes, and
// both are aligned (the workspace to 64 bytes, the output to its element).
struct Run {
  const Problem& problem;
  const Operands& operands;
  std::span<std::byte> output;
  std::span<std::byte> workspace;
  std::stop_token stop;
  // What Algorithm::pack has made of the weight, or nothing.
  std::span<const std::byte> packed_weight = {};
};

// Whether input, weight and output are float32: for algorithms that convert nothing.
inline bool IsFloat32(const Problem& problem) {
  return problem.input_type() == DataType::kFloat32 &&
         problem.weight_type() == DataType::kFloat32 && problem.output_type() == DataType::kFloat32;
}

// Whether the output is so large that it has left the caches before anyone reads it: it is written
// past them then, so that no line of it is fetched to be written over.
inline bool LeavesCaches(const Problem& problem) {
  return problem.output_bytes() > std::int64_t{4} << 20;
}

struct Algorithm {
  std::string_view name;
  // Why this algorithm cannot or should not compute the problem; empty when it can.
  std::string (*refusal)(const Problem& problem);
  // Scratch bytes for one run, from the problem alone.
  std::int64_t (*workspace_bytes)(const Problem& problem);
  // CANCELLED when a stop was requested.
  absl::Status (*run)(const Run& run);
  // For algorithms that read weights in another layout than they come in: the bytes of a packed
  // weight, and how it is made. The instruction set in use may matter.
  std::int64_t (*packed_bytes)(const Problem& problem) = nullptr;
  void (*pack)(const Problem& problem, const TensorView& weight,
               std::span<std::byte> out) = nullptr;
};

// The specification: slow, readable, accepts everything.
extern const Algorithm kReference;
// A thousand products or fewer, with no preparation.
extern const Algorithm kTiny;
// Transposed convolutions of single positions, with weights read in place.
extern const Algorithm kOuter;
// Transposed convolutions of few filters: every tap's products, then added up.
extern const Algorithm kScatter;
// 3x3 kernels of single channels, plane by plane.
extern const Algorithm kDepthwise;
// Depthwise convolutions of channels-last tensors, rows read in place.
extern const Algorithm kInterleaved;
// Depthwise convolutions with a channel in each lane of a vector.
extern const Algorithm kLanes;
// Other types by what takes float32 alone.
extern const Algorithm kConverted;
// 3x3 kernels of many channels, with less than half the products.
extern const Algorithm kWinograd;
// Few filters a group, row by row: depthwise convolutions and image filters.
extern const Algorithm kDirect;
// Channels-last tensors read and written in place.
extern const Algorithm kChannelsLast;
// Both operations as products of packed panels of weights and patches.
extern const Algorithm kPanels;
// Patches or phases packed into blocked matrix products.
extern const Algorithm kGemm;

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_ALGORITHM_H_
