// Memory that requests leave behind, kept for the next ones: for a tensor that is passed through
// once, the system takes longer to clear and to map new pages than it takes to compute.
#ifndef CONVSERVE_SERVER_KEPT_MEMORY_H_
#define CONVSERVE_SERVER_KEPT_MEMORY_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

namespace convserve {

// Bounds what core/block_cache.h keeps: requests and kept blocks take no more than the budget
// together, but for a small part that is always kept. When nothing was asked for in a whole
// `period`, all else goes back to the system. Thread-safe.
class KeptMemory {
 public:
  explicit KeptMemory(std::int64_t budget,
                      std::chrono::milliseconds period = std::chrono::seconds(5));

  // A call came, also one that holds nothing.
  void Used() { used_ = true; }

  // Requests hold so many bytes of the budget from now on.
  void Held(std::int64_t bytes);

  // A message of so many bytes was freed. A long one goes back to the system if it was the first
  // for a while: the tensors that are allocated next would come on top of it.
  void MessageFreed(std::int64_t bytes);

 private:
  void GiveBackWhenIdle(const std::stop_token& stop);

  const std::int64_t budget_;
  const std::int64_t least_;
  const std::chrono::milliseconds period_;
  std::atomic<bool> used_ = false;
  std::atomic<bool> long_messages_ = false;  // came since it was idle
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

// Has the C library keep freed memory too. For a program that only serves: one setting for all of
// the process, made before its second thread.
void KeepFreedMemory();

}  // namespace convserve

#endif  // CONVSERVE_SERVER_KEPT_MEMORY_H_
