// What Prometheus sees of this server: counters, gauges and histograms, in its text format.
//
//   convserve_calls_started_total{method}          calls that reached the service
//   convserve_calls_finished_total{method,code}    and what became of them
//   convserve_call_duration_seconds{method}        histogram: from arrival to answer
//   convserve_queue_duration_seconds{method}       histogram: the part before the computation
//   convserve_compute_duration_seconds{method}     histogram: the computation
//   convserve_request_bytes_total{method}          bytes of messages received, without framing
//   convserve_response_bytes_total{method}         and sent
//   convserve_rejections_total{reason}             calls and connections turned away
//   convserve_multiply_adds_total{algorithm}       of the calls that were computed
//   convserve_reloads_total{file,result}           rotations of certificates and tokens
//   convserve_files_broken{file}                   1 while those that changed cannot be used
//   convserve_calls_in_progress                    accepted and not yet answered
//   convserve_calls_waiting                        of these: in the queue
//   convserve_calls_computing                      of these: in a slot
//   convserve_connections                          open connections
//   convserve_in_flight_bytes                      memory that accepted calls hold
//   convserve_kept_bytes                           freed memory kept for the next calls
//   convserve_memory_limit_bytes, convserve_threads, convserve_max_requests,
//   convserve_max_connections                      what was configured
//   convserve_certificate_expiry_timestamp_seconds when the one in use ends; 0 without TLS
//   convserve_ready                                1 while calls are welcome, 0 once draining
//   convserve_log_events_dropped_total             lost to a blocked standard error
//   convserve_build_info                           1; labels version, grpc, instruction_set
//   process_...                                    as Prometheus' own client libraries have them
//
// Every label has a bounded set of values, none of them a caller's text. All series exist from the
// start, so that the first increase of a counter is seen, except for reasons, which come with the
// first rejection.
//
// Thread-safe.
#ifndef CONVSERVE_SERVER_METRICS_H_
#define CONVSERVE_SERVER_METRICS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/call_record.h"

namespace convserve {

class Metrics final : public CallObserver {
 public:
  // What stays as it is.
  struct Facts {
    std::string instruction_set = {};
    std::int64_t threads = 0;
    std::int64_t memory_limit_bytes = 0;
    std::int64_t max_requests = 0;
    std::int64_t max_connections = 0;
  };

  // What holds at a moment.
  struct Moment {
    bool ready = false;
    std::int64_t calls_in_progress = 0;
    std::int64_t calls_waiting = 0;
    std::int64_t calls_computing = 0;
    std::int64_t in_flight_bytes = 0;
    std::int64_t kept_bytes = 0;
    std::int64_t connections = 0;
    std::int64_t log_events_dropped = 0;
    std::int64_t certificate_expiry = 0;  // seconds since 1970
  };

  explicit Metrics(const Facts& facts);
  ~Metrics() override;

  void Started(std::string_view method) override;
  void Finished(const CallRecord& record) override;
  void NotTaken(std::string_view method, std::string_view request_id,
                std::string_view peer) override;

  // A call or connection that was turned away before it became a call of the service, or an answer
  // that nobody took. `reason` is a constant of the program.
  void Rejected(std::string_view reason);

  // A file ("tls" or "tokens") was read again.
  void Reloaded(std::string_view file, bool good);

  // All of it, in Prometheus' text format.
  std::string Text(const Moment& moment) const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_METRICS_H_
