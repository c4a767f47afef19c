// Server reflection: what `buf curl`, grpcurl and the like learn the contract from.
//
// gRPC's own holds a thread for each stream, open or idle, and has few: a handful of idle callers
// keeps all others out. A stream of this one holds its last request and answer, and no thread.
#ifndef CONVSERVE_SERVER_REFLECTION_H_
#define CONVSERVE_SERVER_REFLECTION_H_

#include <string>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace convserve {

class Reflection final : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  // Lists these services, by their full names, and itself; describes what this process knows.
  explicit Reflection(std::vector<std::string> services);

 private:
  class Stream;

  grpc::ServerBidiReactor<grpc::reflection::v1alpha::ServerReflectionRequest,
                          grpc::reflection::v1alpha::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

  std::vector<std::string> services_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_REFLECTION_H_
