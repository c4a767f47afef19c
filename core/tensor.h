// Tensors whose element type is known at run time: an owning one and a view.
#ifndef CONVSERVE_CORE_TENSOR_H_
#define CONVSERVE_CORE_TENSOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/aligned_buffer.h"
#include "core/data_type.h"

namespace convserve {

// Sizes or indices, one a dimension, outermost first. Row-major everywhere.
using Shape = absl::InlinedVector<std::int64_t, 5>;

// "[1, 3, 224, 224]".
std::string ToString(absl::Span<const std::int64_t> shape);

// The product of the sizes; nothing when a size is negative or the product of those that are not 0
// exceeds 2^63 - 1, as in NumPy: sizes of a tensor without elements are no larger than those of
// others. An empty shape is a scalar: 1.
std::optional<std::int64_t> ElementCount(absl::Span<const std::int64_t> shape);

// ElementCount times the element size, with the same meaning of "nothing".
std::optional<std::int64_t> ByteCount(DataType type, absl::Span<const std::int64_t> shape);

// A dense row-major tensor that somebody else owns. Cheap to copy.
struct TensorView {
  DataType data_type = DataType::kUnspecified;
  Shape shape = {};
  const std::byte* data = nullptr;

  template <typename T>
  const T* As() const {
    return reinterpret_cast<const T*>(data);
  }
};

// A dense row-major tensor that owns its elements, in memory aligned to 64 bytes. Movable, copied
// with Clone.
class Tensor {
 public:
  Tensor() = default;

  // Elements are left uninitialised. `shape` must have a ByteCount. Throws std::bad_alloc.
  Tensor(DataType type, Shape shape);

  // A copy of `values`, one an element of `shape`.
  template <typename T>
  static Tensor Of(Shape shape, std::span<const T> values) {
    Tensor tensor(DataTypeOf<T>, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.template As<T>());
    return tensor;
  }

  Tensor Clone() const;

  DataType data_type() const { return data_type_; }
  const Shape& shape() const { return shape_; }
  // Elements and bytes; 0 for a default-constructed tensor.
  std::int64_t size() const { return byte_count() == 0 ? 0 : byte_count() / SizeOf(data_type_); }
  std::int64_t byte_count() const {
    return elements_ ? static_cast<std::int64_t>(elements_->size()) : 0;
  }
  std::byte* data() { return elements_ ? elements_->data() : nullptr; }
  const std::byte* data() const { return elements_ ? elements_->data() : nullptr; }

  template <typename T>
  T* As() {
    return reinterpret_cast<T*>(data());
  }
  template <typename T>
  const T* As() const {
    return reinterpret_cast<const T*>(data());
  }

  TensorView view() const { return {data_type_, shape_, data()}; }

 private:
  DataType data_type_ = DataType::kUnspecified;
  Shape shape_;
  std::optional<AlignedBuffer> elements_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_TENSOR_H_
