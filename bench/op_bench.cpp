// Times the op cases tagged kBench on one device. First checks the results of each case against the
// reference. Measures the wall time from submit to the end of wait. The numbers of bytes and
// operations come from the cost of the op. best_GB/s is the rate of the fastest run, and %_of_read
// is this rate as a percentage of the rate at which the host reads its memory.
//   op_bench [--device=cpu] [--threads=N] [--shader-dir=DIR] [Google Benchmark's flags]
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>

#include "bitaxon/devices.h"
#include "cases/op_harness.h"
#include "compiled_case.h"
#include "ops/op.h"
#include "platform/cpu_info.h"
#include "platform/host_rates.h"

namespace bitaxon::test {
namespace {

/// Describes how the results of the device differ from those of the reference. Empty if they agree.
std::string problem_with(Backend& backend, Backend& reference, const OpCase& op_case,
                         const OpProblem& problem) {
  const auto found =
      differences(run_op(backend, problem), expected_run(reference, problem), op_case.tolerance);
  return found.empty() ? "" : found[0];
}

void run_case(benchmark::State& state, Backend& backend, Backend& reference, double read_rate,
              std::string_view op, const OpCase& op_case) {
  const OpProblem problem = problem_of(op, op_case);
  if (const std::string wrong = problem_with(backend, reference, op_case, problem);
      !wrong.empty()) {
    state.SkipWithError(wrong.c_str());
    return;
  }
  const CompiledCase compiled = compile_case(backend, problem);
  double best_s = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    backend.wait(backend.submit(compiled.executable, compiled.step));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best_s = std::min(best_s, seconds.count());
  }
  state.counters["bytes"] = benchmark::Counter(static_cast<double>(compiled.cost.bytes),
                                               benchmark::Counter::kIsIterationInvariantRate,
                                               benchmark::Counter::kIs1000);
  // Both rates are the best of several measurements, because other processes can only lower a rate.
  const double best_rate = static_cast<double>(compiled.cost.bytes) / best_s;
  state.counters["best_GB/s"] = best_rate * 1e-9;
  state.counters["%_of_read"] = 100 * best_rate / read_rate;
  state.counters["flops"] = benchmark::Counter(static_cast<double>(compiled.cost.flops),
                                               benchmark::Counter::kIsIterationInvariantRate,
                                               benchmark::Counter::kIs1000);
}

/// Removes the argument "--name=value" and returns its value. Returns an empty text if there is no
/// such argument.
std::string take_flag(int& argc, char** argv, const std::string& name) {
  for (int i = 1; i < argc; ++i) {
    const std::string prefix = "--" + name + "=";
    if (std::strncmp(argv[i], prefix.c_str(), prefix.size()) != 0) continue;
    std::string value = argv[i] + prefix.size();
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    return value;
  }
  return {};
}

int bench(int argc, char** argv) {
  const std::string device = take_flag(argc, argv, "device");
  const std::string threads = take_flag(argc, argv, "threads");
  const std::string shader_dir = take_flag(argc, argv, "shader-dir");
  int n_threads = 0;
  std::from_chars(threads.data(), threads.data() + threads.size(), n_threads);
  const auto opened = open_device(device.empty() ? "cpu" : device,
                                  {.n_threads = n_threads, .shader_dir = shader_dir});
  const auto reference = open_device("reference");
  const double read_rate = host_read_rate(usable_cores());
  benchmark::AddCustomContext("host_read_GB_per_s", fmt::format("{:.1f}", read_rate / 1e9));
  benchmark::AddCustomContext("device", opened.backend->caps().device);
  for (const OpCases& cases : every_op_case())
    for (const OpCase& op_case : cases.cases)
      if ((op_case.tags & kBench) != 0)
        benchmark::RegisterBenchmark(fmt::format("{}/{}", cases.op, op_case.label).c_str(),
                                     [&](benchmark::State& state) {
                                       run_case(state, *opened.backend, *reference.backend,
                                                read_rate, cases.op, op_case);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace bitaxon::test

int main(int argc, char** argv) {
  try {
    return bitaxon::test::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "op_bench: %s\n", error.what());
    return 1;
  }
}
