// What algorithms allocate beside the workspace that they announce. A program of its own: it
// replaces operator new, which neither tensors nor workspaces nor what a thread works in come from.
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <string_view>

#include "core/data_type.h"
#include "core/planner.h"
#include "core/problem.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// How many allocations of this thread succeed before one fails.
thread_local std::int64_t allocations_left = kNever;

std::atomic<std::int64_t> held = 0;
std::atomic<std::int64_t> most_held = 0;

void* Allocate(std::size_t size) {
  if (allocations_left == 0) return nullptr;
  if (allocations_left != kNever) --allocations_left;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  const auto bytes = static_cast<std::int64_t>(malloc_usable_size(memory));
  const std::int64_t now = held += bytes;
  std::int64_t most = most_held;
  while (now > most && !most_held.compare_exchange_weak(most, now)) {
  }
  return memory;
}

void Free(void* memory) {
  if (memory != nullptr) held -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

// Libraries may have bound to AddressSanitizer's operator new before this one. The name is the
// sanitizer's.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "alloc_dealloc_mismatch=0"; }
// NOLINTEND(bugprone-reserved-identifier)

// GCC inlines one of a pair and misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(std::size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t) noexcept { Free(memory); }

namespace convserve::testing {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// What a run of `problem` on four threads holds beyond what was held before, at most.
std::int64_t MostHeld(const Problem& problem, const Operands& operands,
                      std::string_view algorithm) {
  tbb::task_arena arena(4);
  const auto run = [&] {
    return arena.execute([&] { return RunAlgorithm(problem, operands, algorithm).status(); });
  };
  EXPECT_TRUE(run().ok());  // what is allocated once is there now
  const std::int64_t before = held;
  most_held = before;
  EXPECT_TRUE(run().ok());
  return most_held - before;
}

TEST(Memory, ScatterGathersOutputsFarApartPieceByPiece) {
  Random random(1);
  for (const bool channels_last : {false, true}) {
    const LayerCase layer = {.name = "far apart",
                             .input = {2, 16, 4000},
                             .filters = 4,
                             .kernel = {4},
                             .stride = {256},
                             .channels_last = channels_last,
                             .transposed = true};
    const ProblemSpec spec = layer.spec();
    const Problem problem = *MakeProblem(spec);
    const RandomOperands operands = RealOperands(random, spec);
    const absl::StatusOr<Plan> plan = MakePlan(problem);
    EXPECT_EQ(plan->algorithm_name(), "scatter");
    EXPECT_LT(MostHeld(problem, operands.view(), "scatter"), plan->workspace_bytes() + kMiB);
  }
}

TEST(Memory, RowsOfPairsArePartOfTheWorkspace) {
  Random random(1);
  const LayerCase layer = {.name = "few deep filters",
                           .input = {1, 512, 48, 48},
                           .filters = 4,
                           .kernel = {48, 48},
                           .padding = {1, 1},
                           .weights_last = true};
  ProblemSpec spec = layer.spec();
  for (TensorSpec* tensor : {&spec.input, &spec.weight, &*spec.bias}) {
    tensor->data_type = DataType::kBFloat16;
  }
  const Problem problem = *MakeProblem(spec);
  const RandomOperands operands = RealOperands(random, spec);
  const absl::StatusOr<Plan> plan = MakePlan(problem, "gemm");
  const std::int64_t packed = problem.weight_bytes();
  EXPECT_LT(MostHeld(problem, operands.view(), "gemm"),
            plan->workspace_bytes() - packed + kMiB / 4);
}

TEST(Memory, TheReferenceThrowsWhereItDoesNotSuffice) {
  Random random(1);
  LayerCase layer = {.name = "small", .input = {1, 2, 5}, .filters = 2, .kernel = {3}};
  for (const bool last : {false, true}) {
    layer.channels_last = layer.weights_last = layer.flip_kernel = last;
    const ProblemSpec spec = layer.spec();
    const Problem problem = *MakeProblem(spec);
    const RandomOperands operands = RealOperands(random, spec);
    std::int64_t allowed = 0;
    for (bool exhausted = true; exhausted; ++allowed) {
      exhausted = false;
      allocations_left = allowed;
      try {
        (void)RunAlgorithm(problem, operands.view(), "reference");
      } catch (const std::bad_alloc&) {
        exhausted = true;
      }
      allocations_left = kNever;
    }
    EXPECT_GT(allowed, 3);
  }
}

}  // namespace
}  // namespace convserve::testing
