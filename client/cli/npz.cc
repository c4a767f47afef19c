#include "client/cli/npz.h"

#include <zip.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "client/cli/byte_reader.h"
#include "client/cli/npy.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

// Deflate cannot do better: 258 bytes from 2 bits. What claims to is lying.
constexpr std::uint64_t kMaxExpansion = 1032;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Source = std::unique_ptr<zip_source_t, Discard>;
using MemberFile = std::unique_ptr<zip_file_t, Discard>;

std::string OpenError(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

absl::Status NotArchived(std::string_view reason) {
  return absl::UnknownError(fmt::format("cannot be archived: {}", reason));
}

absl::Status NotAnArchive(std::string_view reason) {
  return absl::DataLossError(fmt::format("is not a .npz file: {}", reason));
}

// `file` is the one at `path`. A pipe gives its bytes only once, so `bytes` takes them.
absl::StatusOr<Archive> OpenArchive(const std::string& path, ByteReader& file, std::string& bytes) {
  std::error_code ignored;
  if (!std::filesystem::is_fifo(path, ignored)) {
    int error = 0;
    Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &error));
    if (archive == nullptr) return NotAnArchive(OpenError(error));
    return archive;
  }
  absl::StatusOr<std::string> piped = ReadAll(file);
  if (!piped.ok()) return piped.status();
  bytes = *std::move(piped);
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  Archive archive(source == nullptr ? nullptr
                                    : zip_open_from_source(source.get(), ZIP_RDONLY, &error));
  const std::string reason = archive == nullptr ? zip_error_strerror(&error) : "";
  zip_error_fini(&error);
  if (archive == nullptr) return NotAnArchive(reason);
  (void)source.release();  // the archive has taken it
  return archive;
}

class MemberReader : public ByteReader {
 public:
  MemberReader(MemberFile file, std::int64_t size) : file_(std::move(file)), remaining_(size) {}

  absl::StatusOr<std::size_t> Read(std::span<std::byte> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const zip_int64_t count = zip_fread(file_.get(), buffer.data() + done, buffer.size() - done);
      if (count < 0) {
        return absl::DataLossError(
            fmt::format("is a damaged archive: {}", zip_file_strerror(file_.get())));
      }
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    remaining_ -= static_cast<std::int64_t>(done);
    return done;
  }
  std::int64_t remaining() const override { return remaining_; }

 private:
  MemberFile file_;
  std::int64_t remaining_;
};

// The names without ".npy", as NumPy shows them.
std::string MemberNames(zip_t* archive) {
  constexpr zip_int64_t kMost = 20;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < std::min(count, kMost); ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    std::string_view text = name == nullptr ? "?" : name;
    if (text.ends_with(".npy")) text.remove_suffix(4);
    names.emplace_back(text);
  }
  std::string list = fmt::format("{}", fmt::join(names, ", "));
  if (count > kMost) list += fmt::format(" and {} more", count - kMost);
  return list.empty() ? "nothing" : list;
}

absl::StatusOr<zip_uint64_t> FindMember(zip_t* archive, std::string_view member) {
  if (member.empty()) {
    if (zip_get_num_entries(archive, 0) == 1) return zip_uint64_t{0};
    return absl::NotFoundError(
        fmt::format("needs the name of an array behind a colon, FILE.npz:NAME; it holds {}",
                    MemberNames(archive)));
  }
  for (const std::string& name : {fmt::format("{}.npy", member), std::string(member)}) {
    const zip_int64_t index = zip_name_locate(archive, name.c_str(), 0);
    if (index >= 0) return static_cast<zip_uint64_t>(index);
  }
  return absl::NotFoundError(
      fmt::format("has no array \"{}\"; it holds {}", member, MemberNames(archive)));
}

// What the archive says of a member, checked for sense. Returns its expanded size.
absl::StatusOr<std::int64_t> CheckMember(zip_t* archive, zip_uint64_t index) {
  zip_stat_t info;
  zip_stat_init(&info);
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive, index, 0, &info) != 0 || (info.valid & kNeeded) != kNeeded) {
    return absl::DataLossError("is a damaged archive: a member's sizes are missing");
  }
  if (info.encryption_method != ZIP_EM_NONE) {
    return absl::UnimplementedError("is encrypted");
  }
  if (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE) {
    return absl::UnimplementedError(fmt::format(
        "uses compression method {}: expected stored or deflated members", info.comp_method));
  }
  if (info.size > static_cast<zip_uint64_t>(kMaxFileBytes)) {
    return absl::ResourceExhaustedError(
        fmt::format("expands to {} bytes: expected at most {}", info.size, kMaxFileBytes));
  }
  if (info.size > info.comp_size * kMaxExpansion + kMaxExpansion) {
    return absl::DataLossError(fmt::format("is a damaged archive: {} bytes cannot expand to {}",
                                           info.comp_size, info.size));
  }
  return static_cast<std::int64_t>(info.size);
}

}  // namespace

absl::StatusOr<Tensor> ReadNpz(const std::string& path, std::string_view member) {
  // libzip's own complaints about folders and missing files are less clear.
  absl::StatusOr<std::unique_ptr<ByteReader>> file = OpenFile(path);
  if (!file.ok()) return file.status();
  std::string bytes;  // of a pipe; outlives the archive
  absl::StatusOr<Archive> opened = OpenArchive(path, **file, bytes);
  if (!opened.ok()) return opened.status();
  zip_t* const archive = opened->get();
  absl::StatusOr<zip_uint64_t> index = FindMember(archive, member);
  if (!index.ok()) return index.status();
  absl::StatusOr<std::int64_t> size = CheckMember(archive, *index);
  if (!size.ok()) return size.status();
  MemberFile member_file(zip_fopen_index(archive, *index, 0));
  if (member_file == nullptr) {
    return absl::DataLossError(fmt::format("is a damaged archive: {}", zip_strerror(archive)));
  }
  MemberReader reader(std::move(member_file), *size);
  absl::StatusOr<Tensor> tensor = ReadNpy(reader);
  if (!tensor.ok()) return tensor;
  // The end is where libzip compares the checksum; and there must be no byte beyond it.
  std::byte beyond{};
  absl::StatusOr<std::size_t> count = reader.Read(std::span(&beyond, 1));
  if (!count.ok()) return count.status();
  if (*count != 0) {
    return absl::DataLossError("is a damaged archive: a member is longer than the archive says");
  }
  return tensor;
}

absl::StatusOr<std::string> EncodeNpz(std::string_view member, const TensorView& tensor) {
  std::string header = NpyHeader(tensor.data_type, tensor.shape);
  const std::optional<std::int64_t> bytes = ByteCount(tensor.data_type, tensor.shape);
  const zip_buffer_fragment_t fragments[] = {
      {reinterpret_cast<zip_uint8_t*>(header.data()), header.size()},
      // libzip does not write to it; its type has no const.
      {reinterpret_cast<zip_uint8_t*>(const_cast<std::byte*>(tensor.data)),
       static_cast<zip_uint64_t>(bytes.value_or(0))}};
  const Source memory(zip_source_buffer_create(nullptr, 0, 0, nullptr));
  if (memory == nullptr) return NotArchived("out of memory");
  Archive archive(zip_open_from_source(memory.get(), ZIP_CREATE | ZIP_TRUNCATE, nullptr));
  if (archive == nullptr) return NotArchived(zip_error_strerror(zip_source_error(memory.get())));
  zip_source_keep(memory.get());  // the archive has taken it, and it is read below
  zip_source_t* const source = zip_source_buffer_fragment(archive.get(), fragments, 2, 0);
  if (source == nullptr) return NotArchived(zip_strerror(archive.get()));
  const std::string name = fmt::format("{}.npy", member);
  const zip_int64_t index = zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return NotArchived(zip_strerror(archive.get()));
  }
  // 1980-01-01, the earliest that a zip file knows.
  zip_file_set_dostime(archive.get(), static_cast<zip_uint64_t>(index), 0, 33, 0);
  if (zip_close(archive.get()) != 0) return NotArchived(zip_strerror(archive.get()));
  (void)archive.release();

  zip_stat_t info;
  zip_stat_init(&info);
  std::string encoded;
  if (zip_source_stat(memory.get(), &info) == 0 && zip_source_open(memory.get()) == 0) {
    encoded.resize(info.size);
    const zip_int64_t count = zip_source_read(memory.get(), encoded.data(), encoded.size());
    zip_source_close(memory.get());
    if (count == static_cast<zip_int64_t>(encoded.size())) return encoded;
  }
  return NotArchived(zip_error_strerror(zip_source_error(memory.get())));
}

}  // namespace convserve::cli
