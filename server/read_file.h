// Small files that an operator names.
#ifndef CONVSERVE_SERVER_READ_FILE_H_
#define CONVSERVE_SERVER_READ_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace convserve {

// The whole of `path`. FAILED_PRECONDITION, with `option`, path and the system's reason, when it
// cannot be read, is no file, or holds more than 1 MiB.
absl::StatusOr<std::string> ReadFile(std::string_view option, const std::string& path);

// Changes whenever the file does: whatever can be seen of it without opening it, symbolic links
// followed. Empty while there is no file.
std::string Signature(const std::string& path);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_READ_FILE_H_
