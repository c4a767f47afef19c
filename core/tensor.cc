#include "core/tensor.h"

#include <cstring>
#include <new>
#include <utility>

#include "fmt/format.h"

namespace convserve {

std::string ToString(absl::Span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<std::int64_t> ElementCount(absl::Span<const std::int64_t> shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : count;
}

std::optional<std::int64_t> ByteCount(DataType type, absl::Span<const std::int64_t> shape) {
  const auto count = ElementCount(shape);
  std::int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, SizeOf(type), &bytes)) return std::nullopt;
  return bytes;
}

Tensor::Tensor(DataType type, Shape shape) : data_type_(type), shape_(std::move(shape)) {
  const auto bytes = ByteCount(type, shape_);
  if (!bytes) throw std::bad_alloc();
  elements_.emplace(*bytes);
}

Tensor Tensor::Clone() const {
  if (!elements_) return {};
  Tensor copy(data_type_, shape_);
  std::memcpy(copy.data(), data(), elements_->size());
  return copy;
}

}  // namespace convserve
