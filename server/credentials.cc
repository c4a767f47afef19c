#include "server/credentials.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc/grpc.h"
#include "grpc/grpc_security.h"
#include "grpc/slice.h"
#include "grpcpp/security/server_credentials.h"
#include "proto/status.h"

namespace convserve {
namespace {

// What gRPC's callbacks work with. gRPC owns it, as the state of the guard's processor, and keeps
// it for as long as it may call.
struct State {
  std::shared_ptr<const CurrentTls> tls;
  std::shared_ptr<const Guard> guard;
  // What the last handshake used. gRPC holds a lock around each use.
  std::shared_ptr<const TlsMaterial> handed_over;
};

std::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

void Process(void* state, grpc_auth_context*, const grpc_metadata* metadata, std::size_t count,
             grpc_process_auth_metadata_done_cb done, void* call) {
  std::string_view path;
  std::vector<std::string_view> authorizations;
  std::vector<grpc_metadata> consumed;  // is kept from the service
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view key = View(metadata[i].key);
    if (key == ":path") path = View(metadata[i].value);
    if (key != "authorization") continue;
    authorizations.push_back(View(metadata[i].value));
    consumed.push_back(metadata[i]);
  }
  const absl::Status status = static_cast<State*>(state)->guard->Check(path, authorizations);
  done(call, consumed.data(), consumed.size(), nullptr, 0,
       static_cast<grpc_status_code>(status.code()),
       status.ok() ? nullptr : std::string(status.message()).c_str());
}

void Destroy(void* state) { delete static_cast<State*>(state); }

// Asked before each handshake.
grpc_ssl_certificate_config_reload_status Fetch(void* user_data,
                                                grpc_ssl_server_certificate_config** config) {
  State& state = *static_cast<State*>(user_data);
  auto material = state.tls->get();
  if (material == state.handed_over) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair = {material->key.c_str(),
                                           material->certificate_chain.c_str()};
  // Debian's gRPC aborts without authorities; where no caller is asked for a certificate, any do.
  const std::string& authorities =
      material->client_ca.empty() ? material->certificate_chain : material->client_ca;
  *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
  state.handed_over = std::move(material);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

grpc_server_credentials* Make(State& state) {
  if (state.tls == nullptr) return grpc_insecure_server_credentials_create();
  return grpc_ssl_server_credentials_create_with_options(
      grpc_ssl_server_credentials_create_options_using_config_fetcher(
          state.tls->get()->client_ca.empty()
              ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
              : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
          Fetch, &state));
}

class Credentials final : public grpc::ServerCredentials {
 public:
  explicit Credentials(std::unique_ptr<State> state) : credentials_(Make(*state)) {
    const auto process = state->guard == nullptr ? nullptr : Process;
    grpc_server_credentials_set_auth_metadata_processor(credentials_,
                                                        {process, Destroy, state.release()});
  }  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): Destroy deletes it.

  ~Credentials() override { grpc_server_credentials_release(credentials_); }

  // The guard is in place already.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(std::shared_ptr<const CurrentTls> tls,
                                                         std::shared_ptr<const Guard> guard) {
  return std::make_shared<Credentials>(std::make_unique<State>(
      State{.tls = std::move(tls), .guard = std::move(guard), .handed_over = nullptr}));
}

}  // namespace convserve
