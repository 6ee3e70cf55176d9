// Tests of downloads from servers that stall, redirect, refuse, cut their answers short, or send
// wrong data.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "hub/retries.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSize = 300'000;

class BadServerTest : public HubTest {
 protected:
  BadServerTest() { hub_.add("model.safetensors", some_bytes(kSize), true); }
  const std::string& contents() const { return hub_.contents("model.safetensors"); }
  /// Expects that the download has made no file under a name that the program would use.
  void expect_nothing_published() const {
    EXPECT_FALSE(fs::exists(snapshot()));
    EXPECT_FALSE(fs::exists(blob("model.safetensors")));
    EXPECT_FALSE(fs::exists(repository() / "refs/main"));
  }
  void expect_failure(std::initializer_list<std::string_view> fragments) {
    expect_error([&] { download(); }, ErrorKind::io, fragments);
    expect_nothing_published();
  }
  std::size_t partial_size() const { return fs::file_size(partial("model.safetensors")); }
};

TEST_F(BadServerTest, ContinuesATruncatedAnswer) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    const std::size_t first = request.first_byte();
    EXPECT_EQ(request.field("if-range"), first == 0 ? "" : "\"tag\"");
    connection.send_head(first == 0 ? 200 : 206,
                         fmt::format("ETag: \"tag\"\r\nContent-Length: {}\r\nContent-Range: bytes "
                                     "{}-{}/{}\r\n",
                                     kSize - first, first, kSize - 1, kSize));
    // Then closes the connection although more bytes are announced.
    connection.send(contents().substr(first, 120'000));
    return true;
  };
  download();
  expect_all_here();
  EXPECT_EQ(hub_.fetches().size(), 3U);
  EXPECT_EQ(notes_.size(), 3U);
}

TEST_F(BadServerTest, GivesUpWhenEveryAnswerIsTruncated) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    const std::size_t first = request.first_byte();
    connection.send_head(first == 0 ? 200 : 206,
                         fmt::format("Content-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n",
                                     kSize - first, first, kSize - 1, kSize));
    connection.send(contents().substr(first, 100));
    return true;
  };
  expect_failure({"model.safetensors", "at byte 500 of 300000", "tried 5 times"});
  EXPECT_EQ(partial_size(), 500U) << "the next run continues from there";
}

TEST_F(BadServerTest, ProgressResetsTheRetries) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    const std::size_t first = request.first_byte();
    connection.send_head(first == 0 ? 200 : 206,
                         fmt::format("Content-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n",
                                     kSize - first, first, kSize - 1, kSize));
    connection.send(contents().substr(first, 40'000));
    return true;
  };
  download();
  expect_all_here();
  EXPECT_EQ(hub_.fetches().size(), 8U);
}

TEST_F(BadServerTest, RepeatedBytesAreNotProgress) {
  hub_.on_store = [&, n = 0](const Connection& connection, const SeenRequest&) mutable {
    connection.send_head(200, fmt::format("Content-Length: {}\r\n", kSize));
    const bool is_enough = ++n > 20;
    connection.send(contents().substr(0, is_enough ? kSize : n % 2 == 1 ? 200'000 : 1));
    return true;
  };
  expect_failure({"model.safetensors", "tried 5 times"});
  EXPECT_EQ(hub_.fetches().size(), 5U);
}

TEST_F(BadServerTest, ContinuesWithoutAContentLength) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    if (request.first_byte() > 0) return false;
    connection.send_head(200, "");
    connection.send(contents().substr(0, 1000));
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(BadServerTest, AcceptsAServerThatIgnoresTheRange) {
  leave_partial("model.safetensors", contents().substr(0, 1000));
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    EXPECT_EQ(request.first_byte(), 1000U);
    connection.answer(200, contents());
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(BadServerTest, StartsOverAfterAWrongRange) {
  for (const char* range :
       {"", "bytes 0-299999/300000", "bytes 1001-299999/300000", "bytes */300000", "items 1000-1/2",
        "bytes 99999999999999999999-1/300000"}) {
    SCOPED_TRACE(range);
    std::error_code none;
    fs::remove(blob("model.safetensors"), none);
    leave_partial("model.safetensors", contents().substr(0, 1000));
    hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
      if (request.first_byte() == 0) return false;
      connection.answer(206, contents(), fmt::format("Content-Range: {}\r\n", range));
      return true;
    };
    download();
    expect_all_here();
  }
}

TEST_F(BadServerTest, StartsOverAfterStatus416) {
  leave_partial("model.safetensors", contents().substr(0, 1000));
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    if (request.first_byte() == 0) return false;
    connection.answer(416, "");
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(BadServerTest, StartsOverWhenTheFileChanges) {
  // One server honors If-Range and sends the whole new file. Another server ignores If-Range and
  // sends only the rest of the new file.
  for (const bool honours : {true, false}) {
    std::error_code none;
    fs::remove(blob("model.safetensors"), none);
    notes_.clear();
    hub_.on_store = [&, n = 0](const Connection& connection, const SeenRequest& request) mutable {
      if (n++ == 0) {
        connection.send_head(200, fmt::format("ETag: \"old\"\r\nContent-Length: {}\r\n", kSize));
        connection.send(std::string(1000, 'x'));
        return true;
      }
      if (honours || request.first_byte() == 0) return false;
      SeenRequest without = request;
      without.fields.erase("if-range");
      FakeHub::serve(connection, without, contents(), "\"new\"");
      return true;
    };
    download();
    expect_all_here();
    fs::remove_all(snapshot());
  }
}

TEST_F(BadServerTest, ContinuesAfterAStall) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    if (request.first_byte() > 0) return false;
    connection.send_head(200, fmt::format("Content-Length: {}\r\n", kSize));
    connection.send(contents().substr(0, 1000));
    connection.stall();
    return true;
  };
  const Finished finished = run_download({"--timeout", "1"});
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.err_lines().size(), 2U) << finished.err;
  expect_all_here();
}

TEST_F(BadServerTest, GivesUpWhenTheServerNeverAnswers) {
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.stall();
    return true;
  };
  expect_failure({"owner/name at main", "within 1 s", "tried 5 times"});
}

TEST_F(BadServerTest, RefusesAWrongSize) {
  for (const std::string& sent :
       {contents().substr(1), contents() + "x", std::string("an error page"), std::string()}) {
    hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
      connection.answer(200, sent);
      return true;
    };
    expect_failure({"model.safetensors", "expected 300000 bytes", std::to_string(sent.size())});
    EXPECT_EQ(partial_size(), 0U);
  }
  // Without a Content-Length, the program notices a wrong size only when too many bytes have
  // arrived.
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.send_head(200, "");
    connection.send(contents() + "x");
    return true;
  };
  expect_failure({"expected 300000 bytes", "more"});
  leave_partial("model.safetensors", contents().substr(0, 1000));
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(206, "1234", "Content-Range: bytes 1000-1003/1004\r\n");
    return true;
  };
  expect_failure({"expected 300000 bytes", "1004"});
  EXPECT_EQ(partial_size(), 1000U);
  // This answer does not come from the store. It may be the login page of a hotel's network. The
  // partial file must stay.
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(200, "<html>");
    return true;
  };
  expect_failure({"expected 300000 bytes", "6"});
  EXPECT_EQ(partial_size(), 1000U);
}

TEST_F(BadServerTest, RefusesWrongContents) {
  std::string wrong = contents();
  wrong[150'000] ^= 1;
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    FakeHub::serve(connection, request, wrong, "\"tag\"");
    return true;
  };
  expect_failure({"model.safetensors", "SHA-256 " + hub_.id("model.safetensors")});
  EXPECT_EQ(partial_size(), 0U);
  EXPECT_EQ(hub_.fetches().size(), 1U) << "no retry";
  // The partial file may cause the wrong hash, so the program fetches the file once more from the
  // first byte.
  leave_partial("model.safetensors", contents().substr(0, 1000));
  expect_failure({"SHA-256"});
  EXPECT_EQ(hub_.fetches().size(), 3U);
  // The hash of a file that is not in LFS is its git hash.
  hub_.on_store = nullptr;
  hub_.add("config.json", "{}", false);
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    if (!request.target.ends_with("config.json")) return false;
    connection.answer(200, "[]");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io, {"config.json", "SHA-1"});
  EXPECT_FALSE(fs::exists(snapshot())) << "no incomplete snapshot";
}

TEST_F(BadServerTest, RefusesARedirectLoop) {
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    connection.answer(302, "", fmt::format("Location: {}x\r\n", request.target));
    return true;
  };
  expect_failure({"at most 10 redirects"});
  EXPECT_EQ(hub_.server.requests().size(), 12U);
}

TEST_F(BadServerTest, RefusesRedirectsToForbiddenAddresses) {
  for (const char* place : {"http://192.0.2.1/", "http://example.invalid/", "ftp://127.0.0.1/"}) {
    hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
      connection.answer(302, "", fmt::format("Location: {}\r\n", place));
      return true;
    };
    expect_failure({"redirect from ", "expected https://"});
  }
  hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(302, "", "Location: file:///etc/passwd\r\n");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::format,
               {"redirect from " + hub_.server.url() + "/owner/name/", "file:///etc/passwd"});
  hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(302, "");
    return true;
  };
  expect_failure({"status 302"});
}

TEST_F(BadServerTest, ExplainsWhyTheHubRefuses) {
  struct Case {
    int status;
    const char* token;
    std::string_view says;
  };
  for (const Case& refusal :
       {Case{401, "", "set HF_TOKEN"}, Case{403, "", "set HF_TOKEN"},
        Case{401, "hf_secret", "the token in HF_TOKEN"}, Case{404, "", "no such repository"},
        Case{400, "", "expected status 200"}}) {
    hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
      connection.answer(refusal.status, "{}", "X-Error-Message: In its \x1b[31mwords\r\n");
      return true;
    };
    surroundings_.environment["HF_TOKEN"] = refusal.token;
    const std::string status = fmt::format("status {}", refusal.status);
    expect_refusal({}, 1,
                   {"owner/name at main", status, refusal.says, "(\"In its \\u{1b}[31mwords"});
  }
}

TEST_F(BadServerTest, NamesTheServerThatRefuses) {
  ::setenv("HF_TOKEN", "hf_secret", 1);
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(403, "expired");
    return true;
  };
  expect_failure({"model.safetensors: " + hub_.storage.url() + " answers with status 403",
                  hub_.server.url() + " redirected to it, without the token"});
}

TEST_F(BadServerTest, RetriesTemporaryFailures) {
  for (const int status : {500, 503, 429}) {
    hub_.on_api = [&, n = 0](const Connection& connection, const SeenRequest&) mutable {
      if (n++ >= 2) return false;
      connection.answer(status, "one moment");
      return true;
    };
    download();
    expect_all_here();
    hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
      connection.answer(status, "never");
      return true;
    };
    expect_error([&] { download(); }, ErrorKind::io,
                 {"owner/name at main", fmt::format("status {}", status), "tried 5 times"});
  }
}

TEST(RetryAfter, IsReadFromEitherField) {
  const auto seconds = [](int status, const char* name, const char* value) {
    return hub::retry_after_seconds({.status = status, .fields = {{name, value}}});
  };
  EXPECT_EQ(seconds(503, "retry-after", "7"), 7);
  EXPECT_EQ(seconds(503, "retry-after", "100000"), 300);
  EXPECT_EQ(seconds(503, "retry-after", "-1"), 0);
  EXPECT_EQ(seconds(503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), 0);
  EXPECT_EQ(seconds(429, "ratelimit", "\"api\";r=0;t=55"), 55);
  EXPECT_EQ(seconds(429, "ratelimit", "\"api\";r=0"), 0);
  EXPECT_EQ(seconds(500, "ratelimit", "\"api\";r=100;t=55"), 0);
}

TEST_F(BadServerTest, HonorsTheRateLimit) {
  hub_.on_api = [n = 0](const Connection& connection, const SeenRequest&) mutable {
    if (n++ > 0) return false;
    connection.answer(429, "", "RateLimit: \"api\";r=0;t=1\r\n");
    return true;
  };
  download();
  EXPECT_TRUE(noted("status 429; trying again"));
  expect_all_here();
}

TEST_F(BadServerTest, RetriesRequestsForFiles) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(503, "never");
    return true;
  };
  expect_failure({"model.safetensors", "status 503", "tried 5 times"});
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(404, "gone");
    return true;
  };
  expect_failure({"model.safetensors", "status 404"});
}

TEST_F(BadServerTest, LimitsTheSizeOfAnswers) {
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.send_head(200, "");
    const std::string spaces(std::size_t{1} << 20, ' ');
    for (int i = 0; i < 64; ++i) connection.send(spaces);
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::format, {"at most 33554432 bytes"});
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.send("HTTP/1.1 200 OK\r\n");
    const std::string line = "X: " + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 1000; ++i) connection.send(line);
    connection.send("\r\n");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io, {"/api/models/owner/name", "header"});
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.send_head(404, "");
    const std::string spaces(std::size_t{1} << 20, ' ');
    for (int i = 0; i < 64; ++i) connection.send(spaces);
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io, {"/api/models/owner/name", "status 404"});
}

TEST_F(BadServerTest, RefusesAServerThatIsNotAHub) {
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.answer(200, "<html>");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::format, {"/api/models/owner/name", "not JSON"});
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.send("SSH-2.0-OpenSSH\r\n");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io, {"/api/models/owner/name"});
  ::setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);  // no server listens on this port
  expect_error([&] { download(); }, ErrorKind::io, {"127.0.0.1", "tried 5 times"});
}

TEST_F(BadServerTest, HostileNamesCreateNoFiles) {
  hub_.listing["siblings"].push_back(listed("../../../../evil", "x", false));
  expect_refusal({}, 1, {"../../../../evil", "expected a name below the repository"});
  EXPECT_FALSE(fs::exists(cache_ / "hub"));
}

}  // namespace
}  // namespace bitaxon::test
