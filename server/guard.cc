#include "server/guard.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace convserve {
namespace {

constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
constexpr std::string_view kScheme = "Bearer ";

}  // namespace

Guard::Guard(Tokens tokens, std::function<void(std::string_view path)> refused)
    : refused_(std::move(refused)), tokens_(std::make_shared<const Tokens>(std::move(tokens))) {}

absl::Status Guard::Check(std::string_view path,
                          const std::vector<std::string_view>& authorizations) const {
  if (path.starts_with(kHealth)) return absl::OkStatus();
  if (authorizations.size() == 1) {
    const std::string_view value = authorizations.front();
    const absl::string_view scheme(value.data(), std::min(value.size(), kScheme.size()));
    if (absl::EqualsIgnoreCase(scheme, {kScheme.data(), kScheme.size()}) &&
        Current()->Contain(value.substr(kScheme.size()))) {
      return absl::OkStatus();
    }
  }
  refused_(path);
  return absl::UnauthenticatedError(
      authorizations.empty()
          ? "authorization: expected metadata `authorization: Bearer TOKEN`, got none"
          : "authorization: expected one `Bearer TOKEN` with a token that this server knows");
}

void Guard::Replace(Tokens tokens) {
  auto replacement = std::make_shared<const Tokens>(std::move(tokens));
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(replacement);
}

std::shared_ptr<const Tokens> Guard::Current() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

}  // namespace convserve
