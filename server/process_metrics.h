// What the kernel says about this process, under the names that Prometheus' own client libraries
// use.
#ifndef CONVSERVE_SERVER_PROCESS_METRICS_H_
#define CONVSERVE_SERVER_PROCESS_METRICS_H_

#include <vector>

namespace convserve {

struct ProcessMetric {
  const char* name;
  const char* help;
  double value;
  bool counter = false;  // otherwise a gauge
};

// What can be read: processor time, memory, file descriptors, the time of the start. Thread-safe.
std::vector<ProcessMetric> ProcessMetrics();

}  // namespace convserve

#endif  // CONVSERVE_SERVER_PROCESS_METRICS_H_
