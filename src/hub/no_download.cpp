// Replaces download.cpp and upload.cpp in a build without libcurl.
#include "bitaxon/error.h"
#include "hub/download.h"
#include "hub/upload.h"

namespace bitaxon::hub {
namespace {

[[noreturn]] void refuse_upload() {
  throw Error(ErrorKind::unsupported, "this build cannot upload (BITAXON_WITH_DOWNLOAD was off)");
}

}  // namespace

std::filesystem::path download(const DownloadRequest&, const HttpOptions&, const DownloadWatch&,
                               const DiskCalls&) {
  throw Error(ErrorKind::unsupported, "this build cannot download (BITAXON_WITH_DOWNLOAD was off)");
}

void check_upload_access() { refuse_upload(); }

UploadReport upload(const UploadRequest&, const HttpOptions&, const UploadWatch&) {
  refuse_upload();
}

}  // namespace bitaxon::hub
