#include "formats/pointer_file.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {

void refuse_pointer_or_empty(std::string_view head, const std::filesystem::path& path) {
  constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/v1";
  const std::string name = printable_path(path.string());
  if (head.empty())
    throw Error(
        ErrorKind::format,
        fmt::format("{}: the file is empty (0 bytes): the download looks incomplete", name));
  if (head.starts_with(kLfsPointer))
    throw Error(
        ErrorKind::format,
        fmt::format("{}: this is a Git LFS pointer, not the file itself: fetch it with `git "
                    "lfs pull`",
                    name));
}

}  // namespace bitaxon
