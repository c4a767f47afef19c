// What the server tells its operators: one event a line, on standard error.
//
//   log.Write(Severity::kInfo, "serving", {{"address", "127.0.0.1:50051"}, {"threads", 8}});
//
//   text  2026-11-21T06:10:11.123Z info serving address=127.0.0.1:50051 threads=8
//   json  {"time":"2026-11-21T06:10:11.123Z","level":"info","event":"serving",
//          "address":"127.0.0.1:50051","threads":8}      (on one line)
//
// Strings are escaped as in JSON and cut to 2 KiB: whatever a request contains, an event stays on
// its line and its fields apart. In text a string that needs no escape and has no space stands
// bare.
//
// Lines are written by a thread of their own from a bounded queue. When standard error blocks, the
// oldest waiting events are dropped and counted; a call never waits for it.
//
// Thread-safe.
#ifndef CONVSERVE_SERVER_LOG_H_
#define CONVSERVE_SERVER_LOG_H_

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace convserve {

enum class Severity { kTrace, kDebug, kInfo, kWarning, kError, kCritical };

// One `name=value` of an event. Names are the program's own: they are not escaped.
struct LogField {
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text)
      : LogField(field, std::string_view(text)) {}
  LogField(std::string_view field, const char* text) : LogField(field, std::string_view(text)) {}
  LogField(std::string_view field, std::integral auto number)
      : name(field), value(static_cast<std::int64_t>(number)) {}
  LogField(std::string_view field, bool truth) : name(field), value(truth) {}
  LogField(std::string_view field, double number) : name(field), value(number) {}

  std::string_view name;
  std::variant<std::string_view, std::int64_t, bool, double> value;
};

class Log {
 public:
  struct Options {
    // The least severity that is written: "trace", "debug", "info", "warning", "error", "critical"
    // or "off".
    std::string level = "off";
    // "text" or "json".
    std::string format = "text";
  };

  // INVALID_ARGUMENT for a level or a format that does not exist.
  static absl::StatusOr<std::unique_ptr<Log>> Make(const Options& options);

  // Writes what is still queued, as far as standard error takes it within a second.
  ~Log();

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool Wants(Severity severity) const;

  // Never throws: an event for which there is no memory is lost.
  void Write(Severity severity, std::string_view event,
             absl::Span<const LogField> fields = {}) noexcept;

  // Events that were dropped because they came faster than they could be written.
  std::int64_t dropped() const;

 private:
  struct Sink;
  Log(std::unique_ptr<Sink> sink, bool json);

  const std::unique_ptr<Sink> sink_;
  const bool json_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_LOG_H_
