// The threads that gRPC's callbacks run on.
#ifndef CONVSERVE_PROTO_CALLBACK_THREADS_H_
#define CONVSERVE_PROTO_CALLBACK_THREADS_H_

namespace convserve {

// Keeps them from now on to the end of the process. gRPC 1.51 ends them with the last channel or
// server that uses them and starts others with the next one, and now and then aborts in between.
// Thread-safe; only the first call does anything.
void KeepCallbackThreads();

}  // namespace convserve

#endif  // CONVSERVE_PROTO_CALLBACK_THREADS_H_
