// Holds the split parser of tensors to the generated parser of protobuf: on the same bytes they
// must agree on whether there is a message and on what it says.
#ifndef CONVSERVE_TESTS_SUPPORT_DIFFERENTIAL_H_
#define CONVSERVE_TESTS_SUPPORT_DIFFERENTIAL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/byte_chain.h"
#include "proto/split_message.h"

namespace convserve {

// What the generated parser reads, or what the split parser reads with the data put back where it
// belongs, as bytes that are equal for equal messages; `ok` is false where the bytes are refused.
struct Reading {
  bool ok = false;
  std::string message;

  bool operator==(const Reading&) const = default;
};

namespace internal {

template <typename Message>
Reading Written(const Message& message) {
  return {true, message.SerializeAsString()};
}

inline std::string BytesOf(const ByteChain& chain, ByteRange range) {
  std::string whole;
  for (std::size_t i = 0; i < chain.pieces(); ++i) {
    const auto piece = chain.piece(i);
    whole.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return whole.substr(static_cast<std::size_t>(range.begin),
                      static_cast<std::size_t>(range.size()));
}

}  // namespace internal

template <typename Message>
Reading ReadWhole(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  return internal::Written(message);
}

// For the requests and responses that carry tensors.
template <typename Message>
Reading ReadSplit(const ByteChain& chain) {
  constexpr bool kRequest = requires(const Message& m) { m.input(); };
  const auto split = Split(chain, kRequest ? 3 : 1);
  Message message;
  if (!split.ok() || !message.ParseFromString(split->rest)) return {};
  const auto put_back = [&](std::size_t index, auto* tensor) {
    if (split->data[index].size() > 0) {
      tensor->set_data(internal::BytesOf(chain, split->data[index]));
    }
  };
  if constexpr (kRequest) {
    if (message.has_input()) put_back(0, message.mutable_input());
    if (message.has_weight()) put_back(1, message.mutable_weight());
    if (message.has_bias()) put_back(2, message.mutable_bias());
  } else {
    if (message.has_output()) put_back(0, message.mutable_output());
  }
  return internal::Written(message);
}

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SUPPORT_DIFFERENTIAL_H_
