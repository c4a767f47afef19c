#include "client/cli/file_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/status/statusor.h"

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

// Writes a file beside `target` and gives it that name, with the owner and mode of the file `old`
// that had it. False where `old` cannot be replaced: it is as it was, and may be written itself.
absl::StatusOr<bool> Replace(const std::string& target, const struct stat* old,
                             std::initializer_list<std::string_view> parts) {
  const auto failed = [old]() -> absl::StatusOr<bool> {
    const bool broken = errno == ENOSPC || errno == EDQUOT || errno == EIO;
    if (old == nullptr || broken) return SystemError();
    return false;
  };
  // The name is short, as that of the target may already be the longest that there can be.
  std::string temporary = std::filesystem::path(target).parent_path() / "convctl.XXXXXX";
  const int fd = mkstemp(temporary.data());
  if (fd < 0) return failed();
  absl::StatusOr<bool> replaced = true;
  if (old != nullptr && fchown(fd, old->st_uid, old->st_gid) != 0) {
    replaced = failed();
  } else if (absl::Status status = WriteAll(fd, parts); !status.ok()) {
    replaced = status;
  } else if (fchmod(fd, ModeFor(old)) != 0) {
    replaced = failed();
  }
  if (close(fd) != 0 && replaced.ok()) replaced = SystemError();
  if (replaced.ok() && *replaced && std::rename(temporary.c_str(), target.c_str()) != 0) {
    replaced = failed();
  }
  if (!replaced.ok() || !*replaced) unlink(temporary.c_str());
  return replaced;
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
  // The other names of a file would keep what was in it.
  if (!exists || old.st_nlink == 1) {
    const absl::StatusOr<bool> replaced = Replace(Followed(path), exists ? &old : nullptr, parts);
    if (!replaced.ok()) return replaced.status();
    if (*replaced) return absl::OkStatus();
  }
  return WriteInPlace(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC), parts);
}

}  // namespace convserve::cli
