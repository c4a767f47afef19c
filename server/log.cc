#include "server/log.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "spdlog/async_logger.h"
#include "spdlog/details/thread_pool.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace convserve {
namespace {

constexpr std::size_t kMaxTextBytes = 2048;
constexpr std::size_t kQueuedEvents = 8192;

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

}  // namespace

struct Log::Sink {
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
    sink->writer = std::make_shared<spdlog::details::thread_pool>(kQueuedEvents, 1);
    sink->logger = std::make_shared<spdlog::async_logger>(
        "convserve", std::make_shared<spdlog::sinks::stderr_sink_mt>(), sink->writer,
        spdlog::async_overflow_policy::overrun_oldest);
    sink->logger->set_level(level);
    sink->logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
  }
  return std::unique_ptr<Log>(new Log(std::move(sink), json));
}

Log::Log(std::unique_ptr<Sink> sink, bool json) : sink_(std::move(sink)), json_(json) {}

Log::~Log() = default;

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
  return sink_->writer == nullptr ? 0 : static_cast<std::int64_t>(sink_->writer->overrun_counter());
}

}  // namespace convserve
