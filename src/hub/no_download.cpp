// Replaces download.cpp in a build without libcurl.
#include "bitaxon/error.h"
#include "hub/download.h"

namespace bitaxon::hub {

std::filesystem::path download(const DownloadRequest&, const HttpOptions&, const DownloadWatch&,
                               const DiskCalls&) {
  throw Error(ErrorKind::unsupported, "this build cannot download (BITAXON_WITH_DOWNLOAD was off)");
}

}  // namespace bitaxon::hub
