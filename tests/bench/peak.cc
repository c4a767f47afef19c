#include "tests/bench/peak.h"

#include <algorithm>
#include <cstddef>

#include "oneapi/tbb/parallel_for.h"
#include "oneapi/tbb/partitioner.h"
#include "tests/bench/peak_kernels.h"

namespace convserve::bench {
namespace {

constexpr std::int64_t kFmaRounds = 1 << 14;
constexpr std::int64_t kFmaPiecesOfThread = 4;
constexpr std::int64_t kPieceBytes = 32 << 10;
// Larger outputs than this do not stay in any cache.
constexpr std::int64_t kPastCaches = std::int64_t{16} << 20;

template <typename Body>
void InPieces(std::int64_t pieces, int threads, Body body) {
  if (threads == 1) {
    for (std::int64_t i = 0; i < pieces; ++i) body(i);
  } else {
    tbb::parallel_for(std::int64_t{0}, pieces, body, tbb::static_partitioner());
  }
}

void Keep(float value) {
  volatile float kept = value;
  static_cast<void>(kept);
}

// Where piece `i` of `pieces` begins, on a cache line; what is less than a line at the end is left
// out.
std::size_t Cut(std::size_t bytes, std::int64_t i, std::int64_t pieces) {
  const std::size_t lines = bytes / AlignedBuffer::kAlignment;
  return lines * static_cast<std::size_t>(i) / static_cast<std::size_t>(pieces) *
         AlignedBuffer::kAlignment / sizeof(float);
}

}  // namespace

void FmaPeak::Run() {
  InPieces(kFmaPiecesOfThread * threads_, threads_,
           [](std::int64_t) { Keep(MultiplyAdds(kFmaRounds)); });
}

double FmaPeak::flops() const {
  return 2.0 * static_cast<double>(kFmaPiecesOfThread * threads_ * kFmaRounds * FmaRoundSize());
}

Stream::Stream(std::int64_t read_bytes, std::int64_t written_bytes, int threads)
    : source_(read_bytes), target_(written_bytes), threads_(threads) {
  std::fill(source_.span().begin(), source_.span().end(), std::byte{0});
  std::fill(target_.span().begin(), target_.span().end(), std::byte{0});
}

void Stream::Run() {
  const auto bytes = static_cast<std::int64_t>(source_.size() + target_.size());
  const std::int64_t pieces = bytes / kPieceBytes + 1;
  const auto* source = reinterpret_cast<const float*>(source_.data());
  auto* target = reinterpret_cast<float*>(target_.data());
  const bool past_caches = static_cast<std::int64_t>(target_.size()) > kPastCaches;
  InPieces(pieces, threads_, [&](std::int64_t i) {
    const std::size_t read = Cut(source_.size(), i, pieces);
    const std::size_t written = Cut(target_.size(), i, pieces);
    Keep(ReadAndWrite({source + read, Cut(source_.size(), i + 1, pieces) - read, target + written,
                       Cut(target_.size(), i + 1, pieces) - written, past_caches}));
  });
}

}  // namespace convserve::bench
