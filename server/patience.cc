#include "server/patience.h"

#include <mutex>

namespace convserve {

struct Patience::Call {
  explicit Call(const grpc::CallbackServerContext* of) : context(of) {}

  std::mutex mutex;
  const grpc::CallbackServerContext* context;  // null once the call is over
  bool ended = false;
};

Patience::Patience(const grpc::CallbackServerContext& context, std::chrono::milliseconds time,
                   std::size_t bytes)
    : call_(std::make_shared<Call>(&context)) {
  constexpr std::size_t kLeastBytesPerSecond = std::size_t{128} << 10;
  const std::chrono::seconds to_take(bytes / kLeastBytesPerSecond);
  alarm_.Set(std::chrono::system_clock::now() + time + to_take, [call = call_](bool passed) {
    const std::lock_guard lock(call->mutex);
    if (!passed || call->context == nullptr) return;
    call->ended = true;
    call->context->TryCancel();
  });
}

bool Patience::ended() const {
  const std::lock_guard lock(call_->mutex);
  return call_->ended;
}

Patience::~Patience() {
  const std::lock_guard lock(call_->mutex);
  call_->context = nullptr;
}

}  // namespace convserve
