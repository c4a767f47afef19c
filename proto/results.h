// What the service answers, in plain types: shared by the server and the client
// library.
#ifndef CONVSERVE_PROTO_RESULTS_H_
#define CONVSERVE_PROTO_RESULTS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/data_type.h"
#include "core/describe.h"
#include "core/tensor.h"

namespace convserve {

// How a request was carried out.
struct Execution {
  std::string algorithm;                // one of AlgorithmNames()
  std::string instruction_set;          // one of InstructionSets()
  std::chrono::nanoseconds queue{0};    // from arrival to the start of compute
  std::chrono::nanoseconds compute{0};  // the arithmetic alone
};

// The result of a Conv or ConvTranspose.
struct ConvResult {
  Tensor output;
  Execution execution;
};

// Everything that follows from shapes and parameters alone.
struct Description {
  Operation operation = Operation::kConv;
  Shape output_shape;
  DataType output_type = DataType::kUnspecified;
  std::vector<AxisDescription> axes;  // one a spatial axis, outermost first
  std::int64_t multiply_adds = 0;     // Problem::multiply_adds
  std::int64_t input_bytes = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t output_bytes = 0;
  std::int64_t workspace_bytes = 0;  // Plan::workspace_bytes
  std::string algorithm;
};

}  // namespace convserve

#endif  // CONVSERVE_PROTO_RESULTS_H_
