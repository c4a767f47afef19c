#include "client/cli/file_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "fmt/format.h"

namespace convserve::cli {
namespace {

absl::Status SystemError() { return absl::ErrnoToStatus(errno, "cannot be written"); }

absl::Status WriteAll(int fd, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t count = write(fd, part.data(), part.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return SystemError();
      part.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  return absl::OkStatus();
}

// The mode that a new file gets: 0666 less the umask, or that of the file it replaces.
mode_t ModeFor(const struct stat* old) {
  if (old != nullptr) return old->st_mode & 07777;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

// Where the links of `path` lead, to a file that need not exist yet. open has been there, so they
// end.
std::string Followed(std::filesystem::path path) {
  std::error_code error;
  while (std::filesystem::is_symlink(path, error)) {
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  }
  return path;
}

absl::Status WriteInPlace(int fd, std::initializer_list<std::string_view> parts) {
  if (fd < 0) return SystemError();
  absl::Status status = WriteAll(fd, parts);
  if (close(fd) != 0 && status.ok()) status = SystemError();
  return status;
}

}  // namespace

absl::Status WriteFile(const std::string& path, std::initializer_list<std::string_view> parts) {
  // The folder may allow to replace a file that may not be written.
  const int old_fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (old_fd < 0 && errno != ENOENT) return SystemError();
  struct stat old;
  const bool exists = old_fd >= 0 && fstat(old_fd, &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) return WriteInPlace(old_fd, parts);
  if (exists) close(old_fd);
  const std::string target = Followed(path);
  std::string temporary = fmt::format("{}.XXXXXX", target);
  const int fd = mkstemp(temporary.data());
  if (fd < 0 && errno == EACCES && exists) {
    return WriteInPlace(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC), parts);
  }
  if (fd < 0) return SystemError();
  absl::Status status = WriteAll(fd, parts);
  if (status.ok() && fchmod(fd, ModeFor(exists ? &old : nullptr)) != 0) status = SystemError();
  if (close(fd) != 0 && status.ok()) status = SystemError();
  if (status.ok() && std::rename(temporary.c_str(), target.c_str()) != 0) status = SystemError();
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace convserve::cli
