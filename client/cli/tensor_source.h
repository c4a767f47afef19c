// Where a tensor of the command line comes from.
//
//   FILE.npy    FILE.npz:NAME    picture.png, picture.jpg    '[[1,2],[3,4]]'    box:5
//   (client/cli/filters.h)    -
//
// A dash is standard input: a .npy file, a picture or a literal, as its first bytes say.
#ifndef CONVSERVE_CLIENT_CLI_TENSOR_SOURCE_H_
#define CONVSERVE_CLIENT_CLI_TENSOR_SOURCE_H_

#include <istream>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "client/cli/filters.h"
#include "client/cli/literal.h"
#include "core/parameters.h"
#include "core/tensor.h"

namespace convserve::cli {

struct NpyFile {
  std::string path;
};
struct NpzMember {
  std::string path;
  std::string member;  // empty: the only one
};
struct PictureFile {
  std::string path;
};
struct StandardInput {};

// A shape without elements, for describe.
struct ShapeOnly {
  Shape shape;
};

using TensorSource =
    std::variant<Literal, NpyFile, NpzMember, PictureFile, StandardInput, Filter, ShapeOnly>;

// INVALID_ARGUMENT for a malformed literal or filter and for what is none of the forms. Opens no
// file.
absl::StatusOr<TensorSource> ParseTensorSource(std::string_view text);

// What a source holds: a literal's type is yet to be chosen.
using LoadedTensor = std::variant<Literal, Tensor>;

// Reads a file or standard input; a literal is passed on. Not for filters and shapes. Messages name
// the file.
absl::StatusOr<LoadedTensor> Load(const TensorSource& source, TensorLayout picture_layout,
                                  std::istream& in);

// What a person calls it: the path, "standard input", the filter as typed; empty for a literal and
// a shape.
std::string NameOf(const TensorSource& source);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_TENSOR_SOURCE_H_
