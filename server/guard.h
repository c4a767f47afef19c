// Who may call what: asked by gRPC for every call on every address, before its message is read and
// before it is known which service answers it. Methods of this service, reflection, channelz and
// methods that do not exist are all the same to it: what is not allowed here is refused.
#ifndef CONVSERVE_SERVER_GUARD_H_
#define CONVSERVE_SERVER_GUARD_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/tokens.h"

namespace convserve {

class Guard {
 public:
  // `refused` is told of each call that is refused, with its path; from many threads.
  Guard(Tokens tokens, std::function<void(std::string_view path)> refused);

  // OK, or UNAUTHENTICATED for a call of `path` ("/package.Service/Method") whose metadata has
  // these values of `authorization`. Health checks need no token. Thread-safe.
  absl::Status Check(std::string_view path,
                     const std::vector<std::string_view>& authorizations) const;

  // From the next call on these tokens count. Thread-safe.
  void Replace(Tokens tokens);

 private:
  std::shared_ptr<const Tokens> Current() const;

  const std::function<void(std::string_view path)> refused_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Tokens> tokens_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_GUARD_H_
