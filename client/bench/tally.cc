#include "client/bench/tally.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace convserve::bench {
namespace {

using std::chrono::nanoseconds;

constexpr int kPartBits = 7;
constexpr std::uint64_t kParts = 1 << kPartBits;  // of an octave

// Below 2 * kParts each nanosecond has a cell of its own.
std::size_t CellOf(std::uint64_t value) {
  const int shift = std::max(static_cast<int>(std::bit_width(value)) - kPartBits - 1, 0);
  return static_cast<std::size_t>(static_cast<std::uint64_t>(shift) * kParts + (value >> shift));
}

// The greatest value of the cell.
std::uint64_t EndOf(std::size_t cell) {
  if (cell < 2 * kParts) return cell;
  const std::uint64_t shift = cell / kParts - 1;
  return ((cell - shift * kParts + 1) << shift) - 1;
}

nanoseconds Mean(double sum, std::int64_t count) {
  return nanoseconds(count == 0 ? 0 : std::llround(sum / static_cast<double>(count)));
}

}  // namespace

Durations::Durations() : counts_(CellOf(static_cast<std::uint64_t>(kMost.count())) + 1) {}

void Durations::Add(nanoseconds duration) {
  const std::int64_t value = std::clamp<std::int64_t>(duration.count(), 0, kMost.count());
  ++counts_[CellOf(static_cast<std::uint64_t>(value))];
  ++count_;
  most_ = std::max(most_, value);
  sum_ += static_cast<double>(value);
}

void Durations::Merge(const Durations& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  most_ = std::max(most_, other.most_);
  sum_ += other.sum_;
}

nanoseconds Durations::mean() const { return Mean(sum_, count_); }

nanoseconds Durations::Percentile(double fraction) const {
  const auto rank = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(fraction * static_cast<double>(count_))));
  std::int64_t seen = 0;
  for (std::size_t cell = 0; cell < counts_.size(); ++cell) {
    seen += counts_[cell];
    if (seen >= rank) {
      return nanoseconds(std::min(static_cast<std::int64_t>(EndOf(cell)), most_));
    }
  }
  return nanoseconds(most_);
}

void Tally::Add(const Outcome& outcome) {
  if (!outcome.status.ok()) {
    Error& error = errors_.at(static_cast<std::size_t>(outcome.status.code()) % kCodes);
    if (error.count++ == 0) error.first = outcome.status;
    return;
  }
  latencies_.Add(outcome.latency);
  wrong_ += outcome.wrong ? 1 : 0;
  bytes_ += outcome.bytes;
  latency_ += static_cast<double>(outcome.latency.count());
  queue_ += static_cast<double>(outcome.queue.count());
  compute_ += static_cast<double>(outcome.compute.count());
}

void Tally::Merge(const Tally& other) {
  latencies_.Merge(other.latencies_);
  wrong_ += other.wrong_;
  bytes_ += other.bytes_;
  latency_ += other.latency_;
  queue_ += other.queue_;
  compute_ += other.compute_;
  for (std::size_t code = 0; code < kCodes; ++code) {
    if (errors_[code].count == 0) errors_[code].first = other.errors_[code].first;
    errors_[code].count += other.errors_[code].count;
  }
}

nanoseconds Tally::mean_queue() const { return Mean(queue_, answered()); }
nanoseconds Tally::mean_compute() const { return Mean(compute_, answered()); }

double Tally::server_share() const {
  return latency_ == 0 ? 0 : std::min(1.0, (queue_ + compute_) / latency_);
}

std::int64_t Tally::errors() const {
  std::int64_t sum = 0;
  for (const Error& error : errors_) sum += error.count;
  return sum;
}

std::int64_t Tally::errors(absl::StatusCode code) const {
  return errors_.at(static_cast<std::size_t>(code)).count;
}

const absl::Status& Tally::error(absl::StatusCode code) const {
  return errors_.at(static_cast<std::size_t>(code)).first;
}

absl::StatusCode Tally::most_frequent_error() const {
  const auto* const most =
      std::max_element(errors_.begin(), errors_.end(),
                       [](const Error& a, const Error& b) { return a.count < b.count; });
  return static_cast<absl::StatusCode>(most - errors_.begin());
}

}  // namespace convserve::bench
