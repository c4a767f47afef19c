#include "server/log.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "spdlog/async_logger.h"
#include "spdlog/details/null_mutex.h"
#include "spdlog/details/thread_pool.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/base_sink.h"

namespace convserve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxTextBytes = 2048;
constexpr std::size_t kQueuedEvents = 8192;

// How long the end waits for those who do not read what is still queued.
constexpr std::chrono::seconds kPatience{1};

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::level::level_enum LevelOf(Severity severity) {
  return static_cast<spdlog::level::level_enum>(severity);
}

std::string Quoted(std::string_view text) {
  const std::string cut(text.substr(0, kMaxTextBytes));
  using Json = nlohmann::json;
  return Json(cut).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

bool StandsBare(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTextBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
         });
}

std::string Number(double number) {
  return std::isfinite(number) ? fmt::format("{:.6g}", number) : "null";
}

void Append(std::string& line, const LogField& field, bool json) {
  if (json) {
    fmt::format_to(std::back_inserter(line), ",\"{}\":", field.name);
  } else {
    fmt::format_to(std::back_inserter(line), " {}=", field.name);
  }
  struct Visitor {
    bool json;
    std::string operator()(std::string_view text) const {
      return json || !StandsBare(text) ? Quoted(text) : std::string(text);
    }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(double number) const { return Number(number); }
  };
  line += std::visit(Visitor{json}, field.value);
}

// Standard error. Whoever reads it may have stopped, so nothing is written that might block.
class StandardError final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  // From then on what does not find room at once is dropped. From any thread.
  void EndAt(Clock::time_point end) { end_ = end; }
  // Events that were not written, or not as a whole.
  std::int64_t lost() const { return lost_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& event) override {
    spdlog::memory_buf_t line;
    formatter_->format(event, line);
    std::string_view rest(line.data(), line.size());
    while (!rest.empty() && AwaitRoom()) {
      // So much fits into a pipe that has room.
      const ssize_t size =
          write(STDERR_FILENO, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
      if (size < 0) break;
      rest.remove_prefix(static_cast<std::size_t>(size));
    }
    if (!rest.empty()) ++lost_;
  }
  void flush_() override {}

 private:
  bool AwaitRoom() const {
    constexpr int kLookMilliseconds = 100;
    pollfd room{STDERR_FILENO, POLLOUT, 0};
    while (true) {
      const bool ended = Clock::now() >= end_.load();
      if (poll(&room, 1, ended ? 0 : kLookMilliseconds) != 0) return true;
      if (ended) return false;
    }
  }

  std::atomic<Clock::time_point> end_ = Clock::time_point::max();
  std::atomic<std::int64_t> lost_ = 0;
};

}  // namespace

struct Log::Sink {
  std::shared_ptr<StandardError> error;
  std::shared_ptr<spdlog::details::thread_pool> writer;
  std::shared_ptr<spdlog::logger> logger;
};

absl::StatusOr<std::unique_ptr<Log>> Log::Make(const Options& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(fmt::format(
        "--log-level: expected trace, debug, info, warning, error, critical or off, got {}",
        options.level));
  }
  const bool json = options.format == "json";
  if (!json && options.format != "text") {
    return absl::InvalidArgumentError(
        fmt::format("--log-format: expected text or json, got {}", options.format));
  }
  auto sink = std::make_unique<Sink>();
  if (level != spdlog::level::off) {
    sink->error = std::make_shared<StandardError>();
    sink->writer = std::make_shared<spdlog::details::thread_pool>(kQueuedEvents, 1);
    sink->logger = std::make_shared<spdlog::async_logger>(
        "convserve", sink->error, sink->writer, spdlog::async_overflow_policy::overrun_oldest);
    sink->logger->set_level(level);
    sink->logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
  }
  return std::unique_ptr<Log>(new Log(std::move(sink), json));
}

Log::Log(std::unique_ptr<Sink> sink, bool json) : sink_(std::move(sink)), json_(json) {}

Log::~Log() {
  if (sink_->error != nullptr) sink_->error->EndAt(Clock::now() + kPatience);
}

bool Log::Wants(Severity severity) const {
  return sink_->logger != nullptr && sink_->logger->should_log(LevelOf(severity));
}

void Log::Write(Severity severity, std::string_view event,
                absl::Span<const LogField> fields) noexcept {
  if (!Wants(severity)) return;
  try {
    std::string line = json_ ? fmt::format("\"event\":\"{}\"", event) : std::string(event);
    for (const LogField& field : fields) Append(line, field, json_);
    sink_->logger->log(LevelOf(severity), spdlog::string_view_t(line));
  } catch (...) {
  }
}

std::int64_t Log::dropped() const {
  if (sink_->writer == nullptr) return 0;
  return static_cast<std::int64_t>(sink_->writer->overrun_counter()) + sink_->error->lost();
}

}  // namespace convserve
