#include "client/cli/render.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr std::int64_t kMaxPrinted = 1000;
constexpr std::int64_t kEdge = 3;

template <typename T>
std::string Shortest(T value) {
  if (std::isnan(value)) return "nan";
  // Whole numbers that the type counts exactly are written in full: 10000000 rather than 1e+07.
  constexpr T kExact = T(std::int64_t{1} << std::numeric_limits<T>::digits);
  if (std::abs(value) < kExact && value == std::trunc(value)) {
    if (value != 0 || !std::signbit(value))
      return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  char text[64];
  const std::to_chars_result result = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, result.ptr);
}

std::string FormatElement(const TensorView& tensor, std::int64_t index) {
  const double value = LoadAsDouble(tensor.data_type, tensor.data, index);
  const bool is_double =
      tensor.data_type == DataType::kFloat64 || tensor.data_type == DataType::kInt32;
  return is_double ? FormatNumber(value) : FormatNumber(static_cast<float>(value));
}

// Walks the tensor as nested lists. `Sink` says which indices of a dimension are shown and how.
class TextPrinter {
 public:
  TextPrinter(std::ostream& out, const TensorView& tensor, bool summarise)
      : out_(out), tensor_(tensor), summarise_(summarise) {
    Measure(0, 0);
  }

  void Print() { Print(0, 0); }

 private:
  bool Skips(std::size_t axis, std::int64_t i) const {
    return summarise_ && tensor_.shape[axis] > 2 * kEdge && i >= kEdge &&
           i < tensor_.shape[axis] - kEdge;
  }

  void Measure(std::size_t axis, std::int64_t index) {
    if (axis == tensor_.shape.size()) {
      width_ = std::max(width_, FormatElement(tensor_, index).size());
      return;
    }
    for (std::int64_t i = 0; i < tensor_.shape[axis]; ++i) {
      if (Skips(axis, i)) {
        i = tensor_.shape[axis] - kEdge;
      }
      Measure(axis + 1, index * tensor_.shape[axis] + i);
    }
  }

  void Print(std::size_t axis, std::int64_t index) {
    if (axis == tensor_.shape.size()) {
      out_ << fmt::format("{:>{}}", FormatElement(tensor_, index), width_);
      return;
    }
    const bool innermost = axis + 1 == tensor_.shape.size();
    out_ << '[';
    for (std::int64_t i = 0; i < tensor_.shape[axis]; ++i) {
      if (i > 0) Separate(axis, innermost);
      if (Skips(axis, i)) {
        out_ << "...";
        i = tensor_.shape[axis] - kEdge;
        Separate(axis, innermost);
      }
      Print(axis + 1, index * tensor_.shape[axis] + i);
    }
    out_ << ']';
  }

  // An empty line between blocks of two or more dimensions.
  void Separate(std::size_t axis, bool innermost) {
    if (innermost) {
      out_ << ", ";
      return;
    }
    out_ << ',' << std::string(std::min<std::size_t>(2, tensor_.shape.size() - axis - 1), '\n')
         << std::string(axis + 1, ' ');
  }

  std::ostream& out_;
  const TensorView& tensor_;
  bool summarise_;
  std::size_t width_ = 0;
};

void PrintStatistics(std::ostream& out, const TensorView& tensor, std::int64_t count) {
  double least = std::numeric_limits<double>::infinity();
  double greatest = -least;
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = LoadAsDouble(tensor.data_type, tensor.data, i);
    least = std::min(least, value);
    greatest = std::max(greatest, value);
    sum += value;
  }
  out << fmt::format("least {:.6g}, mean {:.6g}, greatest {:.6g}\n", least,
                     sum / static_cast<double>(count), greatest);
}

void PrintJsonNumber(std::ostream& out, const TensorView& tensor, std::int64_t index) {
  const double value = LoadAsDouble(tensor.data_type, tensor.data, index);
  if (std::isfinite(value)) {
    out << FormatElement(tensor, index);
  } else {
    out << '"' << JsonName(value) << '"';
  }
}

void PrintJsonList(std::ostream& out, const TensorView& tensor, std::size_t axis,
                   std::int64_t index) {
  if (axis == tensor.shape.size()) {
    PrintJsonNumber(out, tensor, index);
    return;
  }
  out << '[';
  for (std::int64_t i = 0; i < tensor.shape[axis]; ++i) {
    if (i > 0) out << ", ";
    PrintJsonList(out, tensor, axis + 1, index * tensor.shape[axis] + i);
  }
  out << ']';
}

}  // namespace

std::string FormatNumber(double value) { return Shortest(value); }
std::string FormatNumber(float value) { return Shortest(value); }

std::string FormatCount(std::int64_t value) {
  const std::string digits = fmt::format("{}", value);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool after_digit = i > 0 && digits[i - 1] != '-';
    if (after_digit && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.4g} {}", value, kUnits[unit]);
}

void PrintValues(std::ostream& out, const TensorView& tensor) {
  const std::int64_t count = ElementCount(tensor.shape).value_or(0);
  const bool summarise = count > kMaxPrinted;
  TextPrinter(out, tensor, summarise).Print();
  out << '\n';
  if (summarise) PrintStatistics(out, tensor, count);
}

void PrintJsonValues(std::ostream& out, const TensorView& tensor) {
  PrintJsonList(out, tensor, 0, 0);
}

std::string_view JsonName(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "Infinity" : "-Infinity";
}

void PrintJsonShape(std::ostream& out, absl::Span<const std::int64_t> shape) {
  out << ToString(shape);
}

std::string JsonString(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace convserve::cli
