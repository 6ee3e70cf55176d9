// Tests of addresses: to which of them requests may be sent, and how they are shown as text.
#include "hub/url.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace bitaxon::hub {
namespace {

using test::expect_error;

TEST(HubUrl, AllowsHttpOnlyForThisMachine) {
  for (const char* url :
       {"https://example.org", "https://127.0.0.1", "http://127.0.0.1:8080/x", "http://127.1.2.3",
        "http://[::1]:80", "http://localhost", "HTTP://LOCALHOST"})
    EXPECT_EQ(origin_problem(origin_of(url)), "") << url;
  for (const char* url : {"http://example.org", "http://127.0.0.1.example.org",
                          "http://localhost.example.org", "http://10.0.0.1", "http://0.0.0.0",
                          "http://[::2]", "ftp://127.0.0.1", "file:///etc/passwd"})
    try {
      EXPECT_NE(origin_problem(origin_of(url)), "") << url;
    } catch (const Error&) {  // origin_of() also refuses an address without a host
    }
}

TEST(HubUrl, OriginsAreSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://Example.org"), origin_of("HTTPS://example.ORG:443/path?query"));
  EXPECT_NE(origin_of("https://example.org"), origin_of("https://example.org:444"));
  EXPECT_NE(origin_of("https://example.org"), origin_of("https://www.example.org"));
  EXPECT_NE(origin_of("https://localhost:80"), origin_of("http://localhost:80"));
  for (const char* url : {"", "no address", "https://", "https://user@example.org",
                          "https://user:password@example.org", "https://example.org:port"})
    expect_error([&] { origin_of(url); }, ErrorKind::format, {"expected"});
}

TEST(HubUrl, ResolvesRedirects) {
  EXPECT_EQ(redirect_target("https://a.org/b/c", "https://d.org/e?f=g"), "https://d.org/e?f=g");
  EXPECT_EQ(redirect_target("https://a.org/b/c", "/d"), "https://a.org/d");
  EXPECT_EQ(redirect_target("https://a.org/b/c", "d"), "https://a.org/b/d");
  EXPECT_EQ(redirect_target("https://a.org/b/c", "//d.org/e"), "https://d.org/e");
  EXPECT_EQ(redirect_target("http://127.0.0.1:1/b", "http://127.0.0.1:2/c"),
            "http://127.0.0.1:2/c");
  EXPECT_EQ(redirect_target("http://127.0.0.1:1/b", "https://d.org/e"), "https://d.org/e");
  for (const char* elsewhere : {"http://a.org/b/c", "http://d.org", "ftp://d.org/e",
                                "http://127.0.0.1:8080/", "http://localhost/"})
    expect_error([&] { redirect_target("https://a.org/b/c?secret", elsewhere); }, ErrorKind::io,
                 {"redirect from https://a.org/b/c: ", "expected https://"});
  for (const char* none : {"file:///etc/passwd", "https://user:word@d.org/", "https://"})
    expect_error([&] { redirect_target("https://a.org/b/c?secret", none); }, ErrorKind::format,
                 {"redirect from https://a.org/b/c: ", "expected"});
}

TEST(HubUrl, EscapesAndShowsAddresses) {
  EXPECT_EQ(escape("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(escape_path("a b/c#d?e%/ä.txt"), "a%20b/c%23d%3Fe%25/%C3%A4.txt");
  EXPECT_EQ(shown("https://a.org/b?signature=secret"), "https://a.org/b");
  EXPECT_EQ(shown_origin("https://A.org:443/b?signature=secret"), "https://a.org");
  EXPECT_EQ(shown_origin("http://127.0.0.1:8080/b"), "http://127.0.0.1:8080");
}

}  // namespace
}  // namespace bitaxon::hub
