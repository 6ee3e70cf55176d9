// Tests of downloads from servers and proxies that compress their answers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

std::string little_endian(std::uint32_t value, int n_bytes) {
  std::string bytes;
  for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

/// Stores `text` in the gzip format (RFC 1952), in uncompressed blocks (RFC 1951, 3.2.4).
std::string gzip(const std::string& text) {
  constexpr std::size_t kMaxBlock = 65535;
  std::string bytes("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  for (std::size_t at = 0; at == 0 || at < text.size(); at += kMaxBlock) {
    const std::string block = text.substr(at, kMaxBlock);
    const auto size = static_cast<std::uint32_t>(block.size());
    bytes += at + kMaxBlock >= text.size() ? '\1' : '\0';
    bytes += little_endian(size, 2) + little_endian(~size, 2) + block;
  }
  return bytes + little_endian(crc32(text), 4) +
         little_endian(static_cast<std::uint32_t>(text.size()), 4);
}

class CompressionTest : public HubTest {
 protected:
  CompressionTest() {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("config.json", "{}", false);
  }
  const std::string& contents() const { return hub_.contents("model.safetensors"); }
  static bool answer(const Connection& connection, const std::string& text,
                     const std::string& encoding = "gzip") {
    connection.answer(200, gzip(text),
                      fmt::format("Content-Encoding: {}\r\nETag: \"tag\"\r\n", encoding));
    return true;
  }
};

TEST_F(CompressionTest, AsksForUncompressedBytes) {
  download();
  for (const SeenRequest& request : hub_.server.requests())
    EXPECT_EQ(request.field("accept-encoding"), "identity") << request.target;
  for (const SeenRequest& request : hub_.fetches())
    EXPECT_EQ(request.field("accept-encoding"), "identity") << request.target;
}

TEST_F(CompressionTest, DecodesCompressedAnswers) {
  hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
    return answer(connection, hub_.listing.dump());
  };
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    return request.target.ends_with("config.json") && answer(connection, "{}");
  };
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    return answer(connection, contents());
  };
  download();
  expect_all_here();
  // The server ignores the requested range and sends the whole file, compressed.
  fs::remove_all(repository());
  leave_partial("model.safetensors", contents().substr(0, 1000));
  download();
  expect_all_here();
}

TEST_F(CompressionTest, StartsOverAfterABrokenCompressedTransfer) {
  hub_.on_store = [&, n = 0](const Connection& connection, const SeenRequest& request) mutable {
    EXPECT_EQ(request.field("if-range"), "");
    if (n++ > 0) return answer(connection, contents());
    const std::string bytes = gzip(contents());
    connection.send_head(200, fmt::format("Content-Encoding: gzip\r\nETag: \"tag\"\r\n"
                                          "Content-Length: {}\r\n",
                                          bytes.size()));
    connection.send(bytes.substr(0, 100'000));
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(CompressionTest, StartsOverAfterACompressedRange) {
  leave_partial("model.safetensors", contents().substr(0, 1000));
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    if (request.first_byte() == 0) return answer(connection, contents());
    connection.answer(206, gzip(contents()).substr(1000),
                      fmt::format("Content-Encoding: gzip\r\nContent-Range: bytes 1000-{0}/{1}\r\n",
                                  299'999, 300'000));
    return true;
  };
  download();
  expect_all_here();
  EXPECT_TRUE(noted("the server compresses a range; starting over"));
}

TEST_F(CompressionTest, RefusesAnUnknownEncoding) {
  hub_.on_api = [&](const Connection& connection, const SeenRequest&) {
    return answer(connection, hub_.listing.dump(), "zip");
  };
  expect_refusal({}, 1, {hub_.server.url(), "ncoding"});
  EXPECT_EQ(hub_.server.requests().size(), 1U);
}

TEST_F(CompressionTest, RefusesInvalidCompressedBytes) {
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(200, contents(), "Content-Encoding: gzip\r\n");
    return true;
  };
  expect_error([&] { download(); }, ErrorKind::io, {hub_.storage.url()});
  EXPECT_FALSE(fs::exists(snapshot()));
}

}  // namespace
}  // namespace bitaxon::test
