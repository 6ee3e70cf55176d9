// Downloads a repository of a hub, or some of its files, to this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/http.h"
#include "hub_cache/disk_calls.h"

namespace bitaxon::hub {

struct DownloadRequest {
  std::string repository;         ///< "owner/name"
  std::string revision = "main";  ///< branch, tag or commit
  std::vector<std::string> include =
      {};  ///< patterns of files to fetch; empty for all files that run
  std::vector<std::string> exclude = {};    ///< patterns of files not to fetch
  std::filesystem::path local_folder = {};  ///< receives plain files; empty to use the hub cache
};

struct DownloadWatch {
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
  std::function<void(const std::string&)> note;  ///< gets one line for the user
};

/// Downloads from the hub of HubServer::from_environment(). Complete files are not fetched again,
/// and partial files are continued. A file appears under its name once its size and hash are right.
/// A snapshot appears in the cache once all its files are there. When the file system has no locks
/// or no symbolic links, the download continues without them and sends a note. Returns the folder
/// with the files. Throws Error(invalid_argument) for a bad request or environment variable,
/// Error(format) for a bad answer from the hub, Error(io) when the network or the disk fails,
/// Error(unsupported) without libcurl or in offline mode, and Interrupted.
std::filesystem::path download(const DownloadRequest& request, const HttpOptions& options,
                               const DownloadWatch& watch, const DiskCalls& calls = {});

}  // namespace bitaxon::hub
