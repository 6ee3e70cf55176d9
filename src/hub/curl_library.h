// libcurl, opened at first use. Commands that do not download do not load libcurl and its
// dependencies. The system provides TLS and the trusted certificates.
#pragma once

#include <curl/curl.h>

namespace bitaxon::hub {

/// The libcurl functions that the hub uses, named without the prefix "curl_".
struct CurlLibrary {
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_url) url;
  decltype(&::curl_url_cleanup) url_cleanup;
  decltype(&::curl_url_set) url_set;
  decltype(&::curl_url_get) url_get;
  decltype(&::curl_free) free;
};

/// Throws Error(unsupported) when the system has no libcurl, or a libcurl older than 7.85.
const CurlLibrary& curl_library();

}  // namespace bitaxon::hub
