// Single kernels of the CPU backend beside what the machine can do: the read rate of its memory
// (huge pages, all cores) and the rate of float32 multiply-adds, measured before and after. Caches
// are cold: between two runs four times the last level is read. Bytes are those of the weights as
// stored, and of the keys and values read. Prints one JSON object a line.
//   cpu_bench [--threads N] [--filter TEXT] [--runs N]
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

#include "bitaxon/devices.h"
#include "compiled_case.h"
#include "formats/json.h"

namespace bitaxon::test {
namespace {

struct Options {
  int n_threads = 0;
  int n_runs = 9;
  std::string filter;
};

enum class Of { reading, multiplying, updates };

/// One kernel, what it has to do, and what share of the machine's rate it should reach.
struct Measure {
  std::string name;
  Of of;
  double amount;  ///< bytes, float32 operations, or updates of a state
  double wanted;
  std::function<void(OpProblem& problem)> build;
};

std::vector<CaseSegment> rows(std::uint32_t n, std::uint32_t position = 0) {
  return {{.slot = 0, .n_rows = n, .position = position, .read_version = 0, .write_version = 1}};
}

double stored_bytes(Format format, std::int64_t elements) {
  const auto n = static_cast<double>(elements);
  switch (format) {
    case Format::f32:
      return 4 * n;
    case Format::f16:
    case Format::bf16:
      return 2 * n;
    case Format::q4_g64:
      return n / 2 + n / 64 * 4;
    default:
      return n / 2 + n / 64 * 4;
  }
}

Measure product(Format format, std::int64_t n_outputs, std::int64_t cols, std::uint32_t n_rows,
                double wanted) {
  const bool reading = n_rows == 1;
  return {fmt::format("linear {} {}x{}, {} rows", name_of(format), n_outputs, cols, n_rows),
          reading ? Of::reading : Of::multiplying,
          reading ? stored_bytes(format, n_outputs * cols)
                  : 2.0 * static_cast<double>(n_outputs * cols) * n_rows,
          wanted, [=](OpProblem& p) {
            p.set_step(rows(n_rows), n_rows);
            const auto weight = p.add_weight(format, {1, n_outputs, cols}, 0.02);
            const auto x = p.add_input(cols, 1);
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              return {linear(h.inputs[x], h.weights[weight])};
            };
          }};
}

Measure experts(Format format, double wanted) {
  constexpr std::int64_t kRows = 128, kTopK = 2, kExperts = 8, kWidth = 2560, kInner = 4096;
  return {
      fmt::format("moe_swiglu {}, 8 experts, top 2, 128 rows", name_of(format)), Of::multiplying,
      4.0 * kRows * kTopK * kWidth * kInner, wanted, [=](OpProblem& p) {
        p.set_step(rows(kRows), kRows);
        const auto gate = p.add_weight(format, {kExperts, kInner, kWidth}, 0.02);
        const auto up = p.add_weight(format, {kExperts, kInner, kWidth}, 0.02);
        const auto x = p.add_input(kWidth, 1);
        std::vector<std::int32_t> chosen;
        for (std::int64_t r = 0; r < kRows; ++r) {
          const std::int64_t first = p.random().below(kExperts);
          chosen.push_back(static_cast<std::int32_t>(first));
          chosen.push_back(
              static_cast<std::int32_t>((first + 1 + p.random().below(kExperts - 1)) % kExperts));
        }
        const std::int64_t two[] = {kTopK};
        const auto which = p.add_input<std::int32_t>(two, chosen);
        p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
          return {moe_swiglu(
              h.inputs[x], h.inputs[which],
              {.gate = h.weights[gate], .up = h.weights[up], .shared_gate = {}, .shared_up = {}})};
        };
      }};
}

Measure scan(std::uint32_t n_rows, double wanted) {
  constexpr std::int64_t kInner = 7680, kStates = 16;
  const bool reading = n_rows == 1;
  return {fmt::format("selective_scan 7680x16, {} rows", n_rows),
          reading ? Of::reading : Of::updates,
          reading ? 3.0 * 4 * kInner * kStates : 1.0 * kInner * kStates * n_rows, wanted,
          [=](OpProblem& p) {
            p.set_step(rows(n_rows, 5), n_rows);
            const auto u = p.add_input(kInner, 1);
            const auto bcr = p.add_input(2 * kStates + 1, 1);
            const auto z = p.add_input(kInner, 1);
            const auto dt_weight = p.add_weight(Format::f32, {1, kInner, 1}, 1);
            const auto dt_bias = p.add_weight(Format::f32, {1, 1, kInner}, 1, -3);
            const auto a_log = p.add_weight(Format::f32, {1, kInner, kStates}, 1, 0.5);
            const auto skip = p.add_weight(Format::f32, {1, 1, kInner}, 1);
            const auto state = p.add_state(DType::f32, {kStates, kInner});
            p.fill_state(state, 1);
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              return {selective_scan(h.inputs[u], h.inputs[bcr], h.inputs[z],
                                     {.dt_weight = h.weights[dt_weight],
                                      .dt_bias = h.weights[dt_bias],
                                      .a_log = h.weights[a_log],
                                      .skip = h.weights[skip]},
                                     h.states[state])};
            };
          }};
}

/// With a projection of so few columns that the convolution is what takes time.
Measure convolution(std::uint32_t n_rows, double wanted) {
  constexpr std::int64_t kInner = 7680, kTaps = 4, kWidth = 2;
  return {fmt::format("convolution 7680x4, {} rows", n_rows), Of::reading, 8.0 * kInner * n_rows,
          wanted, [=](OpProblem& p) {
            p.set_step(rows(n_rows, 5), n_rows);
            const auto x = p.add_input(kWidth, 1);
            const auto in_proj = p.add_weight(Format::f32, {1, 2 * kInner, kWidth}, 1);
            const auto taps = p.add_weight(Format::f32, {1, kInner, kTaps}, 0.5);
            const auto bias = p.add_weight(Format::f32, {1, 1, kInner}, 0.3);
            const auto tail = p.add_state(DType::f32, {kTaps - 1, kInner});
            p.fill_state(tail, 1);
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              const auto [u, z] = ssm_in(h.inputs[x],
                                         {.norm = {},
                                          .in_proj = h.weights[in_proj],
                                          .conv_weight = h.weights[taps],
                                          .conv_bias = h.weights[bias]},
                                         1e-6F, h.states[tail]);
              return {u, z};
            };
          }};
}

Measure attention_over(std::int64_t n_keys, double wanted) {
  constexpr std::int64_t kHeads = 32, kHeadDim = 80, kWidth = kHeads * kHeadDim;
  return {fmt::format("attention 32 heads of 80, {} keys, 1 row", n_keys), Of::reading,
          4.0 * static_cast<double>(n_keys * kWidth), wanted, [=](OpProblem& p) {
            p.set_step(rows(1, static_cast<std::uint32_t>(n_keys)), 1);
            const auto q = p.add_input(kWidth, 1);
            const auto keys = p.add_ring(DType::f16, {n_keys + 512, kWidth});
            const auto values = p.add_ring(DType::f16, {n_keys + 512, kWidth});
            for (const auto ring : {keys, values})
              p.fill_ring(ring, p.segments()[0], 1, n_keys + 1, 1);
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              return {attention(h.inputs[q], h.states[keys], h.states[values], kHeads, n_keys)};
            };
          }};
}

std::vector<Measure> measures() {
  std::vector<Measure> all;
  for (const auto& [n_outputs, cols] :
       {std::pair{15360, 2560}, {2560, 7680}, {4096, 2560}, {32000, 2048}}) {
    all.push_back(product(Format::q4_g64, n_outputs, cols, 1, 0.75));
    all.push_back(product(Format::nf4_g64, n_outputs, cols, 1, 0.65));
    all.push_back(product(Format::f16, n_outputs, cols, 1, 0.85));
    all.push_back(product(Format::bf16, n_outputs, cols, 1, 0.85));
  }
  for (const auto& [n_outputs, cols] : {std::pair{15360, 2560}, {32000, 2048}})
    for (const std::uint32_t n_rows : {128u, 512u}) {
      all.push_back(product(Format::q4_g64, n_outputs, cols, n_rows, 1.5));
      all.push_back(product(Format::nf4_g64, n_outputs, cols, n_rows, 1.2));
      for (const Format format : {Format::f16, Format::bf16, Format::f32})
        all.push_back(product(format, n_outputs, cols, n_rows, 0.8));
    }
  for (const std::uint32_t n_rows : {2u, 3u, 4u, 6u, 8u, 9u, 12u, 16u})
    all.push_back(product(Format::q4_g64, 15360, 2560, n_rows, 0));
  all.push_back(experts(Format::q4_g64, 1.0));
  all.push_back(experts(Format::nf4_g64, 0.85));
  for (const std::uint32_t n_rows : {128u, 512u}) {
    all.push_back(scan(n_rows, 1.0 / 25));
    all.push_back(convolution(n_rows, 0.3));
  }
  all.push_back(scan(1, 0.65));
  all.push_back(attention_over(4096, 0.6));
  return all;
}

/// Reads so much memory that nothing else is left in a cache.
class Caches {
 public:
  Caches() {
    const long last_level = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
    memory_.assign(4 * static_cast<std::size_t>(std::max(last_level, 32L << 20)) / 8, 1);
  }
  void make_cold() { sum_ += std::accumulate(memory_.begin(), memory_.end(), std::uint64_t{0}); }
  std::uint64_t sum() const { return sum_; }

 private:
  std::vector<std::uint64_t> memory_;
  std::uint64_t sum_ = 0;
};

struct Found {
  const Measure* measure;
  std::vector<double> seconds;  ///< ascending
};

Found time_of(Backend& backend, const Measure& measure, int n_runs, Caches& caches) {
  OpProblem problem(measure.name);
  measure.build(problem);
  const CompiledCase compiled = compile_case(backend, problem, true);
  Found found{&measure, {}};
  for (int run = 0; run <= n_runs; ++run) {
    caches.make_cold();
    const auto begin = std::chrono::steady_clock::now();
    backend.wait(backend.submit(compiled.executable, compiled.step));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (run > 0) found.seconds.push_back(seconds.count());  // the first warms up
  }
  std::sort(found.seconds.begin(), found.seconds.end());
  return found;
}

void print(const Found& found, const DeviceRates& rates) {
  const Measure& measure = *found.measure;
  const double limit = measure.of == Of::reading ? rates.read_bytes_per_s : rates.f32_flops_per_s;
  const auto share = [&](double seconds) {
    return std::round(1000 * measure.amount / seconds / limit) / 10;
  };
  const double best = found.seconds.front();
  const double median = found.seconds[found.seconds.size() / 2];
  Json line = {{"kernel", measure.name},
               {"best_us", std::round(best * 1e7) / 10},
               {"median_us", std::round(median * 1e7) / 10},
               {"giga_per_sec", std::round(measure.amount / best / 1e7) / 100},
               {"of", measure.of == Of::reading ? "read rate" : "float32 rate"},
               {"percent", share(best)},
               {"percent_of_median", share(median)},
               {"wanted_percent", measure.wanted * 100}};
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

int bench(int argc, char** argv) {
  CLI::App app("Times single kernels of the CPU backend");
  Options options;
  app.add_option("--threads", options.n_threads, "0: all cores");
  app.add_option("--runs", options.n_runs, "How often each runs");
  app.add_option("--filter", options.filter, "Only kernels whose name has this");
  CLI11_PARSE(app, argc, argv);
  const auto opened = open_device("cpu", {.n_threads = options.n_threads});
  Backend& backend = *opened.backend;
  Caches caches;
  DeviceRates rates = backend.measure_rates();
  std::vector<Found> all;
  const std::vector<Measure> wanted = measures();
  for (const Measure& measure : wanted)
    if (measure.name.find(options.filter) != std::string::npos)
      all.push_back(time_of(backend, measure, options.n_runs, caches));
  const DeviceRates after = backend.measure_rates();
  rates.read_bytes_per_s = std::max(rates.read_bytes_per_s, after.read_bytes_per_s);
  rates.f32_flops_per_s = std::max(rates.f32_flops_per_s, after.f32_flops_per_s);
  fmt::print("{}\n", Json({{"device", backend.caps().device},
                           {"read_GB_per_sec", std::round(rates.read_bytes_per_s / 1e7) / 100},
                           {"float32_GFLOP_per_sec", std::round(rates.f32_flops_per_s / 1e7) / 100},
                           {"read_words", caches.sum()}})
                         .dump());
  for (const Found& found : all) print(found, rates);
  return 0;
}

}  // namespace
}  // namespace bitaxon::test

int main(int argc, char** argv) {
  try {
    return bitaxon::test::bench(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "cpu_bench: {}\n", error.what());
    return 1;
  }
}
