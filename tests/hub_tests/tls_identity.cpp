// Makes self-signed certificates.
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

#include "test_server.h"

namespace bitaxon::test {
namespace {

struct Release {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};

void expect(bool success) {
  if (!success) throw std::runtime_error("OpenSSL cannot make a certificate");
}

void add_extension(X509* certificate, int what, const std::string& value) {
  const std::unique_ptr<X509_EXTENSION, Release> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
  expect(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

TlsIdentity::TlsIdentity(const std::string& host) : host_(host) {
  const std::unique_ptr<EVP_PKEY, Release> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Release> certificate(X509_new());
  expect(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -24 * 60 * 60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 60 * 60);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("a test"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  in_addr address{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), &address) == 1;
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate.get(), NID_subject_alt_name, (is_address ? "IP:" : "DNS:") + host);
  expect(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  context_.reset(SSL_CTX_new(TLS_server_method()));
  expect(context_ != nullptr && SSL_CTX_use_certificate(context_.get(), certificate.get()) == 1 &&
         SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
}

std::string TlsIdentity::certificate_pem() const {
  const std::unique_ptr<BIO, Release> text(BIO_new(BIO_s_mem()));
  expect(text != nullptr &&
         PEM_write_bio_X509(text.get(), SSL_CTX_get0_certificate(context_.get())) == 1);
  char* begin = nullptr;
  const long size = BIO_get_mem_data(text.get(), &begin);
  return {begin, static_cast<std::size_t>(size)};
}

}  // namespace bitaxon::test
