#include "server/worker_threads.h"

#include <utility>

namespace convserve {

WorkerThreads::WorkerThreads(int count) {
  try {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Run(); });
  } catch (...) {
    End();
    throw;
  }
}

WorkerThreads::~WorkerThreads() { End(); }

void WorkerThreads::End() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  posted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerThreads::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    works_.push_back(std::move(work));
  }
  posted_.notify_one();
}

void WorkerThreads::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    posted_.wait(lock, [this] { return closed_ || !works_.empty(); });
    if (works_.empty()) return;
    const std::function<void()> work = std::move(works_.front());
    works_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace convserve
