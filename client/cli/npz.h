// NumPy's .npz archives: zip files whose members are .npy files, stored or deflated.
#ifndef CONVSERVE_CLIENT_CLI_NPZ_H_
#define CONVSERVE_CLIENT_CLI_NPZ_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/tensor.h"

namespace convserve::cli {

// Reads the array `member` ("weight" means "weight.npy"). An empty name means the only one there
// is. NOT_FOUND lists the names that the archive has; DATA_LOSS for what is no archive, a damaged
// one or one whose sizes cannot be true: a member is expanded only as far as its own header says,
// and that must be what the archive promises. UNIMPLEMENTED for encryption and for other methods of
// compression. Messages do not repeat the path.
absl::StatusOr<Tensor> ReadNpz(const std::string& path, std::string_view member);

// An archive with one array. `tensor` must not be bfloat16 (see WidenBFloat16). The same tensor
// gives the same bytes every time.
absl::StatusOr<std::string> EncodeNpz(std::string_view member, const TensorView& tensor);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_NPZ_H_
