#include "hub/content_id.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "bitaxon/error.h"
#include "hub/http.h"

namespace bitaxon::hub {
namespace {

struct Cleanup {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

void expect(int success) {
  if (success != 1)
    throw Error(ErrorKind::unsupported, "libcrypto: cannot compute the hash of a file");
}

/// A hash that bytes are added to.
class Digest {
 public:
  Digest(ContentHash hash, std::uint64_t size_bytes) {
    expect(context_ ? 1 : 0);
    expect(EVP_DigestInit_ex(context_.get(),
                             hash == ContentHash::sha256 ? EVP_sha256() : EVP_sha1(), nullptr));
    if (hash != ContentHash::git_blob) return;
    const std::string head = fmt::format("blob {}", size_bytes);
    add(std::as_bytes(std::span(head.c_str(), head.size() + 1)));
  }
  void add(std::span<const std::byte> bytes) {
    expect(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    expect(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, Cleanup> context_{EVP_MD_CTX_new()};
};

}  // namespace

std::string content_id(const File& file, ContentHash hash, const HttpOptions& options) {
  Digest digest(hash, file.size_bytes());
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < file.size_bytes();) {
    options.check_interrupted();
    const auto piece = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size_bytes() - at)));
    file.read_at(at, piece);
    digest.add(piece);
    at += piece.size();
  }
  return digest.finish();
}

std::string content_id(std::string_view text, ContentHash hash) {
  Digest digest(hash, text.size());
  digest.add(std::as_bytes(std::span(text)));
  return digest.finish();
}

}  // namespace bitaxon::hub
