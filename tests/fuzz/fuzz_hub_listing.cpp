// Parses any bytes as the list of files that a hub sends. Either the list is refused with
// Error(format) and a one-line message, or it is safe: every name in it is a valid path inside a
// folder, and every id is a valid name in the cache.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "fuzz/expected_error.h"
#include "hub/hub_listing.h"
#include "hub_cache/hub_names.h"

namespace bitaxon {
namespace {

void check_name(const std::string& name) {
  const std::filesystem::path root = "/root", path = (root / name).lexically_normal();
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  if (end != root.end() || path == root || path != root / name)
    fuzzer_failed("leads elsewhere", name);
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      fuzzer_failed("control character in a name", name);
}

void parse(std::string_view text) {
  hub::HubListing listing;
  try {
    listing = hub::parse_listing(text, "input");
    hub::refuse_unfetchable(listing.files, "input");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, "input: ");
    return;
  }
  if (!hub::is_hex(listing.commit, 40) && !hub::is_hex(listing.commit, 64))
    fuzzer_failed("commit", listing.commit);
  std::set<std::string> names;
  std::uint64_t total_bytes = 0;
  for (const hub::ListedFile& file : listing.files) {
    check_name(file.name);
    if (!names.insert(file.name).second) fuzzer_failed("twice", file.name);
    if (!file.id.empty() && !hub::is_hex(file.id, 40) && !hub::is_hex(file.id, 64))
      fuzzer_failed("id", file.id);
    if (__builtin_add_overflow(total_bytes, file.size_bytes.value_or(0), &total_bytes))
      fuzzer_failed("sizes overflow", file.name);
  }
  for (const std::string& name : names)
    for (std::size_t at = name.find('/'); at != name.npos; at = name.find('/', at + 1))
      if (names.contains(name.substr(0, at))) fuzzer_failed("a file in place of a folder", name);
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
