// The same convolution, as other frameworks spell it.
#ifndef CONVSERVE_CLIENT_EXPLAIN_FRAMEWORKS_H_
#define CONVSERVE_CLIENT_EXPLAIN_FRAMEWORKS_H_

#include <string>
#include <vector>

#include "core/problem.h"

namespace convserve {

struct FrameworkCall {
  std::string framework;  // "PyTorch", "ONNX", "TensorFlow", "SciPy"
  // Code (for ONNX: the operator and its attributes) that computes the same values from the
  // problem's tensors x and w (and bias b), laid out as the problem has them; or why there is none.
  std::string code;
};

// PyTorch and SciPy calls are expressions; SciPy's is for one image, one input and one output
// channel.
std::vector<FrameworkCall> FrameworkCalls(const Problem& problem);

// Where frameworks, given what looks like the same parameters, give something else than this
// problem. One sentence or two each; empty where they agree.
std::vector<std::string> FrameworkWarnings(const Problem& problem);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_FRAMEWORKS_H_
