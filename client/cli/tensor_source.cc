#include "client/cli/tensor_source.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>

#include "client/cli/byte_reader.h"
#include "client/cli/exit_code.h"
#include "client/cli/image.h"
#include "client/cli/npy.h"
#include "client/cli/npz.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

absl::Status UnknownForm(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(':'));
  const std::vector<std::string_view> filters = FilterNames();
  const std::string_view nearest = Nearest(name, filters);
  return absl::InvalidArgumentError(
      fmt::format("expected FILE.npy, FILE.npz:NAME, a .png or .jpg picture, a literal such as "
                  "'[[1,2],[3,4]]', - "
                  "or a filter ({}), got {}{}",
                  FilterForms(), Quoted(text),
                  nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

absl::StatusOr<Tensor> ReadNpyFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ByteReader>> reader = OpenFile(path);
  if (!reader.ok()) return reader.status();
  return ReadNpy(**reader);
}

absl::StatusOr<Tensor> ReadPictureFile(const std::string& path, TensorLayout layout) {
  absl::StatusOr<std::unique_ptr<ByteReader>> reader = OpenFile(path);
  if (!reader.ok()) return reader.status();
  absl::StatusOr<std::string> bytes = ReadAll(**reader);
  if (!bytes.ok()) return bytes.status();
  return ReadPicture(*bytes, layout);
}

absl::StatusOr<std::string> ReadStream(std::istream& in) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  if (in.bad()) return absl::FailedPreconditionError("is closed");
  std::string bytes;
  errno = 0;
  while (in) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kStep);
    in.read(bytes.data() + before, static_cast<std::streamsize>(kStep));
    bytes.resize(before + static_cast<std::size_t>(in.gcount()));
    if (bytes.size() > static_cast<std::size_t>(kMaxFileBytes)) {
      return absl::ResourceExhaustedError(
          fmt::format("is larger than {} bytes, the most that is read", kMaxFileBytes));
    }
  }
  if (in.bad()) return absl::ErrnoToStatus(errno == 0 ? EIO : errno, "cannot be read");
  return bytes;
}

absl::StatusOr<LoadedTensor> ReadStandardInput(std::istream& in, TensorLayout layout) {
  absl::StatusOr<std::string> bytes = ReadStream(in);
  if (!bytes.ok()) return bytes.status();
  if (LooksLikeLiteral(*bytes)) return ParseLiteral(*bytes);
  if (bytes->starts_with("\x89PNG") || bytes->starts_with("\xff\xd8\xff")) {
    return ReadPicture(*bytes, layout);
  }
  MemoryReader reader(*bytes);
  return ReadNpy(reader);
}

}  // namespace

absl::StatusOr<TensorSource> ParseTensorSource(std::string_view text) {
  if (text == "-") return StandardInput{};
  if (LooksLikeLiteral(text)) return ParseLiteral(text);
  const std::string lower = Lower(text);
  // Before the endings: FILE.npz:x.npy is the array x.
  if (const std::size_t at = lower.rfind(".npz:"); at != std::string::npos) {
    return NpzMember{std::string(text.substr(0, at + 4)), std::string(text.substr(at + 5))};
  }
  if (lower.ends_with(".npy")) return NpyFile{std::string(text)};
  if (lower.ends_with(".npz")) return NpzMember{std::string(text), ""};
  for (const std::string_view extension : {".png", ".jpg", ".jpeg"}) {
    if (lower.ends_with(extension)) return PictureFile{std::string(text)};
  }
  if (IsFilter(text)) return ParseFilter(text);
  return UnknownForm(text);
}

absl::StatusOr<LoadedTensor> Load(const TensorSource& source, TensorLayout picture_layout,
                                  std::istream& in) {
  absl::StatusOr<LoadedTensor> loaded = std::visit(
      Overloaded{[](const Literal& literal) -> absl::StatusOr<LoadedTensor> { return literal; },
                 [](const NpyFile& file) -> absl::StatusOr<LoadedTensor> {
                   return ReadNpyFile(file.path);
                 },
                 [](const NpzMember& file) -> absl::StatusOr<LoadedTensor> {
                   return ReadNpz(file.path, file.member);
                 },
                 [&](const PictureFile& file) -> absl::StatusOr<LoadedTensor> {
                   return ReadPictureFile(file.path, picture_layout);
                 },
                 [&](const StandardInput&) -> absl::StatusOr<LoadedTensor> {
                   return ReadStandardInput(in, picture_layout);
                 },
                 [](const auto&) -> absl::StatusOr<LoadedTensor> {
                   return absl::InternalError("not a source of elements");
                 }},
      source);
  if (!loaded.ok()) {
    return WithExitCode(
        ExitCode::kOther,
        absl::Status(loaded.status().code(),
                     fmt::format("{} {}", NameOf(source), std::string(loaded.status().message()))));
  }
  return loaded;
}

std::string NameOf(const TensorSource& source) {
  return std::visit(Overloaded{[](const Literal&) { return std::string(); },
                               [](const NpyFile& file) { return file.path; },
                               [](const NpzMember& file) {
                                 return file.path + (file.member.empty() ? "" : ":" + file.member);
                               },
                               [](const PictureFile& file) { return file.path; },
                               [](const StandardInput&) { return std::string("standard input"); },
                               [](const Filter& filter) { return filter.name; },
                               [](const ShapeOnly&) { return std::string(); }},
                    source);
}

}  // namespace convserve::cli
