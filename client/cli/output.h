// Where the result of a convolution goes: to out as text or JSON, or to a file.
#ifndef CONVSERVE_CLIENT_CLI_OUTPUT_H_
#define CONVSERVE_CLIENT_CLI_OUTPUT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/session.h"
#include "client/convolution_client.h"
#include "core/parameters.h"

namespace convserve::cli {

enum class OutputFormat { kNpy, kNpz, kPng, kJpeg };

// FILE.npy, FILE.npz (or FILE.npz:NAME; the array is called "output" otherwise), FILE.png,
// FILE.jpg.
struct OutputFile {
  OutputFormat format = OutputFormat::kNpy;
  std::string path;
  std::string member;
};

// INVALID_ARGUMENT for any other ending.
absl::StatusOr<OutputFile> ParseOutputFile(std::string_view text);

struct Report {
  const ConvResult& result;
  TensorLayout layout = TensorLayout::kUnspecified;
  const std::vector<std::string>& notes;  // how the operands were read
};

// Writes the tensor to `file`, if there is one, and reports on out: for people the notes, shape,
// type, values (or the file's name) and how it was carried out; with --json one object
//
//   {"shape": [1, 1, 2, 2], "type": "float32", "values": [[[[1, 2], [3, 4]]]],
//    "execution": {"algorithm": "...", "instruction_set": "...", "queue_nanoseconds": 1,
//    "compute_nanoseconds": 2}}
//
// where "file" stands in place of "values" when a file was written.
absl::Status WriteResult(Session& session, const std::optional<OutputFile>& file,
                         const Report& report);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_OUTPUT_H_
