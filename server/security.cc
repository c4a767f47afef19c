#include "server/security.h"

#include <utility>

#include "fmt/format.h"
#include "grpcpp/security/server_credentials.h"
#include "server/credentials.h"
#include "server/guard.h"
#include "server/listen.h"
#include "server/read_file.h"
#include "server/tls.h"
#include "server/tokens.h"

namespace convserve {
namespace {

absl::Status CheckCombination(const SecurityOptions& options,
                              const std::vector<std::string>& listen) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{} is missing: --tls-cert and --tls-key go together",
                    options.tls_cert.empty() ? "--tls-cert" : "--tls-key"));
  }
  const bool tls = !options.tls_cert.empty();
  if (!options.tls_client_ca.empty() && !tls) {
    return absl::InvalidArgumentError("--tls-client-ca: expected --tls-cert and --tls-key with it");
  }
  if (options.token_file.empty() || tls || options.plaintext_tokens) return absl::OkStatus();
  for (const std::string& address : listen) {
    if (IsLocal(address)) continue;
    return absl::FailedPreconditionError(
        fmt::format("--token-file: tokens would reach {} in the clear; add --tls-cert and "
                    "--tls-key, or --plaintext-tokens where something else encrypts them",
                    address));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tokens> ReadTokens(const std::string& path) {
  constexpr char kOption[] = "--token-file";
  auto text = ReadFile(kOption, path);
  if (!text.ok()) return text.status();
  auto tokens = Tokens::Parse(*text);
  if (tokens.ok()) return tokens;
  return absl::FailedPreconditionError(
      fmt::format("{}: {}: {}", kOption, path, std::string(tokens.status().message())));
}

}  // namespace

// Files that are read together.
struct Security::Watched {
  std::string_view name;
  std::vector<std::string> paths;
  absl::Status (Security::*load)();

  std::string used = {};    // the signatures of what is in use
  std::string seen = {};    // of what was broken at the last look, with the reason,
  std::string broken = {};  // of what was reported as broken

  std::string Signatures() const {
    std::string all;
    for (const std::string& path : paths) all += Signature(path) + '\n';
    return all;
  }
};

Security::Security(SecurityOptions options, Observer observer)
    : options_(std::move(options)), observer_(std::move(observer)) {}

absl::StatusOr<std::unique_ptr<Security>> Security::Open(const SecurityOptions& options,
                                                         const std::vector<std::string>& listen,
                                                         Observer observer) {
  if (absl::Status status = CheckCombination(options, listen); !status.ok()) return status;
  std::unique_ptr<Security> security(new Security(options, std::move(observer)));
  if (!options.tls_cert.empty()) {
    security->watched_.push_back(
        {"tls", {options.tls_cert, options.tls_key, options.tls_client_ca}, &Security::LoadTls});
  }
  if (!options.token_file.empty()) {
    security->watched_.push_back({"tokens", {options.token_file}, &Security::LoadTokens});
  }
  for (Watched& files : security->watched_) {
    // Taken before the files are read: what changes meanwhile is read again.
    files.used = files.Signatures();
    if (absl::Status status = (security.get()->*files.load)(); !status.ok()) return status;
  }
  if (security->watched_.empty()) {
    security->credentials_ = grpc::InsecureServerCredentials();
  } else {
    security->credentials_ = MakeCredentials(security->tls_, security->guard_);
    security->watcher_ = std::thread([watching = security.get()] { watching->Watch(); });
  }
  return security;
}

Security::~Security() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

std::int64_t Security::certificate_expires_at() const {
  return tls_ == nullptr ? 0 : tls_->get()->expires_at;
}

absl::Status Security::LoadTls() {
  auto material = ReadTls(options_);
  if (!material.ok()) return material.status();
  if (tls_ == nullptr) {
    tls_ = std::make_shared<CurrentTls>(*std::move(material));
  } else {
    tls_->Replace(*std::move(material));
  }
  return absl::OkStatus();
}

absl::Status Security::LoadTokens() {
  auto tokens = ReadTokens(options_.token_file);
  if (!tokens.ok()) return tokens.status();
  if (guard_ == nullptr) {
    guard_ = std::make_shared<Guard>(*std::move(tokens), observer_.refused);
  } else {
    guard_->Replace(*std::move(tokens));
  }
  return absl::OkStatus();
}

void Security::Watch() {
  std::unique_lock lock(mutex_);
  while (!end_.wait_for(lock, options_.reload_interval, [this] { return ended_; })) {
    for (Watched& files : watched_) LookAt(files);
  }
}

void Security::LookAt(Watched& files) {
  std::string present = files.Signatures();
  if (present == files.used) {
    files.seen.clear();
    // What is in use again is good news, and what breaks after it is news as well.
    if (!std::exchange(files.broken, {}).empty()) {
      observer_.reloaded(files.name, absl::OkStatus());
    }
    return;
  }
  // What changes while it is read is read again, and reported once.
  constexpr int kMostReads = 3;
  absl::Status status;
  for (int reads = 1;; ++reads) {
    status = (this->*files.load)();
    std::string after = files.Signatures();
    if (after == present || reads == kMostReads) break;
    present = std::move(after);
  }
  if (status.ok()) {
    files.used = std::move(present);
    files.seen.clear();
    files.broken.clear();
  } else {
    // Broken files may become good without a change of their own: a certificate begins to count, a
    // key may be read. So they are read at every look, and reported once.
    std::string found = present + std::string(status.message());
    if (found == files.broken) return;
    // A rotation changes several files one after the other: what is broken counts only once it
    // stays so for two looks.
    if (found != files.seen) {
      files.seen = std::move(found);
      return;
    }
    files.broken = std::move(found);
  }
  observer_.reloaded(files.name, status);
}

}  // namespace convserve
