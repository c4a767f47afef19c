// Conv and ConvTranspose without a thread that waits.
#ifndef CONVSERVE_CLIENT_ASYNC_CALL_H_
#define CONVSERVE_CLIENT_ASYNC_CALL_H_

#include <memory>
#include <string>

#include "client/channel_pool.h"
#include "client/convolution_client.h"
#include "proto/raw_request.h"

namespace convserve {

struct AsyncCall {
  std::shared_ptr<ChannelPool> pool;  // kept until the call has ended
  ClientOptions options;
  std::string method;  // "/package.Service/Method"
  TensorRequest request;
  CallOptions call;
  ConvCallback done;
};

// Starts the call. `done` is told once, when the call has ended and nothing reads its operands any
// more: on a thread of gRPC, or here where nothing is sent. Throws std::bad_alloc; `done` is then
// not told.
void Start(AsyncCall call);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_ASYNC_CALL_H_
