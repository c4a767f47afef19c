// Tells somebody who watches a terminal that work goes on.
#ifndef CONVSERVE_CLIENT_CLI_PROGRESS_H_
#define CONVSERVE_CLIENT_CLI_PROGRESS_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

namespace convserve::cli {

// The line for work that has taken `elapsed`: a server does not say how far it is, so a block moves
// along the bar.
std::string ProgressLine(std::chrono::milliseconds elapsed);

// From `delay` after its construction until its destruction, draws a moving bar with the time that
// has passed, over and over in one line of `err`; wipes the line in the end. Nobody else may write
// to `err` meanwhile.
class Progress {
 public:
  explicit Progress(std::ostream& err, std::chrono::milliseconds delay = std::chrono::seconds(1));
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void Draw(std::chrono::milliseconds delay);

  std::ostream& err_;
  std::mutex mutex_;
  std::condition_variable done_changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_PROGRESS_H_
