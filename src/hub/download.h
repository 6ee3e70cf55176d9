// A repository of a hub, or some of its files, fetched to this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/disk_calls.h"
#include "hub/http.h"

namespace bitaxon::hub {

struct DownloadRequest {
  std::string repository;                   ///< "owner/name"
  std::string revision = "main";            ///< branch, tag or commit
  std::vector<std::string> include = {};    ///< only files that one of these matches; empty: all
  std::vector<std::string> exclude = {};    ///< and none of these
  std::filesystem::path local_folder = {};  ///< files as they are, here; empty: the hub cache
};

struct DownloadWatch {
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
  std::function<void(const std::string&)> note;  ///< one line
};

/// Asks the hub of HubServer::from_environment(). Files that are here are not fetched again, those
/// that are here in part are continued; each appears under its name once its size and hash are
/// right, and a snapshot of the cache once it has all its files. Where the file system has no locks
/// or no links, it goes on without them and says so. Returns the folder with the files. Throws
/// Error(invalid_argument) for the request and the variables that belong to it, Error(format) for
/// what the hub says, Error(io) for what network and disk do, Error(unsupported) without libcurl or
/// offline; Interrupted.
std::filesystem::path download(const DownloadRequest& request, const HttpOptions& options,
                               const DownloadWatch& watch, const DiskCalls& calls = {});

}  // namespace bitaxon::hub
