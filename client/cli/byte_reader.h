// Where the file formats read their bytes from: a file, a member of an archive, or memory.
#ifndef CONVSERVE_CLIENT_CLI_BYTE_READER_H_
#define CONVSERVE_CLIENT_CLI_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace convserve::cli {

// Bytes in order, from beginning to end. Not thread-safe.
class ByteReader {
 public:
  virtual ~ByteReader() = default;

  // Fills `buffer` and returns how many bytes that took: fewer than its size only at the end.
  virtual absl::StatusOr<std::size_t> Read(std::span<std::byte> buffer) = 0;

  // How many bytes are said to be left. Formats check their own claims against it before they
  // allocate; a file that is cut short while it is read still ends early.
  virtual std::int64_t remaining() const = 0;
};

// Reads from `bytes`, which must outlive the reader.
class MemoryReader : public ByteReader {
 public:
  explicit MemoryReader(std::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<std::size_t> Read(std::span<std::byte> buffer) override;
  std::int64_t remaining() const override { return static_cast<std::int64_t>(bytes_.size()); }

 private:
  std::string_view bytes_;
};

// Nothing larger is read: no tensor of this size could be sent.
inline constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 31;

// Opens a file or a pipe. NOT_FOUND and PERMISSION_DENIED as the system says, INVALID_ARGUMENT for
// a folder or a device, RESOURCE_EXHAUSTED above kMaxFileBytes. A pipe is read to its end here.
// Messages do not repeat the path.
absl::StatusOr<std::unique_ptr<ByteReader>> OpenFile(const std::string& path);

// Everything that is left. DATA_LOSS when it is less than the reader promised.
absl::StatusOr<std::string> ReadAll(ByteReader& reader);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_BYTE_READER_H_
