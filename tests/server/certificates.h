// Certificates that tests make for themselves, with the openssl command.
#ifndef CONVSERVE_TESTS_SERVER_CERTIFICATES_H_
#define CONVSERVE_TESTS_SERVER_CERTIFICATES_H_

#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"
#include "tests/server/scratch.h"

namespace convserve {

// PEM texts.
struct Pair {
  std::string certificate;
  std::string key;
};

class Authority {
 public:
  Authority();

  // A certificate for localhost and 127.0.0.1 that ends in so many days; 0 and less: it has ended.
  Pair Issue(int days = 30) const;

  const std::string& certificate() const { return pair_.certificate; }

 private:
  ScratchFolder folder_;
  Pair pair_;
};

std::string FileText(const std::string& path);

// What a shell command prints on both streams; a failure of it fails the test.
std::string Output(const std::string& command);

// A connection of its own over TLS, that trusts `authority` and presents `pair` where there is one.
std::shared_ptr<grpc::Channel> TlsChannelTo(const std::string& address, const Authority& authority,
                                            const Pair& pair = {});

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_CERTIFICATES_H_
