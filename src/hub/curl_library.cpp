#include "hub/curl_library.h"

#include <fmt/format.h>

#include <string>

#include "bitaxon/error.h"
#include "platform/dynamic_library.h"

namespace bitaxon::hub {
namespace {

DynamicLibrary open_library() {
  // Both names stand for the same interface. The second is Debian's name for the GnuTLS build.
  const std::string names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
  try {
    return DynamicLibrary(names);
  } catch (const Error& error) {
    throw Error(ErrorKind::unsupported,
                fmt::format("download: expected libcurl on this system (package libcurl4 or "
                            "libcurl), got: {}",
                            error.what()));
  }
}

template <class Function>
void find(const DynamicLibrary& library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(library.find(name));
  if (function == nullptr)
    throw Error(ErrorKind::unsupported,
                fmt::format("download: expected libcurl 7.85 or newer, got one without {}", name));
}

CurlLibrary load(const DynamicLibrary& library) {
  CurlLibrary curl{};
  find(library, "curl_easy_init", curl.easy_init);
  find(library, "curl_easy_cleanup", curl.easy_cleanup);
  find(library, "curl_easy_reset", curl.easy_reset);
  find(library, "curl_easy_setopt", curl.easy_setopt);
  find(library, "curl_easy_perform", curl.easy_perform);
  find(library, "curl_easy_getinfo", curl.easy_getinfo);
  find(library, "curl_easy_strerror", curl.easy_strerror);
  find(library, "curl_slist_append", curl.slist_append);
  find(library, "curl_slist_free_all", curl.slist_free_all);
  find(library, "curl_url", curl.url);
  find(library, "curl_url_cleanup", curl.url_cleanup);
  find(library, "curl_url_set", curl.url_set);
  find(library, "curl_url_get", curl.url_get);
  find(library, "curl_free", curl.free);

  decltype(&::curl_version_info) version_info = nullptr;
  find(library, "curl_version_info", version_info);
  const curl_version_info_data& version = *version_info(CURLVERSION_NOW);
  constexpr unsigned kOldest = 0x075500;  // CURLOPT_PROTOCOLS_STR
  if (version.version_num < kOldest)
    throw Error(ErrorKind::unsupported,
                fmt::format("download: expected libcurl 7.85 or newer, got {}", version.version));
  decltype(&::curl_global_init) global_init = nullptr;
  find(library, "curl_global_init", global_init);
  if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    throw Error(ErrorKind::unsupported, "download: libcurl cannot be initialized");
  return curl;
}

}  // namespace

const CurlLibrary& curl_library() {
  // The library is never closed, because the libraries that libcurl loads (TLS, name services)
  // register handlers that run at the end of the process.
  static const auto* const library = new DynamicLibrary(open_library());
  static const CurlLibrary curl = load(*library);
  return curl;
}

}  // namespace bitaxon::hub
