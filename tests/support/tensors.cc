#include "tests/support/tensors.h"

#include <cstring>

namespace convserve::testing {
namespace {

// Calls `visit(offset, index)` for every element, offsets ascending.
template <typename Visit>
void ForEachIndex(const Shape& shape, Visit&& visit) {
  const std::int64_t count = ElementCount(shape).value();
  Shape index(shape.size(), 0);
  for (std::int64_t offset = 0; offset < count; ++offset) {
    visit(offset, index);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

std::int64_t Offset(const Shape& shape, const Shape& index) {
  std::int64_t offset = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    offset = offset * shape[axis] + index[axis];
  }
  return offset;
}

void CopyElement(const Tensor& from, std::int64_t from_offset, Tensor& to, std::int64_t to_offset) {
  const std::int64_t size = SizeOf(from.data_type());
  std::memcpy(to.data() + to_offset * size, from.data() + from_offset * size,
              static_cast<std::size_t>(size));
}

}  // namespace

Tensor MakeTensor(DataType type, Shape shape, const std::vector<double>& values) {
  Tensor tensor(type, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) {
    StoreFromDouble(type, tensor.data(), static_cast<std::int64_t>(i), values[i]);
  }
  return tensor;
}

Tensor Filled(DataType type, Shape shape, double value) {
  const auto count = static_cast<std::size_t>(ElementCount(shape).value());
  return MakeTensor(type, std::move(shape), std::vector<double>(count, value));
}

Tensor RandomIntegers(std::mt19937& random, DataType type, Shape shape, int largest) {
  std::uniform_int_distribution<int> magnitude(1, largest);
  std::bernoulli_distribution negative;
  std::vector<double> values(static_cast<std::size_t>(ElementCount(shape).value()));
  for (double& value : values) value = magnitude(random) * (negative(random) ? -1 : 1);
  return MakeTensor(type, std::move(shape), values);
}

std::vector<double> ToDoubles(const TensorView& tensor) {
  std::vector<double> values(static_cast<std::size_t>(ElementCount(tensor.shape).value()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = LoadAsDouble(tensor.data_type, tensor.data, static_cast<std::int64_t>(i));
  }
  return values;
}

bool SameBits(const TensorView& left, const TensorView& right) {
  if (left.data_type != right.data_type || left.shape != right.shape) return false;
  const auto bytes = static_cast<std::size_t>(ByteCount(left.data_type, left.shape).value());
  return bytes == 0 || std::memcmp(left.data, right.data, bytes) == 0;
}

Tensor Slice(const Tensor& tensor, std::size_t axis, std::pair<std::int64_t, std::int64_t> range) {
  Shape shape = tensor.shape();
  shape[axis] = range.second - range.first;
  Tensor slice(tensor.data_type(), shape);
  ForEachIndex(shape, [&](std::int64_t offset, Shape index) {
    index[axis] += range.first;
    CopyElement(tensor, Offset(tensor.shape(), index), slice, offset);
  });
  return slice;
}

Tensor Reversed(const Tensor& tensor, std::size_t first_axis) {
  Tensor reversed(tensor.data_type(), tensor.shape());
  ForEachIndex(tensor.shape(), [&](std::int64_t offset, Shape index) {
    for (std::size_t axis = first_axis; axis < index.size(); ++axis) {
      index[axis] = tensor.shape()[axis] - 1 - index[axis];
    }
    CopyElement(tensor, Offset(tensor.shape(), index), reversed, offset);
  });
  return reversed;
}

}  // namespace convserve::testing
