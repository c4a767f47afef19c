#include "client/cli/progress.h"

#include <condition_variable>
#include <mutex>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;
using ::testing::StartsWith;

// A stream that can be waited on until something was flushed into it.
class WatchedBuffer : public std::stringbuf {
 public:
  int sync() override {
    const std::lock_guard lock(mutex_);
    flushed_ = true;
    changed_.notify_all();
    return 0;
  }
  void WaitForFlush() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return flushed_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool flushed_ = false;
};

TEST(Progress, BlockMovesToTheEndAndBack) {
  EXPECT_EQ(ProgressLine(milliseconds(0)), "computing [======                  ] 0.0 s");
  EXPECT_EQ(ProgressLine(milliseconds(1250)), "computing [            ======      ] 1.2 s");
  EXPECT_EQ(ProgressLine(milliseconds(1800)), "computing [                  ======] 1.8 s");
  EXPECT_EQ(ProgressLine(milliseconds(3599)), "computing [ ======                 ] 3.5 s");
  EXPECT_EQ(ProgressLine(milliseconds(3600)), "computing [======                  ] 3.6 s");
}

TEST(Progress, ShortWorkLeavesTheTerminalAlone) {
  std::ostringstream err;
  { const Progress progress(err, std::chrono::hours(1)); }
  EXPECT_EQ(err.str(), "");
}

TEST(Progress, LongWorkIsDrawnAndWipedInTheEnd) {
  WatchedBuffer buffer;
  std::ostream err(&buffer);
  {
    const Progress progress(err, milliseconds(0));
    buffer.WaitForFlush();
  }
  EXPECT_THAT(buffer.str(), StartsWith("\rcomputing ["));
  EXPECT_THAT(buffer.str(), EndsWith(" s\r\x1b[K"));
}

}  // namespace
}  // namespace convserve::cli
