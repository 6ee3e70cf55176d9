// bit-axon-probe: uses every Vulkan driver as a program does before it computes, and reports each
// step on stdout before taking it. The library starts this process, because a driver that ends a
// process would otherwise end the user's program. Errors of a device are ignored here, because
// opening the device reports them.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "shaders/params/read_words.h"
#include "vulkan/drivers/probe_words.h"
#include "vulkan/memory/transfer.h"
#include "vulkan/program/pipeline.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::size_t kBytes = 4096;

/// Returns a file descriptor for the report. stdout itself becomes stderr, because drivers and
/// layers write to it.
int take_stdout() {
  const int report = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  ::dup2(2, 1);
  return report;
}

class Report {
 public:
  void operator()(std::string_view line) const {
    const std::string text = fmt::format("{}\n", line);
    // The reader has ended, so the rest is not needed.
    if (::write(fd_, text.data(), text.size()) < 0) ::_exit(1);
  }

 private:
  int fd_ = take_stdout();
};

std::vector<std::uint32_t> shader_code(Shader shader) {
  const auto code = embedded_code(shader);
  return {code.begin(), code.end()};
}

/// Allocates memory, makes a pipeline, and lets the device copy bytes.
void use(const Device& device) {
  MemoryAllocator memory(device);
  Failure failure;
  PipelineCache cache(device, {});
  PipelineLibrary pipelines(device, cache, shader_code);
  Transfer transfer(device, memory, failure);
  Launch launch;
  launch.shader = Shader::read_words;
  launch.specialization = {{BX_READ_WORDS_GROUP_SIZE, group_size(device.caps())}};
  launch.set_push(ReadWordsPush{.n_quads = 0});
  launch.bindings = {{.access = Access::read_write}, {.access = Access::read}};
  static_cast<void>(pipelines.find(launch));
  const auto from = memory.allocate(kBytes, MemoryPurpose::weights, "from");
  const auto to = memory.allocate(kBytes, MemoryPurpose::activations, "to");
  transfer.copy(*from, 0, *to, 0, kBytes);
}

void try_device(const Instance& instance, const Instance::PhysicalDevice& physical,
                const Report& report) try {
  const std::string name = printable(physical.caps.name);
  report(fmt::format("its device {} is opened", name));
  const Device device(instance, physical);
  report(fmt::format("its device {} is used", name));
  use(device);
  report(fmt::format("its device {} is closed", name));
} catch (const Error&) {
}

/// Tries all drivers and returns the last line of the report.
std::string try_drivers(const Report& report) try {
  report("its devices are listed");
  const Instance instance;
  report(fmt::format("{}{}", kProbeCount.substr(1), instance.devices().size()));
  for (const Instance::PhysicalDevice& physical : instance.devices())
    try_device(instance, physical, report);
  report("it is closed");
  return std::string(kProbeDone);
} catch (const Error& error) {
  // If one driver fails here, the loader lists no devices of the other drivers either. A missing
  // loader or driver is not a failure.
  return error.kind() == ErrorKind::device ? fmt::format("{}{}", kProbeFails, error.what())
                                           : std::string(kProbeDone);
}

/// Prevents core files and crash reports on the user's desktop, because crashes are expected here.
/// The limit 1 also stops systems that send core dumps to a program (see core(5)).
void crash_quietly() {
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1);
  ::setrlimit(RLIMIT_CORE, &limit);
  // Sanitizers would turn the signal into an exit status.
  for (const int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::signal(crash, SIG_DFL);
}

}  // namespace
}  // namespace bitaxon::vulkan

int main() {
  using namespace bitaxon::vulkan;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the waiting program may be interrupted
  crash_quietly();
  const Report report;
  report(kProbeStarts);
  report(try_drivers(report));
}
