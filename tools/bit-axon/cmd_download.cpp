// bit-axon download: fetches a model from a hub into the cache that the other commands read.
#include "bitaxon/error.h"
#include "bitaxon/session.h"
#include "console.h"
#include "hub/download.h"
#include "hub_cache/hub_names.h"
#include "options.h"
#include "platform/paths.h"
#include "platform/signals.h"

namespace bitaxon::tool {
namespace {

struct DownloadOptions {
  hub::DownloadRequest request;
  std::string repository, local_folder;
  std::string timeout = "30";
  bool quiet = false;
};

void check_globs(const char* flag, const std::vector<std::string>& globs,
                 const std::string& repository) {
  for (const std::string& glob : globs) {
    if (glob.empty()) throw UsageError(fmt::format("{}: expected a text, got an empty one", flag));
    // Both flags take all words up to the next flag, so a repository's name may end up here. The
    // default repository would then be downloaded by mistake, which is several gigabytes.
    if (repository.empty() && hub::is_repository(glob))
      throw UsageError(fmt::format(
          "{}: expected REPO before it, got \"{}\", which may be one or the other", flag, glob));
  }
}

int run_command(const DownloadOptions& wanted) {
  hub::DownloadRequest request = wanted.request;
  check_globs("--include", request.include, wanted.repository);
  check_globs("--exclude", request.exclude, wanted.repository);
  request.repository = wanted.repository.empty() ? kDefaultRepository : wanted.repository;
  // A shell expands "--local-dir ~/model", but not "--local-dir=~/model".
  request.local_folder = expand_user(wanted.local_folder);

  const hub::HttpOptions options{
      .timeout_seconds = static_cast<int>(parse_integer("--timeout", wanted.timeout, 1, 3600)),
      .interrupted = &catch_interrupts()};
  ProgressLine progress("download", !wanted.quiet);
  const hub::DownloadWatch watch{
      .progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
      .note =
          [&](const std::string& line) {
            if (wanted.quiet) return;
            progress.clear();
            note(line);
          }};
  try {
    print(hub::download(request, options, watch).string() + "\n");
  } catch (const Error& error) {
    // An invalid REPO, --revision, or variable is a usage error.
    if (error.kind() == ErrorKind::invalid_argument) throw UsageError(error.what());
    throw;
  } catch (const hub::Interrupted&) {
    if (!wanted.quiet) note("interrupted; the same command continues");
    return kInterrupted;
  }
  return kDone;
}

}  // namespace

void add_download(CommandLine& line) {
  auto wanted = std::make_shared<DownloadOptions>();
  Command& command = line.add_command(
      "download", "Fetch a model from a hub into the local hub cache and print its folder");
  command
      .add("REPO", wanted->repository, fmt::format("owner/name (default: {})", kDefaultRepository))
      .not_empty();
  command.add("--revision", wanted->request.revision, "Branch, tag or commit")
      .type("REV")
      .not_empty()
      .show_default();
  command
      .add("--include", wanted->request.include,
           "Fetch only files that match a GLOB; * also matches slashes (default: all that run)")
      .type("GLOB");
  command.add("--exclude", wanted->request.exclude, "Do not fetch files that match a GLOB")
      .type("GLOB");
  command
      .add("-d,--local-dir", wanted->local_folder,
           "Put the files into this folder instead of the cache")
      .type("DIR")
      .not_empty();
  command.add("--timeout", wanted->timeout, "How long a server may be silent before the next try")
      .type("SECONDS")
      .not_empty()
      .show_default();
  command.add("--quiet", wanted->quiet, "Print only errors on stderr");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
