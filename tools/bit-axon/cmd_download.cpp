// bit-axon download: fetches a model from a hub into the cache that the other commands read.
#include "bitaxon/error.h"
#include "console.h"
#include "hub/download.h"
#include "hub/hub_names.h"
#include "model_source.h"
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

Command add_download(CLI::App& program) {
  auto wanted = std::make_shared<DownloadOptions>();
  CLI::App& app = *program.add_subcommand(
      "download", "Fetch a model from a hub into the local hub cache and print its folder");
  app.add_option("REPO", wanted->repository,
                 fmt::format("owner/name (default: {})", kDefaultRepository))
      ->check(not_empty());
  app.add_option("--revision", wanted->request.revision, "Branch, tag or commit")
      ->type_name("REV")
      ->check(not_empty())
      ->capture_default_str();
  app.add_option("--include", wanted->request.include,
                 "Fetch only files that match a GLOB; * also matches slashes (default: all)")
      ->type_name("GLOB");
  app.add_option("--exclude", wanted->request.exclude, "Do not fetch files that match a GLOB")
      ->type_name("GLOB");
  app.add_option("-d,--local-dir", wanted->local_folder,
                 "Put the files into this folder instead of the cache")
      ->type_name("DIR")
      ->check(not_empty());
  app.add_option("--timeout", wanted->timeout,
                 "How long a server may be silent before the next try")
      ->type_name("SECONDS")
      ->check(not_empty())
      ->capture_default_str();
  app.add_flag("--quiet", wanted->quiet, "Print only errors on stderr");
  return [wanted] { return run_command(*wanted); };
}

}  // namespace bitaxon::tool
