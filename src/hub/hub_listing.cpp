#include "hub/hub_listing.h"

#include <fmt/format.h>

#include <set>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "hub/url.h"
#include "hub_cache/hub_names.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

constexpr JsonLimits kLimits{.max_bytes = kMaxListingBytes, .max_depth = 32};

[[noreturn]] void fail(std::string_view name, const std::string& what) {
  throw Error(ErrorKind::format, fmt::format("{}: {}", name, what));
}

/// The member `key` of a JSON object. Null when the object has no such member.
const Json& member(const Json& object, const char* key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// Reads the entry of one file in a list. A size or an id in an unknown form counts as not listed.
ListedFile read_file(const Json& entry, const char* name_key, const char* id_key,
                     const char* sha256_key) {
  ListedFile file{text_of(member(entry, name_key))};
  const Json& lfs = member(entry, "lfs");
  const Json& size = lfs.is_object() ? member(lfs, "size") : member(entry, "size");
  if (size.is_number_unsigned() && size.get<std::uint64_t>() <= kMaxFileBytes)
    file.size_bytes = size.get<std::uint64_t>();
  std::string id = lfs.is_object() ? id_of_tag(text_of(member(lfs, sha256_key)))
                                   : text_of(member(entry, id_key));
  if (is_hex(id, lfs.is_object() ? 64 : 40)) file.id = std::move(id);
  return file;
}

void refuse_too_many(const Json& files, std::string_view name) {
  constexpr std::size_t kMaxFiles = 100'000;
  if (files.size() > kMaxFiles)
    fail(name, fmt::format("expected at most {} files, got {}", kMaxFiles, files.size()));
}

}  // namespace

HubListing parse_listing(std::string_view text, std::string_view name) {
  const Json json = parse_json(text, name, kLimits);
  HubListing listing;
  listing.commit = text_of(member(json, "sha"));
  if (!is_hex(listing.commit, 40) && !is_hex(listing.commit, 64))
    fail(name, fmt::format("expected a commit of 40 hexadecimal digits in \"sha\", got \"{}\"",
                           printable(listing.commit)));
  const Json& siblings = member(json, "siblings");
  if (!siblings.is_array()) return listing;
  refuse_too_many(siblings, name);
  for (const Json& entry : siblings)
    listing.files.push_back(read_file(entry, "rfilename", "blobId", "sha256"));
  return listing;
}

std::vector<ListedFile> parse_tree(std::string_view text, std::string_view name) {
  const Json json = parse_json(text, name, kLimits);
  if (!json.is_array()) fail(name, "expected a list of files, got none");
  refuse_too_many(json, name);
  std::vector<ListedFile> files;
  for (const Json& entry : json)
    if (text_of(member(entry, "type")) != "directory")
      files.push_back(read_file(entry, "path", "oid", "oid"));
  return files;
}

void refuse_unfetchable(const std::vector<ListedFile>& files, std::string_view name) {
  std::set<std::string_view> names;
  for (const ListedFile& file : files) {
    if (const std::string problem = path_problem(file.name); !problem.empty())
      fail(name, fmt::format("file \"{}\": expected a name below the repository, got {}; "
                             "--include or --exclude can leave it out",
                             printable(file.name), problem));
    if (!names.insert(file.name).second)
      fail(name, fmt::format("file \"{}\": expected it once, got it twice", printable(file.name)));
  }
  for (const ListedFile& file : files)
    for (std::size_t end = file.name.find('/'); end != file.name.npos;
         end = file.name.find('/', end + 1))
      if (const std::string_view folder(file.name.data(), end); names.contains(folder))
        fail(name, fmt::format("file \"{}\": expected a folder \"{}\", got a file of that name",
                               printable(file.name), printable(folder)));
}

std::string id_of_tag(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.starts_with('"') && tag.ends_with('"'))
    tag = tag.substr(1, tag.size() - 2);
  if (constexpr std::string_view kHash = "sha256:"; tag.starts_with(kHash))
    tag.remove_prefix(kHash.size());
  constexpr std::size_t kMaxBytes = 200;  // leaves room for the suffix ".incomplete"
  std::string id = escape(tag);
  return id.size() > kMaxBytes || id.starts_with('.') ? std::string() : id;
}

}  // namespace bitaxon::hub
