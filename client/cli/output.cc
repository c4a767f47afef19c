#include "client/cli/output.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/cli/exit_code.h"
#include "client/cli/file_writer.h"
#include "client/cli/image.h"
#include "client/cli/npy.h"
#include "client/cli/npz.h"
#include "client/cli/render.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

std::string_view Bytes(const TensorView& tensor) {
  return {reinterpret_cast<const char*>(tensor.data),
          static_cast<std::size_t>(ByteCount(tensor.data_type, tensor.shape).value_or(0))};
}

absl::Status WriteTensor(const OutputFile& file, const TensorView& tensor, TensorLayout layout) {
  switch (file.format) {
    case OutputFormat::kNpy:
      return WriteFile(file.path, {NpyHeader(tensor.data_type, tensor.shape), Bytes(tensor)});
    case OutputFormat::kNpz: {
      absl::StatusOr<std::string> bytes = EncodeNpz(file.member, tensor);
      if (!bytes.ok()) return bytes.status();
      return WriteFile(file.path, {*bytes});
    }
    default: {
      const PictureFormat format =
          file.format == OutputFormat::kPng ? PictureFormat::kPng : PictureFormat::kJpeg;
      absl::StatusOr<std::string> bytes = EncodePicture(tensor, layout, format);
      if (!bytes.ok()) return bytes.status();
      return WriteFile(file.path, {*bytes});
    }
  }
}

// What was lost on the way into the file, for people to know.
std::string FileNote(const OutputFile& file, DataType type) {
  if (file.format == OutputFormat::kPng || file.format == OutputFormat::kJpeg) {
    return type == DataType::kUInt8 ? "" : ", rounded and clamped to 0..255";
  }
  return type == DataType::kBFloat16 ? ", as float32: NumPy has no bfloat16" : "";
}

double Milliseconds(std::chrono::nanoseconds time) {
  return static_cast<double>(time.count()) / 1e6;
}

void PrintJson(std::ostream& out, const TensorView& tensor, const Execution& execution,
               const std::optional<OutputFile>& file) {
  out << "{\"shape\": " << ToString(tensor.shape) << ", \"type\": \"" << Name(tensor.data_type)
      << "\", ";
  if (file) {
    out << "\"file\": " << JsonString(file->path);
  } else {
    out << "\"values\": ";
    PrintJsonValues(out, tensor);
  }
  out << fmt::format(
      ", \"execution\": {{\"algorithm\": {}, \"instruction_set\": {}, \"queue_nanoseconds\": {}, "
      "\"compute_nanoseconds\": {}}}}}\n",
      JsonString(execution.algorithm), JsonString(execution.instruction_set),
      execution.queue.count(), execution.compute.count());
}

}  // namespace

absl::StatusOr<OutputFile> ParseOutputFile(std::string_view text) {
  constexpr std::pair<std::string_view, OutputFormat> kEndings[] = {
      {".npy", OutputFormat::kNpy},  {".npz", OutputFormat::kNpz},   {".png", OutputFormat::kPng},
      {".jpg", OutputFormat::kJpeg}, {".jpeg", OutputFormat::kJpeg},
  };
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  // Before the endings: the array of FILE.npz:x.npy is x, as NumPy calls it.
  if (const std::size_t at = lower.rfind(".npz:"); at != std::string::npos) {
    std::string_view member = text.substr(at + 5);
    if (member.ends_with(".npy")) member.remove_suffix(4);
    if (member.empty()) {
      return absl::InvalidArgumentError(
          fmt::format("expected the name of an array behind .npz:, got {}", Quoted(text)));
    }
    return OutputFile{OutputFormat::kNpz, std::string(text.substr(0, at + 4)), std::string(member)};
  }
  for (const auto& [ending, format] : kEndings) {
    if (lower.ends_with(ending)) return OutputFile{format, std::string(text), "output"};
  }
  return absl::InvalidArgumentError(fmt::format(
      "expected a file ending in .npy, .npz, .npz:NAME, .png or .jpg, got {}", Quoted(text)));
}

absl::Status WriteResult(Session& session, const std::optional<OutputFile>& file,
                         const Report& report) {
  const TensorView tensor = report.result.output.view();
  if (file) {
    absl::Status status;
    if (tensor.data_type == DataType::kBFloat16 &&
        (file->format == OutputFormat::kNpy || file->format == OutputFormat::kNpz)) {
      status = WriteTensor(*file, WidenBFloat16(tensor).view(), report.layout);
    } else {
      status = WriteTensor(*file, tensor, report.layout);
    }
    if (!status.ok()) {
      return WithExitCode(ExitCode::kOther, About(fmt::format("--output: {}", file->path), status));
    }
  }
  std::ostream& out = session.out();
  const Execution& execution = report.result.execution;
  if (session.options().json) {
    PrintJson(out, tensor, execution, file);
    return absl::OkStatus();
  }
  for (const std::string& note : report.notes) out << note << '\n';
  out << fmt::format("output  {} {}", Name(tensor.data_type), ToString(tensor.shape));
  if (file) {
    out << " to " << Printable(file->path) << FileNote(*file, tensor.data_type) << '\n';
  } else {
    out << '\n';
    PrintValues(out, tensor);
  }
  out << fmt::format("computed in {:.3g} ms by {} on {}\n", Milliseconds(execution.compute),
                     Printable(execution.algorithm), Printable(execution.instruction_set));
  return absl::OkStatus();
}

}  // namespace convserve::cli
