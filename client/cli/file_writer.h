// Writes files so that a reader finds the old one or the new one, never a part.
#ifndef CONVSERVE_CLIENT_CLI_FILE_WRITER_H_
#define CONVSERVE_CLIENT_CLI_FILE_WRITER_H_

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace convserve::cli {

// Writes `parts` one after the other: beside the file first, then renamed to it. Links stay, and
// lead to what was written. A file that may not be written is not replaced. What is no regular file
// (a pipe, a terminal) is written directly, and so is a file whose folder takes no other. The
// status is the system's; messages do not repeat the path.
absl::Status WriteFile(const std::string& path, std::initializer_list<std::string_view> parts);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_FILE_WRITER_H_
