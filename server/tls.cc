#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "server/read_file.h"

namespace convserve {
namespace {

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

// A file as its option names it.
struct Source {
  const char* option;
  const std::string& path;
};

// The last reason that OpenSSL gave, where it gave one.
absl::Status Refuse(const Source& source, std::string_view what) {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return absl::FailedPreconditionError(
      fmt::format("{}: {}: {}{}", source.option, source.path, what,
                  reason == nullptr ? "" : fmt::format(" ({})", reason)));
}

Bio Open(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Without it OpenSSL asks the terminal for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::StatusOr<std::vector<Certificate>> ParseCertificates(const Source& source,
                                                           const std::string& text) {
  ERR_clear_error();
  std::vector<Certificate> certificates;
  const Bio bio = Open(text);
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(next);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end) ERR_clear_error();
  if (certificates.empty()) return Refuse(source, "no certificate in PEM form");
  if (!at_end) return Refuse(source, "a certificate does not parse");
  return certificates;
}

absl::StatusOr<std::int64_t> CheckDates(const Source& source, const X509& certificate) {
  const ASN1_TIME* begin = X509_get0_notBefore(&certificate);
  const ASN1_TIME* end = X509_get0_notAfter(&certificate);
  if (X509_cmp_current_time(begin) >= 0) return Refuse(source, "the certificate is not valid yet");
  if (X509_cmp_current_time(end) <= 0) return Refuse(source, "the certificate has expired");
  std::tm time{};
  ASN1_TIME_to_tm(end, &time);
  return timegm(&time);
}

// What a server does with them at the beginning of its life.
absl::Status TryOut(const Source& cert, const Source& key, const TlsMaterial& material,
                    std::vector<Certificate> chain) {
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1) {
    return Refuse(cert, "the certificate cannot be used");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) {
      return Refuse(cert, "a certificate of the chain cannot be used");
    }
  }
  const Bio bio = Open(material.key);
  const Key parsed(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (parsed == nullptr) return Refuse(key, "no private key in PEM form without a passphrase");
  if (SSL_CTX_use_PrivateKey(context.get(), parsed.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Refuse(key, fmt::format("the key does not belong to the certificate of {}", cert.path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsMaterial> ReadTls(const SecurityOptions& options) {
  const Source cert{"--tls-cert", options.tls_cert};
  const Source key{"--tls-key", options.tls_key};
  const Source client_ca{"--tls-client-ca", options.tls_client_ca};
  TlsMaterial material;
  for (const auto& [source, text] :
       {std::pair(cert, &material.certificate_chain), std::pair(key, &material.key),
        std::pair(client_ca, &material.client_ca)}) {
    if (source.path.empty()) continue;
    auto content = ReadFile(source.option, source.path);
    if (!content.ok()) return content.status();
    *text = *std::move(content);
  }
  auto chain = ParseCertificates(cert, material.certificate_chain);
  if (!chain.ok()) return chain.status();
  const auto expiry = CheckDates(cert, *chain->front());
  if (!expiry.ok()) return expiry.status();
  material.expires_at = *expiry;
  if (absl::Status status = TryOut(cert, key, material, *std::move(chain)); !status.ok()) {
    return status;
  }
  if (!client_ca.path.empty()) {
    const auto authorities = ParseCertificates(client_ca, material.client_ca);
    if (!authorities.ok()) return authorities.status();
  }
  return material;
}

}  // namespace convserve
