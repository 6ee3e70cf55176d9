#include "gpu_code/compile_all.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "gpu_code/null_gpu.h"
#include "gpu_code/pipeline_code.h"
#include "platform/printable.h"

namespace bitaxon::gpu_code {
namespace {

constexpr std::array kCounts = {
    &Instructions::all,          &Instructions::vector,        &Instructions::products,
    &Instructions::conversions,  &Instructions::matrix,        &Instructions::scalar,
    &Instructions::local,        &Instructions::memory,        &Instructions::waits,
    &Instructions::buffer_bytes, &Instructions::address_bytes, &Instructions::wide_bytes};

Json json_of(const Instructions& n) {
  Json numbers = Json::array();
  for (const auto count : kCounts) numbers.push_back(n.*count);
  return numbers;
}

Instructions instructions_of(const Json& json) {
  Instructions n;
  for (std::size_t i = 0; i < kCounts.size(); ++i) n.*kCounts[i] = json.at(i).get<std::int64_t>();
  return n;
}

Json json_of(const PipelineCode& code) {
  Json loops = Json::array();
  for (const Loop& loop : code.code.loops)
    loops.push_back({loop.first, loop.last, loop.parent, json_of(loop.own), json_of(loop.whole)});
  return {{"numbers",
           {code.subgroup_size, code.group_size, code.registers, code.scalar_registers,
            code.spilled, code.scratch_bytes, code.shared_bytes, code.waves, code.code_bytes}},
          {"outside", json_of(code.code.outside)},
          {"loops", std::move(loops)}};
}

PipelineCode code_of(const Json& json) {
  PipelineCode code;
  const Json& numbers = json.at("numbers");
  code.subgroup_size = numbers.at(0).get<std::uint32_t>();
  code.group_size = numbers.at(1).get<std::uint32_t>();
  std::size_t i = 2;
  for (std::int64_t* number :
       {&code.registers, &code.scalar_registers, &code.spilled, &code.scratch_bytes,
        &code.shared_bytes, &code.waves, &code.code_bytes})
    *number = numbers.at(i++).get<std::int64_t>();
  code.code.outside = instructions_of(json.at("outside"));
  for (const Json& loop : json.at("loops"))
    code.code.loops.push_back({.first = loop.at(0).get<std::size_t>(),
                               .last = loop.at(1).get<std::size_t>(),
                               .parent = loop.at(2).get<int>(),
                               .own = instructions_of(loop.at(3)),
                               .whole = instructions_of(loop.at(4))});
  return code;
}

void write_line(int to, const Json& json) {
  const std::string line = json.dump() + "\n";
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(to, line.data() + done, line.size() - done);
    if (n <= 0) ::_exit(1);
    done += static_cast<std::size_t>(n);
  }
}

/// The work of a child process: compiles pipelines [first, ...) and writes a line for each. Ends the
/// process without destructors, which would free what belongs to the parent.
[[noreturn]] void work(const FamilyCode& family, std::size_t first, const CompileOptions& options,
                       int to) {
  try {
    NullGpu gpu(family.family, options.shader_dir);
    const Vendor vendor = vendor_of(family.family);
    for (std::size_t i = first; i < family.pipelines.size(); ++i) {
      const NeededPipeline& needed = family.pipelines[i];
      const bool with_counts = !options.is_counted || options.is_counted(needed.facts);
      write_line(to, {{"begin", i}});
      write_line(to, json_of(pipeline_code(vendor, gpu.compile(needed.launch, with_counts),
                                           needed.launch)));
    }
    write_line(to, {{"done", true}});
  } catch (const std::exception& error) {
    write_line(to, {{"error", error.what()}});
  }
  ::_exit(0);
}

/// The C library and the driver write to stderr when a process crashes. The parent reports it.
void silence_errors() {
  if (const int nowhere = ::open("/dev/null", O_WRONLY); nowhere >= 0) ::dup2(nowhere, 2);
}

/// A child process that compiles the pipelines of a family.
struct Child {
  FamilyCode* family = nullptr;
  int from = -1;
  pid_t process = -1;
  std::string text = {};     ///< read, but not yet a whole line
  bool in_pipeline = false;  ///< whether it has begun a pipeline and not finished it
  bool is_done = false;
  std::string error = {};

  /// Handles one line that the child has written.
  void take(const std::string& line) {
    const Json json = parse_json(line, "a compiled pipeline");
    in_pipeline = json.contains("begin");
    is_done = is_done || json.contains("done");
    if (json.contains("error")) error = json.at("error").get<std::string>();
    if (json.contains("numbers")) family->codes.push_back(code_of(json));
  }
  /// Reads what is there. Returns false at the end.
  bool read() {
    std::array<char, 65536> some{};
    const ssize_t n = ::read(from, some.data(), some.size());
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    text.append(some.data(), static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos;
         end = text.find('\n', begin)) {
      take(text.substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
    return true;
  }
  /// Call this at the end. Returns whether the family is complete.
  bool finish() {
    ::close(from);
    int status = 0;
    ::waitpid(process, &status, 0);
    if (!error.empty())
      throw Error(ErrorKind::device, fmt::format("{}: {}", family->family, error));
    if (is_done) return true;
    if (!in_pipeline || !WIFSIGNALED(status))
      throw Error(ErrorKind::device,
                  fmt::format("{}: the process that compiles ended with status {}", family->family,
                              status));
    PipelineCode crashed;
    crashed.crashed = true;
    family->codes.push_back(crashed);
    return family->codes.size() == family->pipelines.size();
  }
};

Child start(FamilyCode& family, const CompileOptions& options) {
  int ends[2];
  if (::pipe(ends) != 0) throw Error(ErrorKind::io, "cannot make a pipe");
  const pid_t process = ::fork();
  if (process < 0) throw Error(ErrorKind::io, "cannot start a process");
  if (process == 0) {
    ::close(ends[0]);
    silence_errors();
    work(family, family.codes.size(), options, ends[1]);
  }
  ::close(ends[1]);
  return {.family = &family, .from = ends[0], .process = process};
}

/// Opens the family in another process first, because the driver ends a process that asks for an
/// unknown family.
void check_family(const std::string& family) {
  const pid_t process = ::fork();
  if (process < 0) throw Error(ErrorKind::io, "cannot start a process");
  if (process == 0) {
    silence_errors();
    try {
      NullGpu gpu(family, {});
    } catch (const std::exception&) {
      // The parent fails in the same way, with a message.
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(process, &status, 0);
  if (status != 0)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("family: expected one that Mesa can open without a GPU, such as {}, got {}",
                    fmt::join(checked_families(), ", "), printable(family, 60)));
}

/// Waits until one of the processes has written something or has ended.
std::size_t wait_for_any(const std::vector<Child>& children) {
  std::vector<pollfd> files;
  for (const Child& child : children) files.push_back({child.from, POLLIN, 0});
  while (::poll(files.data(), files.size(), -1) < 0)
    if (errno != EINTR) throw Error(ErrorKind::io, "cannot wait for a process");
  const auto ready = std::ranges::find_if(files, [](const pollfd& f) { return f.revents != 0; });
  return static_cast<std::size_t>(ready - files.begin());
}

/// The pipelines of one family that are compiled.
class Selection {
 public:
  explicit Selection(const CompileOptions& options) : options_(&options) {}

  /// Whether to compile a pipeline: not if it was there before, or if another one stands for it.
  bool takes(const NeededPipeline& needed) {
    const std::string shader(name_of(needed.launch.shader));
    if (shader.find(options_->filter) == std::string::npos) return false;
    Names pipeline = {shader, options_->brief ? main_constants_text(needed.launch)
                                              : constants_text(needed.launch)};
    if (!options_->quick) return pipelines_.insert(std::move(pipeline)).second;
    bool is_wanted = rows_.insert(row_of(needed.facts)).second;
    if (!reads_weight(needed.facts.kind)) is_wanted |= uses_.insert({needed.source, shader}).second;
    if (!is_wanted) return false;
    return pipelines_.insert(std::move(pipeline)).second;
  }

 private:
  using Names = std::pair<std::string, std::string>;

  /// A row of the report. Kernels for several rows of x are unrolled and take longest to compile, so
  /// only those for four rows are taken in every format.
  static std::string row_of(const KernelFacts& facts) {
    const bool in_every_format =
        facts.kind != KernelKind::vec || facts.rows == 1 || facts.rows == 4;
    return fmt::format("{} {} {}", facts.kernel, in_every_format ? facts.format : "", facts.rows);
  }

  const CompileOptions* options_;
  std::set<Names> pipelines_;   ///< shader and constants
  std::set<std::string> rows_;  ///< of the report
  std::set<Names> uses_;        ///< workload and shader
};

}  // namespace

std::vector<vulkan::DeviceCaps> family_caps(const std::vector<std::string>& families) {
  std::vector<vulkan::DeviceCaps> caps;
  for (const std::string& family : families) {
    check_family(family);
    caps.push_back(NullGpu(family, {}).caps());
  }
  return caps;
}

std::vector<FamilyCode> list_pipelines(const CompileOptions& options,
                                       const std::vector<Workload>& workloads) {
  const std::vector<vulkan::DeviceCaps> caps = family_caps(options.families);
  std::vector<FamilyCode> listed(caps.size());
  std::vector<Selection> selections(caps.size(), Selection(options));
  for (std::size_t k = 0; k < caps.size(); ++k) {
    listed[k].family = options.families[k];
    listed[k].driver = caps[k].driver_info;
  }
  for (const Workload& workload : workloads)
    workload.list(caps, [&](std::size_t k, const std::vector<ListedLaunch>& launches) {
      for (const ListedLaunch& each : launches) {
        NeededPipeline needed{each.launch, facts_of(each.launch), workload.name};
        if (selections[k].takes(needed)) listed[k].pipelines.push_back(std::move(needed));
      }
    });
  return listed;
}

void compile(std::vector<FamilyCode>& families, const CompileOptions& options) {
  std::vector<FamilyCode*> waiting;
  // The last family takes longest, so it starts first.
  for (FamilyCode& family : families) waiting.push_back(&family);
  std::vector<Child> running;
  while (!waiting.empty() || !running.empty()) {
    while (!waiting.empty() && std::ssize(running) < options.jobs) {
      running.push_back(start(*waiting.back(), options));
      waiting.pop_back();
    }
    const std::size_t i = wait_for_any(running);
    if (running[i].read()) continue;
    Child ended = std::move(running[i]);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    if (!ended.finish()) waiting.push_back(ended.family);
  }
}

}  // namespace bitaxon::gpu_code
