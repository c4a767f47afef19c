#include "tests/server/certificates.h"

#include <cstdio>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace convserve {
namespace {

constexpr char kNewKey[] = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

}  // namespace

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Output(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char block[4096];
  for (std::size_t n = 0; (n = fread(block, 1, sizeof(block), pipe)) > 0;) text.append(block, n);
  EXPECT_EQ(pclose(pipe), 0) << command << '\n' << text;
  return text;
}

Authority::Authority() {
  const std::string cert = folder_.path("ca.pem");
  const std::string key = folder_.path("ca.key");
  Output(std::string(kNewKey) + " -subj /CN=authority -days 30 -out " + cert + " -keyout " + key);
  pair_ = {FileText(cert), FileText(key)};
}

Pair Authority::Issue(int days) const {
  const std::string cert = folder_.path("issued.pem");
  const std::string key = folder_.path("issued.key");
  const std::string request = folder_.path("issued.csr");
  const std::string names = folder_.Write("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  Output("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=issued -out " +
         request + " -keyout " + key);
  Output("openssl x509 -req -in " + request + " -CA " + folder_.path("ca.pem") + " -CAkey " +
         folder_.path("ca.key") + " -CAcreateserial -extfile " + names + " -days " +
         std::to_string(days) + " -out " + cert);
  return {FileText(cert), FileText(key)};
}

std::shared_ptr<grpc::Channel> TlsChannelTo(const std::string& address, const Authority& authority,
                                            const Pair& pair) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      address, grpc::SslCredentials({authority.certificate(), pair.key, pair.certificate}),
      arguments);
}

}  // namespace convserve
