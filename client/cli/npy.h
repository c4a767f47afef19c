// NumPy's .npy format.
//
//   "\x93NUMPY" major minor  header length (2 bytes; 4 from version 2 on, little-endian)
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   padded with spaces, ends in a
//   line feed elements
//
// Read: versions 1 to 3; float16, float32, float64, int8, uint8 and int32; both byte orders; C and
// Fortran order. Written: version 1, little-endian, C order.
#ifndef CONVSERVE_CLIENT_CLI_NPY_H_
#define CONVSERVE_CLIENT_CLI_NPY_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/byte_reader.h"
#include "core/tensor.h"

namespace convserve::cli {

// A header above this many bytes is refused: ours take 128, and NumPy itself warns from 10000 on.
inline constexpr std::int64_t kMaxNpyHeaderBytes = 65536;

// Reads one array that fills the rest of `reader`. DATA_LOSS for what is no .npy file or a damaged
// one, UNIMPLEMENTED for an element type that tensors do not have; both say what was expected and
// what came. The byte count that the header asks for is compared with the reader's before anything
// of that size is allocated.
absl::StatusOr<Tensor> ReadNpy(ByteReader& reader);

// What stands before the elements. `type` must be one that NumPy has: not bfloat16.
std::string NpyHeader(DataType type, const Shape& shape);

// The values of a bfloat16 tensor as float32, which holds all of them: NumPy has no bfloat16.
Tensor WidenBFloat16(const TensorView& tensor);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_NPY_H_
