// Memory of a caller that gRPC reads while it sends.
#ifndef CONVSERVE_CLIENT_LOAN_H_
#define CONVSERVE_CLIENT_LOAN_H_

#include <condition_variable>
#include <mutex>

#include "proto/message_writer.h"

namespace convserve {

// Hands out a keeper, and ends only when its last copy is gone: gRPC may read what a call sends
// even after the call was cancelled or has failed, until it is through with the connection.
class Loan {
 public:
  Loan() : keeper_(this, [](Loan* loan) { loan->Return(); }) {}
  ~Loan() {
    keeper_.reset();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return returned_; });
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  const Keeper& keeper() const { return keeper_; }

 private:
  void Return() {
    const std::lock_guard lock(mutex_);
    returned_ = true;
    changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool returned_ = false;
  Keeper keeper_;
};

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_LOAN_H_
