#include "client/cli/filters.h"

#include <cmath>
#include <numeric>
#include <span>

#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

// The outer product of a row with itself, times `scale`.
std::vector<double> Separable(std::span<const double> row, double scale = 1) {
  std::vector<double> values;
  values.reserve(row.size() * row.size());
  for (const double y : row) {
    for (const double x : row) values.push_back(y * x * scale);
  }
  return values;
}

std::vector<double> Box(std::int64_t size, double) {
  const auto cells = static_cast<std::size_t>(size * size);
  return std::vector<double>(cells, 1.0 / static_cast<double>(cells));
}

std::vector<double> Gaussian(std::int64_t size, double sigma) {
  // Relative to the cells nearest to the middle, so that even a tiny sigma leaves a sum above 0.
  const double nearest = size % 2 == 0 ? 0.5 : 0;
  std::vector<double> row;
  for (std::int64_t i = 0; i < size; ++i) {
    const double x = std::abs(static_cast<double>(i) - static_cast<double>(size - 1) / 2);
    row.push_back(std::exp(-(x - nearest) * (x + nearest) / 2 / sigma / sigma));
  }
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  for (double& value : row) value /= sum;
  return Separable(row);
}

double DefaultSigma(std::int64_t size) {
  return 0.3 * (static_cast<double>(size - 1) / 2 - 1) + 0.8;
}

std::int64_t BilinearSize(std::int64_t factor) { return 2 * factor - factor % 2; }

std::vector<double> Bilinear(std::int64_t factor, double) {
  const std::int64_t size = BilinearSize(factor);
  std::vector<double> row;
  for (std::int64_t i = 0; i < size; ++i) {
    const double center = static_cast<double>(size - 1) / 2;
    row.push_back(1 - std::abs(static_cast<double>(i) - center) / static_cast<double>(factor));
  }
  return Separable(row);
}

std::vector<double> Unsharp(std::int64_t, double) {
  constexpr double kBinomial[] = {1, 4, 6, 4, 1};
  std::vector<double> values = Separable(kBinomial, -1.0 / 256);
  values[values.size() / 2] += 2;
  return values;
}

std::vector<double> Sharpen(std::int64_t, double) { return {0, -1, 0, -1, 5, -1, 0, -1, 0}; }
std::vector<double> SobelX(std::int64_t, double) { return {-1, 0, 1, -2, 0, 2, -1, 0, 1}; }
std::vector<double> SobelY(std::int64_t, double) { return {-1, -2, -1, 0, 0, 0, 1, 2, 1}; }
std::vector<double> Laplacian(std::int64_t, double) { return {0, 1, 0, 1, -4, 1, 0, 1, 0}; }

struct Entry {
  std::string_view name;
  std::string_view form;
  std::int64_t size;  // 0: the user gives it
  bool takes_parameter;
  std::vector<double> (*make)(std::int64_t number, double parameter);
};

constexpr Entry kFilters[] = {
    {"box", "box:K", 0, false, Box},
    {"gaussian", "gaussian:K[:SIGMA]", 0, true, Gaussian},
    {"sharpen", "sharpen", 3, false, Sharpen},
    {"unsharp", "unsharp", 5, false, Unsharp},
    {"sobel-x", "sobel-x", 3, false, SobelX},
    {"sobel-y", "sobel-y", 3, false, SobelY},
    {"laplacian", "laplacian", 3, false, Laplacian},
    {"bilinear", "bilinear:F", 0, false, Bilinear},
};

const Entry* Find(std::string_view name) {
  for (const Entry& entry : kFilters) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace

bool IsFilter(std::string_view text) { return Find(text.substr(0, text.find(':'))) != nullptr; }

absl::StatusOr<Filter> ParseFilter(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, ':');
  const Entry* const entry = Find(parts[0]);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is no filter: expected one of {}", parts[0], FilterForms()));
  }
  const std::size_t most = 1 + (entry->size == 0 ? 1 : 0) + (entry->takes_parameter ? 1 : 0);
  const std::size_t least = 1 + (entry->size == 0 ? 1 : 0);
  if (parts.size() < least || parts.size() > most) {
    return absl::InvalidArgumentError(
        fmt::format("expected the form {}, got {}", entry->form, text));
  }
  const std::int64_t number = entry->size != 0 ? entry->size : ParseInteger(parts[1]).value_or(0);
  if (number < 1 || number > kMaxFilterSize) {
    return absl::InvalidArgumentError(fmt::format("expected {} with a number from 1 to {}, got {}",
                                                  entry->form, kMaxFilterSize, text));
  }
  double parameter = DefaultSigma(number);
  if (parts.size() == 3) parameter = ParseDouble(parts[2]).value_or(0);
  if (!(parameter > 0) || !std::isfinite(parameter)) {
    return absl::InvalidArgumentError(
        fmt::format("expected {} with a SIGMA above 0, got {}", entry->form, text));
  }
  Filter filter;
  filter.name = std::string(text);
  filter.size = number;
  if (entry->name == "bilinear") {
    filter.size = BilinearSize(number);
    filter.upsampling = number;
    filter.padding = (filter.size - number) / 2;
  }
  filter.values = entry->make(number, parameter);
  return filter;
}

std::string FilterForms() {
  std::vector<std::string_view> forms;
  for (const Entry& entry : kFilters) forms.push_back(entry.form);
  return fmt::format("{}", fmt::join(forms, ", "));
}

std::vector<std::string_view> FilterNames() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kFilters) names.push_back(entry.name);
  return names;
}

}  // namespace convserve::cli
