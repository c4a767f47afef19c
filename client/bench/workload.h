// The requests of a load: kinds with weights, their tensors, and the results that they must have.
#ifndef CONVSERVE_CLIENT_BENCH_WORKLOAD_H_
#define CONVSERVE_CLIENT_BENCH_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/bench/tally.h"
#include "client/convolution_client.h"
#include "core/parameters.h"
#include "core/tensor.h"

namespace convserve::bench {

struct RequestKind {
  std::string name;
  std::int64_t weight = 1;  // its share of all requests
  Shape input;
  Shape weights;
  std::variant<ConvParameters, ConvTransposeParameters> parameters;
  DataType type = DataType::kFloat32;
};

// "[COUNT*]NAME" for one of PresetNames(), or "[COUNT*]X:W[:OPTION]..." with the shapes of input
// and weight and the options stride=, padding=, dilation=, groups=, type=, transpose:
//
//   3*small      1,3,224,224:64,3,7,7:stride=2:padding=3      1,8,32:8,4,4:transpose:stride=2
//
// INVALID_ARGUMENT, saying what was expected, for anything else.
absl::StatusOr<RequestKind> ParseRequestKind(std::string_view text);

// tiny (a few bytes), small, medium, large (16 MiB there, 16 MiB back).
const std::vector<RequestKind>& Presets();

// Makes the tensors of all kinds, a few variants of each so that answers which were mixed up would
// differ, and computes in this process what they must give. Elements are small integers: sums are
// exact, so every algorithm on every machine must give the same bits.
class Workload {
 public:
  // INVALID_ARGUMENT when a kind is no convolution that core accepts. `verify`: results are kept.
  static absl::StatusOr<Workload> Make(std::vector<RequestKind> kinds, bool verify);

  const std::vector<RequestKind>& kinds() const { return kinds_; }

  // The kind of request `number`: each as often as its weight says, in an order that looks random
  // and is always the same.
  std::size_t KindOf(std::int64_t number) const;

  // Sends request `number`. Thread-safe.
  Outcome Send(const ConvolutionClient& client, std::int64_t number,
               const CallOptions& options) const;

 private:
  static constexpr std::size_t kVariants = 3;

  struct Example {
    Tensor input;
    Tensor weight;
    Tensor output;  // empty unless verified
  };

  std::vector<RequestKind> kinds_;
  std::vector<Example> examples_;  // kVariants a kind
  std::int64_t weights_ = 0;
};

}  // namespace convserve::bench

#endif  // CONVSERVE_CLIENT_BENCH_WORKLOAD_H_
