// Uploads the files of a model to a repository of a hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/http.h"

namespace bitaxon::hub {

struct UploadFile {
  std::string name;                 ///< its path in the repository
  std::filesystem::path path = {};  ///< the file on this machine; empty to send `text`
  std::string text = {};
};

struct UploadRequest {
  std::string repository;         ///< "owner/name"; made if it does not exist
  std::string revision = "main";  ///< the branch that gets the commit
  bool is_private = false;        ///< whether a new repository is private
  std::string message;            ///< the first line of the commit message
  std::vector<UploadFile> files;
};

struct UploadWatch {
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
  std::function<void(const std::string&)> note;  ///< gets one line for the user
};

struct UploadReport {
  std::string url;                ///< the address of the repository
  std::string commit = {};        ///< the new commit; empty if the repository had all files already
  bool is_new = false;            ///< whether the repository was made
  std::size_t n_changed = 0;      ///< files that the repository did not have
  std::uint64_t sent_bytes = 0;   ///< contents that were sent; the hub may have had some already
  std::uint64_t total_bytes = 0;  ///< the size of all files
};

/// Checks what an upload needs before hours of other work: throws as upload() does in a build without
/// uploads, for a bad environment variable, in offline mode, and without a token. Asks no server.
void check_upload_access();

/// Uploads to the hub of HubServer::from_environment(), as one commit. Files that the repository has
/// already are not sent. Contents that the hub has from an earlier try are not sent again. Large
/// files go in parts, and after a broken connection only the part that failed is sent again. Throws
/// Error(invalid_argument) for a bad request or environment variable, Error(format) for a bad answer
/// from the hub, Error(io) when the hub refuses and when the network or the disk fails,
/// Error(unsupported) without libcurl or in offline mode, and Interrupted. No message shows the
/// token.
UploadReport upload(const UploadRequest& request, const HttpOptions& options,
                    const UploadWatch& watch);

}  // namespace bitaxon::hub
