// Memory of a caller that gRPC reads while it sends.
#ifndef CONVSERVE_CLIENT_LOAN_H_
#define CONVSERVE_CLIENT_LOAN_H_

#include "absl/synchronization/notification.h"
#include "proto/message_writer.h"

namespace convserve {

// Hands out a keeper, and ends only when its last copy is gone: gRPC may read what a call sends
// even after the call was cancelled or has failed, until it is through with the connection.
class Loan {
 public:
  Loan() : keeper_(this, [](Loan* loan) { loan->returned_.Notify(); }) {}
  ~Loan() {
    keeper_.reset();
    returned_.WaitForNotification();
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  const Keeper& keeper() const { return keeper_; }

 private:
  absl::Notification returned_;
  Keeper keeper_;
};

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_LOAN_H_
