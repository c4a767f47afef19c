// Writes files so that a reader finds the old one or the new one, never a part.
#ifndef CONVSERVE_CLIENT_CLI_FILE_WRITER_H_
#define CONVSERVE_CLIENT_CLI_FILE_WRITER_H_

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace convserve::cli {

// Writes `parts` one after the other: beside `path` first, then renamed to it. What is no regular
// file (a pipe, a terminal) is written directly. The status is the system's; messages do not repeat
// the path.
absl::Status WriteFile(const std::string& path, std::initializer_list<std::string_view> parts);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_FILE_WRITER_H_
