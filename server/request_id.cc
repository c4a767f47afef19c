#include "server/request_id.h"

#include <algorithm>
#include <random>

#include "absl/strings/ascii.h"
#include "fmt/format.h"

namespace convserve {
namespace {

bool IsId(std::string_view text) {
  constexpr std::string_view kOthers = "-_.:/+=";
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  kOthers.find(c) != std::string_view::npos;
         });
}

std::mt19937_64 Seeded() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

std::string RequestId(std::string_view given) {
  if (IsId(given)) return std::string(given);
  thread_local std::mt19937_64 random = Seeded();
  return fmt::format("{:016x}", random());
}

}  // namespace convserve
