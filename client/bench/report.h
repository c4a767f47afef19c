// A load's result in words and in JSON.
#ifndef CONVSERVE_CLIENT_BENCH_REPORT_H_
#define CONVSERVE_CLIENT_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "client/bench/load.h"

namespace convserve::bench {

struct ReportHead {
  double rate = 0;  // 0: closed loop
  int concurrency = 1;
  int connections = 1;
  bool verified = false;
  std::vector<std::string> kinds;  // names
};

// Several lines: a table with a row for all and one a kind where there are several, the errors by
// code, the server's share of the time.
std::string TextReport(const ReportHead& head, const LoadResult& result);

// One line, an object: seconds, loop, intended_rate, concurrency, connections, verified, and for
// all and each of `kinds` answered, wrong, errors (by code), rate (answers a second),
// megabytes_per_second (10^6, tensors there and back), latency_ms {mean, p50, p90, p99, p99_9,
// max}, server_ms {queue, compute} (means) and server_share.
std::string JsonReport(const ReportHead& head, const LoadResult& result);

// One line about a load that goes on.
std::string ProgressReport(const LoadResult& so_far);

}  // namespace convserve::bench

#endif  // CONVSERVE_CLIENT_BENCH_REPORT_H_
