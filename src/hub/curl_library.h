// libcurl, opened when it is first needed: no other command loads it, with all that it depends on;
// and wherever the program runs, TLS and the certificates that it trusts are those of the system.
#pragma once

#include <curl/curl.h>

namespace bitaxon::hub {

/// The functions that are used, under their names without "curl_".
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

/// Throws Error(unsupported) when the system has no libcurl, or one before 7.85.
const CurlLibrary& curl_library();

}  // namespace bitaxon::hub
