#include "server/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fmt/format.h"
#include "server/descriptor.h"

namespace convserve {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;

absl::Status Refuse(std::string_view option, const std::string& path, std::string_view reason) {
  return absl::FailedPreconditionError(fmt::format("{}: {}: {}", option, path, reason));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(std::string_view option, const std::string& path) {
  // A pipe without a writer would keep a blocking open waiting.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    return Refuse(option, path, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return Refuse(option, path, "not a regular file");
  std::string text;
  char block[16384];
  ssize_t size = 0;
  while ((size = read(file.get(), block, sizeof(block))) > 0) {
    text.append(block, static_cast<std::size_t>(size));
    if (text.size() > kMaxBytes) return Refuse(option, path, "expected at most 1 MiB");
  }
  if (size < 0) return Refuse(option, path, std::strerror(errno));
  return text;
}

std::string Signature(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return "";
  return fmt::format("{}:{}:{}:{}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace convserve
