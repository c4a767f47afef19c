// The access log: an event for each call that ended, with all that explains it.
//
//   call method=Conv code=OK id=4f2c9a01d37be865 peer=ipv4:10.0.0.7:40112 ms=3.121 queue_ms=0.02
//        compute_ms=2.97 bytes_in=602214 bytes_out=3211307 algorithm=gemm
//        problem="Conv float32 1x3x224x224 ..."
//
// Failures carry `reason`, where there is one, and `error`. Tensors' elements and credentials are
// never logged.
#ifndef CONVSERVE_SERVER_ACCESS_LOG_H_
#define CONVSERVE_SERVER_ACCESS_LOG_H_

#include "server/call_record.h"
#include "server/log.h"

namespace convserve {

class AccessLog final : public CallObserver {
 public:
  // Of the calls that succeed the share `sample`, 0 to 1, is logged, chosen by chance; of those
  // that fail every one. `log` outlives this.
  AccessLog(Log& log, double sample) : log_(log), sample_(sample) {}

  void Started(std::string_view) override {}
  void Finished(const CallRecord& record) override;
  void NotTaken(std::string_view method, std::string_view request_id,
                std::string_view peer) override;

 private:
  Log& log_;
  const double sample_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_ACCESS_LOG_H_
