// Tests of downloads over https: which certificates are trusted, and that a redirect must not lead
// from https to http.
#include <gtest/gtest.h>

#include "fake_hub.h"

namespace bitaxon::test {
namespace {

/// A test with a second server for the same hub. The second server uses TLS.
class TlsTest : public HubTest {
 protected:
  TlsTest() {
    hub_.add("config.json", "{}", false);
    write_file(cache_ / "certificate", identity_.certificate_pem());
    surroundings_.environment["HF_ENDPOINT"] = secure_.url();
    surroundings_.environment["HF_TOKEN"] = "hf_secret";
    surroundings_.environment["CURL_CA_BUNDLE"] = (cache_ / "certificate").string();
  }

  TlsIdentity identity_{"127.0.0.1"};
  std::string location_;  ///< where the files are; empty: on this server
  TestServer secure_{[this](const Connection& connection, const SeenRequest& request) {
                       if (request.target.starts_with("/api/"))
                         connection.answer(200, hub_.listing.dump());
                       else if (location_.empty())
                         connection.answer(200, "{}");
                       else
                         connection.answer(302, "", "Location: " + location_ + "\r\n");
                     },
                     &identity_};
};

TEST_F(TlsTest, AcceptsATrustedCertificate) {
  for (const char* name : {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    surroundings_.environment.erase("CURL_CA_BUNDLE");
    surroundings_.environment[name] = (cache_ / "certificate").string();
    const Finished finished = run_download();
    EXPECT_EQ(finished.status, 0) << name << finished.describe();
    expect_all_here();
    surroundings_.environment.erase(name);
    std::filesystem::remove_all(repository());
  }
}

TEST_F(TlsTest, RefusesAnUntrustedCertificate) {
  surroundings_.environment.erase("CURL_CA_BUNDLE");
  expect_refusal({}, 1, {secure_.url(), "certificate"});
  surroundings_.environment["CURL_CA_BUNDLE"] = (cache_ / "none").string();
  expect_refusal({}, 1, {secure_.url(), "certificate", (cache_ / "none").string()});
  EXPECT_TRUE(secure_.requests().empty());
}

TEST_F(TlsTest, RefusesACertificateForAnotherHost) {
  const TlsIdentity other("127.0.0.2");
  const TestServer server([](const Connection&, const SeenRequest&) {}, &other);
  write_file(cache_ / "certificate", other.certificate_pem());
  const std::string url = "https://127.0.0.1:" + std::to_string(server.port());
  surroundings_.environment["HF_ENDPOINT"] = url;
  expect_refusal({}, 1, {url, "127.0.0.1"});
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(TlsTest, RefusesRedirectsToHttp) {
  location_ = "http://192.0.2.1/config.json";
  expect_refusal({}, 1, {"redirect from " + secure_.url(), "expected https://"});
  // A server on the network must not be able to make the program send requests to servers on this
  // machine.
  const TestServer plain(
      [](const Connection& connection, const SeenRequest&) { connection.answer(200, "{}"); });
  location_ = plain.url() + "/config.json";
  expect_refusal({}, 1, {"redirect from " + secure_.url(), "expected https://", plain.url()});
  EXPECT_TRUE(plain.requests().empty());
  EXPECT_EQ(secure_.requests().back().field("authorization"), "Bearer hf_secret");
}

}  // namespace
}  // namespace bitaxon::test
