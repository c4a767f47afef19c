#include "client/cli/byte_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "fmt/format.h"

namespace convserve::cli {
namespace {

absl::Status TooLarge() {
  return absl::ResourceExhaustedError(
      fmt::format("is larger than {} bytes, the most that is read", kMaxFileBytes));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<std::size_t> ReadFully(int fd, std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count = read(fd, buffer.data() + done, buffer.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, "cannot be read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

class FileReader : public ByteReader {
 public:
  FileReader(Descriptor file, std::int64_t size) : file_(std::move(file)), remaining_(size) {}

  absl::StatusOr<std::size_t> Read(std::span<std::byte> buffer) override {
    absl::StatusOr<std::size_t> count = ReadFully(file_.get(), buffer);
    if (count.ok()) remaining_ = std::max<std::int64_t>(0, remaining_ - std::int64_t(*count));
    return count;
  }
  std::int64_t remaining() const override { return remaining_; }

 private:
  Descriptor file_;
  std::int64_t remaining_;
};

class OwningMemoryReader : public ByteReader {
 public:
  explicit OwningMemoryReader(std::string bytes) : bytes_(std::move(bytes)), reader_(bytes_) {}
  absl::StatusOr<std::size_t> Read(std::span<std::byte> buffer) override {
    return reader_.Read(buffer);
  }
  std::int64_t remaining() const override { return reader_.remaining(); }

 private:
  std::string bytes_;
  MemoryReader reader_;
};

absl::StatusOr<std::string> Slurp(int fd) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  std::string bytes;
  while (true) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kStep);
    absl::StatusOr<std::size_t> count =
        ReadFully(fd, std::as_writable_bytes(std::span(bytes).subspan(before)));
    if (!count.ok()) return count.status();
    bytes.resize(before + *count);
    if (*count < kStep) return bytes;
    if (bytes.size() > static_cast<std::size_t>(kMaxFileBytes)) return TooLarge();
  }
}

}  // namespace

absl::StatusOr<std::size_t> MemoryReader::Read(std::span<std::byte> buffer) {
  const std::size_t count = std::min(buffer.size(), bytes_.size());
  if (count > 0) std::memcpy(buffer.data(), bytes_.data(), count);
  bytes_.remove_prefix(count);
  return count;
}

absl::StatusOr<std::unique_ptr<ByteReader>> OpenFile(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return absl::ErrnoToStatus(errno, "cannot be opened");
  struct stat info;
  if (fstat(file.get(), &info) != 0) return absl::ErrnoToStatus(errno, "cannot be read");
  if (S_ISREG(info.st_mode)) {
    if (info.st_size > kMaxFileBytes) return TooLarge();
    return std::make_unique<FileReader>(std::move(file), info.st_size);
  }
  if (!S_ISFIFO(info.st_mode)) return absl::InvalidArgumentError("is not a file");
  absl::StatusOr<std::string> bytes = Slurp(file.get());
  if (!bytes.ok()) return bytes.status();
  return std::make_unique<OwningMemoryReader>(*std::move(bytes));
}

absl::StatusOr<std::string> ReadAll(ByteReader& reader) {
  std::string bytes(static_cast<std::size_t>(reader.remaining()), '\0');
  absl::StatusOr<std::size_t> count = reader.Read(std::as_writable_bytes(std::span(bytes)));
  if (!count.ok()) return count.status();
  if (*count < bytes.size()) {
    return absl::DataLossError(fmt::format("ends after {} of {} bytes", *count, bytes.size()));
  }
  return bytes;
}

}  // namespace convserve::cli
