// Tests of downloads through a proxy. The program must not mistake the proxy's answer to CONNECT
// for the hub's answer.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

const TlsIdentity& identity() {
  static const TlsIdentity of_hub("hub.test");
  return of_hub;
}

/// A hub that only the proxy can reach. Name servers do not know its host name, hub.test.
class ProxyTest : public HubTest {
 protected:
  ProxyTest() : HubTest(&identity()) {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("config.json", "{}", false);
    write_file(cache_ / "certificate", identity().certificate_pem());
    set_variable("CURL_CA_BUNDLE", (cache_ / "certificate").string());
    set_variable("https_proxy", proxy_.url());
  }
  void expect_refusal_of_proxy(std::initializer_list<std::string_view> fragments) {
    expect_refusal({}, 1, fragments);
    EXPECT_EQ(proxy_.requests().size(), 1U) << "no retry";
    EXPECT_TRUE(hub_.server.requests().empty());
  }

  Hook on_connect_;     ///< if set, answers CONNECT in place of the proxy
  std::string fields_;  ///< header fields of the proxy's answer to CONNECT
  TestServer proxy_{[this](const Connection& connection, const SeenRequest& request) {
    if (on_connect_(connection, request)) return;
    EXPECT_EQ(request.method, "CONNECT");
    EXPECT_TRUE(request.target.starts_with("hub.test:")) << request.target;
    connection.send("HTTP/1.1 200 Connection established\r\n" + fields_ + "\r\n");
    connection.tunnel_to(std::stoi(request.target.substr(request.target.find(':') + 1)));
  }};
};

TEST_F(ProxyTest, DownloadsThroughAProxy) {
  const Finished finished = run_download();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
  expect_all_here();
}

TEST_F(ProxyTest, ContinuesAPartialFile) {
  for (const char* fields : {"", "Proxy-Agent: squid\r\n",
                             "ETag: \"proxy\"\r\nContent-Range: bytes 0-1/2\r\nLocation: /x\r\n"}) {
    fields_ = fields;
    leave_partial("model.safetensors", some_bytes(100'000));
    download();
    EXPECT_EQ(hub_.fetches().back().field("range"), "bytes=100000-");
    expect_all_here();
    fs::remove_all(repository());
  }
}

TEST_F(ProxyTest, ContinuesAfterABrokenConnection) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    if (request.first_byte() > 0) return false;
    connection.send_head(200, "ETag: \"tag\"\r\nContent-Length: 300000\r\n");
    connection.send(hub_.contents("model.safetensors").substr(0, 120'000));
    return true;
  };
  download();
  EXPECT_EQ(hub_.fetches().back().field("range"), "bytes=120000-");
  expect_all_here();
}

TEST_F(ProxyTest, ReopensConnectionsThatWereClosed) {
  // The HTTP version of the answer means that the connection stays open, but the server closes the
  // connection.
  hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
    const std::string listing = hub_.listing.dump();
    connection.send(
        fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", listing.size(), listing));
    return true;
  };
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    if (!request.target.ends_with("config.json")) return false;
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    return true;
  };
  for (int i = 0; i < 5; ++i) {
    download();
    expect_all_here();
    fs::remove_all(repository());
  }
}

TEST_F(ProxyTest, ReportsARefusalOfTheHub) {
  for (const int status : {401, 403}) {
    hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
      connection.answer(status, "{}", "X-Error-Message: Access is restricted.\r\n");
      return true;
    };
    expect_refusal({}, 1,
                   {hub_.server.url() + fmt::format(" answers with status {}", status),
                    "set HF_TOKEN", "(\"Access is restricted.\")"});
  }
}

TEST_F(ProxyTest, FollowsARenamedRepository) {
  hub_.on_api = [&, is_first = true](const Connection& connection, const SeenRequest&) mutable {
    if (!std::exchange(is_first, false)) return false;
    connection.answer(307, "", "Location: /api/models/owner/name/revision/main?renamed\r\n");
    return true;
  };
  download();
  EXPECT_EQ(hub_.server.requests()[1].target, "/api/models/owner/name/revision/main?renamed");
  expect_all_here();
}

TEST_F(ProxyTest, ReportsARefusalOfTheProxy) {
  on_connect_ = [](const Connection& connection, const SeenRequest&) {
    connection.answer(403, "<html>not here</html>", "X-Error-Message: of the proxy\r\n");
    return true;
  };
  expect_refusal_of_proxy({hub_.server.url(),
                           "the proxy " + proxy_.url() + " (https_proxy) answers with status 403",
                           "does not allow this connection"});
}

TEST_F(ProxyTest, ReportsAProxyThatNeedsAPassword) {
  std::string authorization;
  on_connect_ = [&](const Connection& connection, const SeenRequest& request) {
    authorization = request.field("proxy-authorization");
    connection.answer(407, "", "Proxy-Authenticate: Basic realm=\"proxy\"\r\n");
    return true;
  };
  const std::string host = proxy_.url().substr(std::string("http://").size());
  surroundings_.environment.erase("https_proxy");
  surroundings_.environment["ALL_PROXY"] = "http://user:secret@" + host;
  expect_refusal_of_proxy(
      {"the proxy http://" + host + " (ALL_PROXY) answers with status 407", "USER:PASSWORD"});
  EXPECT_EQ(authorization, "Basic dXNlcjpzZWNyZXQ=");
  EXPECT_EQ(run_download().err.find("secret"), std::string::npos);
}

TEST_F(ProxyTest, RetriesTemporaryFailuresOfTheProxy) {
  on_connect_ = [n = 0](const Connection& connection, const SeenRequest&) mutable {
    if (n++ >= 2) return false;
    connection.answer(503, "one moment");
    return true;
  };
  download();
  expect_all_here();
  EXPECT_TRUE(noted("the proxy " + proxy_.url() + " (https_proxy) answers with status 503"));
  on_connect_ = [](const Connection& connection, const SeenRequest&) {
    connection.answer(502, "never");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io,
               {"owner/name at main: the proxy", "status 502", "tried 5 times"});
}

TEST_F(ProxyTest, NamesAProxyThatClosesConnections) {
  on_connect_ = [](const Connection&, const SeenRequest&) { return true; };
  expect_error([&] { download(); }, ErrorKind::io,
               {"owner/name at main", "(https_proxy is " + proxy_.url() + ")", "tried 5 times"});
}

TEST_F(ProxyTest, NamesAnUnreachableProxy) {
  set_variable("https_proxy", "http://user:secret@127.0.0.1:1");
  expect_error([&] { download(); }, ErrorKind::io,
               {"owner/name at main", "(https_proxy is http://127.0.0.1:1)", "tried 5 times"});
  set_variable("no_proxy", "example.org");
  expect_error([&] { download(); }, ErrorKind::io,
               {"(https_proxy is http://127.0.0.1:1, no_proxy is example.org)"});
}

}  // namespace
}  // namespace bitaxon::test
