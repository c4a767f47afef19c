// Threads that take up work one piece after the other. oneTBB shares a computation among threads
// well; but of tasks that were enqueued in an arena, some were begun only when another arena's work
// had ended, though threads slept. What must begin, begins here.
#ifndef CONVSERVE_SERVER_WORKER_THREADS_H_
#define CONVSERVE_SERVER_WORKER_THREADS_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace convserve {

class WorkerThreads {
 public:
  // Throws std::system_error where so many threads are not to be had; none is left then.
  explicit WorkerThreads(int count);

  // Ends when all that was posted has been done.
  ~WorkerThreads();

  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // Has the work done by one of the threads, in the order in which it is posted. The work must not
  // throw. Throws std::bad_alloc; nothing is done then. Thread-safe.
  void Post(std::function<void()> work);

 private:
  void Run();
  void End();

  std::mutex mutex_;
  std::condition_variable posted_;
  bool closed_ = false;
  std::deque<std::function<void()>> works_;
  std::vector<std::thread> threads_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_WORKER_THREADS_H_
