// Compares single kernels of the CPU backend with two rates of the machine: the rate at which it
// reads memory (huge pages, all cores), and the rate of its float32 multiply-adds. Both rates are
// measured before and after every run, because they change while other machines share the hardware.
//
// A run is one step of several copies of the kernel, each with its own weights or states. A case
// with one row has enough copies to fill four times the last-level cache. When the next run begins,
// no cache holds the first copy any more. A case with several rows has four copies. The rates in
// bytes count the weights as stored, and the keys and values that are read. The program prints one
// JSON object per line.
//   cpu_bench [--threads N] [--filter TEXT] [--runs N] [--warm]
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

#include "bitaxon/devices.h"
#include "compiled_case.h"
#include "formats/json.h"

namespace bitaxon::test {
namespace {

struct Options {
  int n_threads = 0;
  int n_runs = 9;
  bool warm = false;
  std::string filter;
};

enum class Of { reading, multiplying, updates };

/// A function that records one copy of a kernel and returns its outputs.
using Recorder = std::function<std::vector<Tensor>(const OpHandles&)>;

/// A kernel, its amount of work, and the fraction of the machine's rate that it should reach.
struct Measure {
  std::string name;
  Of of;
  /// The work of one copy, in the unit of `of`: bytes, float32 operations or state updates. 0
  /// stands for the bytes of the stored weights.
  double amount;
  double wanted;
  std::uint32_t n_rows;
  std::uint32_t position = 0;
  double cold_bytes;  ///< lower bound of the bytes that one copy brings into a cache
  /// Adds the weights, inputs and states of one copy to the problem.
  std::function<Recorder(OpProblem& problem)> add;
  /// Like `add`, for work that is not part of the kernel. The time of this work is subtracted from
  /// the time of `add`. May be empty.
  std::function<Recorder(OpProblem& problem)> add_less = {};
};

/// A lower bound of the bytes that one weight element takes.
double bytes_each(Format format) {
  if (format == Format::f32) return 4;
  if (format == Format::f16 || format == Format::bf16) return 2;
  return format == Format::q8_g64 || format == Format::q8_rows ? 1 : 0.5;
}

Measure product(Format format, std::int64_t n_outputs, std::int64_t cols, std::uint32_t n_rows,
                double wanted) {
  const bool reading = n_rows == 1;
  const auto elements = static_cast<double>(n_outputs * cols);
  return {.name = fmt::format("linear {} {}x{}, {} rows", name_of(format), n_outputs, cols, n_rows),
          .of = reading ? Of::reading : Of::multiplying,
          .amount = reading ? 0 : 2 * elements * n_rows,
          .wanted = wanted,
          .n_rows = n_rows,
          .cold_bytes = elements * bytes_each(format),
          .add = [=](OpProblem& p) -> Recorder {
            const auto weight = p.add_weight(format, {1, n_outputs, cols}, 0.02);
            const auto x = p.add_input(cols, 1);
            return [=](const OpHandles& h) -> std::vector<Tensor> {
              return {linear(h.inputs[x], h.weights[weight])};
            };
          }};
}

Measure experts(Format format, std::uint32_t n_rows, double wanted) {
  constexpr std::int64_t kTopK = 2, kExperts = 8, kWidth = 2560, kInner = 4096;
  return {
      .name = fmt::format("moe_swiglu {}, 8 experts, top 2, {} rows", name_of(format), n_rows),
      .of = Of::multiplying,
      .amount = 4.0 * n_rows * kTopK * kWidth * kInner,
      .wanted = wanted,
      .n_rows = n_rows,
      .cold_bytes = 1.0 * kExperts * kWidth * kInner,
      .add = [=](OpProblem& p) -> Recorder {
        const auto gate = p.add_weight(format, {kExperts, kInner, kWidth}, 0.02);
        const auto up = p.add_weight(format, {kExperts, kInner, kWidth}, 0.02);
        const auto x = p.add_input(kWidth, 1);
        std::vector<std::int32_t> chosen;
        for (std::uint32_t r = 0; r < n_rows; ++r) {
          const std::int64_t first = p.random().below(kExperts);
          chosen.push_back(static_cast<std::int32_t>(first));
          chosen.push_back(
              static_cast<std::int32_t>((first + 1 + p.random().below(kExperts - 1)) % kExperts));
        }
        const std::int64_t two[] = {kTopK};
        const auto which = p.add_input<std::int32_t>(two, chosen);
        return [=](const OpHandles& h) -> std::vector<Tensor> {
          return {moe_swiglu(
              h.inputs[x], h.inputs[which],
              {.gate = h.weights[gate], .up = h.weights[up], .shared_gate = {}, .shared_up = {}})};
        };
      }};
}

Measure gated(Format format, std::uint32_t n_rows, double wanted) {
  constexpr std::int64_t kWidth = 2560, kInner = 9728;
  const bool reading = n_rows == 1;
  constexpr double kElements = 2.0 * kWidth * kInner;
  return {.name = fmt::format("swiglu {} {}x{}, {} rows", name_of(format), kInner, kWidth, n_rows),
          .of = reading ? Of::reading : Of::multiplying,
          .amount = reading ? 0 : 2 * kElements * n_rows,
          .wanted = wanted,
          .n_rows = n_rows,
          .cold_bytes = kElements * bytes_each(format),
          .add = [=](OpProblem& p) -> Recorder {
            const auto x = p.add_input(kWidth, 1);
            const auto norm = p.add_weight(Format::f32, {1, 1, kWidth}, 0.3, 1);
            const auto gate = p.add_weight(format, {1, kInner, kWidth}, 0.02);
            const auto up = p.add_weight(format, {1, kInner, kWidth}, 0.02);
            return [=](const OpHandles& h) -> std::vector<Tensor> {
              return {swiglu(
                  h.inputs[x],
                  {.norm = h.weights[norm], .gate = h.weights[gate], .up = h.weights[up]}, 1e-6F)};
            };
          }};
}

/// With full rank, the time step is an input, and B and C have norms.
Measure scan(std::uint32_t n_rows, double wanted, bool full_rank = false) {
  constexpr std::int64_t kInner = 7680, kStates = 16, kRank = 256;
  const bool reading = n_rows == 1;
  return {
      .name =
          fmt::format("selective_scan 7680x16{}, {} rows", full_rank ? " full rank" : "", n_rows),
      .of = reading ? Of::reading : Of::updates,
      .amount = reading ? 3.0 * 4 * kInner * kStates : 1.0 * kInner * kStates * n_rows,
      .wanted = wanted,
      .n_rows = n_rows,
      .position = 5,
      .cold_bytes = 4.0 * kInner * (3.0 * kStates + 3.0 * n_rows),
      .add = [=](OpProblem& p) -> Recorder {
        const auto u = p.add_input(kInner, 1);
        const auto params = p.add_input(2 * kStates + (full_rank ? kRank : 1), 1);
        const auto z = p.add_input(kInner, 1);
        const auto dt = full_rank ? p.add_input(kInner, 1) : 0;
        const auto dt_weight = full_rank ? 0 : p.add_weight(Format::f32, {1, kInner, 1}, 1);
        const auto norm = full_rank ? p.add_weight(Format::f32, {1, 1, kStates}, 0.3, 1) : 0;
        const auto dt_bias = p.add_weight(Format::f32, {1, 1, kInner}, 1, -3);
        const auto a_log = p.add_weight(Format::f32, {1, kInner, kStates}, 1, 0.5);
        const auto skip = p.add_weight(Format::f32, {1, 1, kInner}, 1);
        const auto state = p.add_state(DType::f32, {kStates, kInner});
        p.fill_state(state, 1);
        return [=](const OpHandles& h) -> std::vector<Tensor> {
          SelectiveScanWeights weights{
              .dt_bias = h.weights[dt_bias], .a_log = h.weights[a_log], .skip = h.weights[skip]};
          SelectiveScanOptions options{.eps = 1e-6F};
          if (full_rank) {
            weights.b_norm = weights.c_norm = h.weights[norm];
          } else {
            weights.dt_weight = h.weights[dt_weight];
            options.clip = TimeStepClip{1e-4F, 100};
          }
          return {selective_scan(h.inputs[u], h.inputs[params], full_rank ? h.inputs[dt] : Tensor(),
                                 h.inputs[z], weights, options, h.states[state])};
        };
      }};
}

/// Measures how much longer ssm_in takes than a linear op of the same shape. Both ops have so few
/// columns that the convolution takes most of the time of ssm_in.
Measure convolution(std::uint32_t n_rows, double wanted) {
  constexpr std::int64_t kInner = 7680, kTaps = 4, kWidth = 2;
  return {.name = fmt::format("convolution 7680x4, {} rows", n_rows),
          .of = Of::reading,
          .amount = 8.0 * kInner * n_rows,
          .wanted = wanted,
          .n_rows = n_rows,
          .position = 5,
          .cold_bytes = 12.0 * kInner * n_rows,
          .add = [=](OpProblem& p) -> Recorder {
            const auto x = p.add_input(kWidth, 1);
            const auto in_proj = p.add_weight(Format::f32, {1, 2 * kInner, kWidth}, 1);
            const auto taps = p.add_weight(Format::f32, {1, kInner, kTaps}, 0.5);
            const auto bias = p.add_weight(Format::f32, {1, 1, kInner}, 0.3);
            const auto tail = p.add_state(DType::f32, {kTaps - 1, kInner});
            p.fill_state(tail, 1);
            return [=](const OpHandles& h) -> std::vector<Tensor> {
              const auto [u, z] = ssm_in(h.inputs[x],
                                         {.norm = {},
                                          .in_proj = h.weights[in_proj],
                                          .conv_weight = h.weights[taps],
                                          .conv_bias = h.weights[bias]},
                                         1e-6F, h.states[tail]);
              return {u, z};
            };
          },
          .add_less = product(Format::f32, 2 * kInner, kWidth, n_rows, 0).add};
}

Measure attention_over(std::int64_t n_keys, double wanted) {
  constexpr std::int64_t kHeads = 32, kHeadDim = 80, kWidth = kHeads * kHeadDim;
  const auto bytes = 4.0 * static_cast<double>(n_keys * kWidth);
  return {.name = fmt::format("attention 32 heads of 80, {} keys, 1 row", n_keys),
          .of = Of::reading,
          .amount = bytes,
          .wanted = wanted,
          .n_rows = 1,
          .position = static_cast<std::uint32_t>(n_keys),
          .cold_bytes = bytes,
          .add = [=](OpProblem& p) -> Recorder {
            const auto q = p.add_input(kWidth, 1);
            const auto keys = p.add_pages(DType::f16, kWidth, n_keys);
            const auto values = p.add_pages(DType::f16, kWidth, n_keys);
            for (const auto pages : {keys, values})
              p.fill_pages(pages, p.segments()[0], 1, n_keys + 1, 1);
            return [=](const OpHandles& h) -> std::vector<Tensor> {
              return {attention(h.inputs[q], h.states[keys], h.states[values],
                                {.n_heads = kHeads, .n_kv_heads = kHeads, .window = n_keys})};
            };
          }};
}

std::vector<Measure> measures() {
  std::vector<Measure> all;
  for (const auto& [n_outputs, cols] :
       {std::pair{15360, 2560}, {2560, 7680}, {4096, 2560}, {32000, 2048}}) {
    all.push_back(product(Format::q4_g64, n_outputs, cols, 1, 0.75));
    all.push_back(product(Format::nf4_g64, n_outputs, cols, 1, 0.65));
    all.push_back(product(Format::q8_g64, n_outputs, cols, 1, 0.75));
    all.push_back(product(Format::q8_rows, n_outputs, cols, 1, 0.75));
    all.push_back(product(Format::mxfp4, n_outputs, cols, 1, 0.65));
    all.push_back(product(Format::nvfp4, n_outputs, cols, 1, 0.65));
    all.push_back(product(Format::f16, n_outputs, cols, 1, 0.85));
    all.push_back(product(Format::bf16, n_outputs, cols, 1, 0.85));
  }
  for (const auto& [n_outputs, cols] : {std::pair{15360, 2560}, {32000, 2048}})
    for (const std::uint32_t n_rows : {128u, 512u}) {
      all.push_back(product(Format::q4_g64, n_outputs, cols, n_rows, 1.5));
      all.push_back(product(Format::nf4_g64, n_outputs, cols, n_rows, 1.2));
      all.push_back(product(Format::q8_g64, n_outputs, cols, n_rows, 1.5));
      all.push_back(product(Format::mxfp4, n_outputs, cols, n_rows, 1.1));
      for (const Format format : {Format::f16, Format::bf16, Format::f32})
        all.push_back(product(format, n_outputs, cols, n_rows, 0.8));
    }
  for (const std::uint32_t n_rows : {2u, 3u, 4u, 6u, 8u, 9u, 12u, 16u})
    all.push_back(product(Format::q4_g64, 15360, 2560, n_rows, 0));
  for (const std::uint32_t n_rows : {1u, 2u, 3u, 4u, 6u, 8u, 9u, 12u, 16u})
    all.push_back(experts(Format::q4_g64, n_rows, 0));
  all.push_back(experts(Format::q4_g64, 128, 1.0));
  all.push_back(experts(Format::nf4_g64, 128, 0.85));
  for (const std::uint32_t n_rows : {128u, 512u}) {
    all.push_back(scan(n_rows, 1.0 / 25));
    all.push_back(scan(n_rows, 1.0 / 25, true));
    all.push_back(gated(Format::q4_g64, n_rows, 1.3));
    all.push_back(convolution(n_rows, 0.3));
  }
  for (const bool full_rank : {false, true}) all.push_back(scan(1, 0.65, full_rank));
  all.push_back(gated(Format::q4_g64, 1, 0.75));
  all.push_back(gated(Format::nf4_g64, 1, 0.65));
  all.push_back(attention_over(4096, 0.6));
  return all;
}

/// Runs several copies of a kernel in one step.
class Copies {
 public:
  Copies(Backend& backend, const Measure& measure,
         const std::function<Recorder(OpProblem& problem)>& add, int n)
      : backend_(backend) {
    OpProblem problem(measure.name);
    const CaseSegment segment{.n_rows = measure.n_rows, .position = measure.position};
    problem.set_step({&segment, 1}, measure.n_rows);
    std::vector<Recorder> recorders;
    for (int i = 0; i < n; ++i) recorders.push_back(add(problem));
    problem.record = [&](const OpHandles& handles) {
      std::vector<Tensor> all;
      for (const Recorder& recorder : recorders)
        for (const Tensor& tensor : recorder(handles)) all.push_back(tensor);
      return all;
    };
    compiled_ = compile_case(backend, problem, Precision::fast);
  }

  double seconds() {
    compiled_.upload_inputs(backend_);
    const auto begin = std::chrono::steady_clock::now();
    backend_.wait(backend_.submit(compiled_.executable, compiled_.step));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    return seconds.count();
  }
  double stored_bytes() const { return static_cast<double>(compiled_.cost.stored_bytes); }

 private:
  Backend& backend_;
  CompiledCase compiled_;
};

/// The median of the values.
double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double rounded(double value, double places) { return std::round(value * places) / places; }

void time_measure(Backend& backend, const Measure& measure, const Options& options) {
  const double cache_bytes =
      std::max(static_cast<double>(::sysconf(_SC_LEVEL3_CACHE_SIZE)), 32.0 * (1 << 20));
  // At least four copies run, so that the time to start a step is small in comparison. With several
  // rows, a copy computes for so long that it hardly matters whether its data is in a cache.
  const int n_copies =
      measure.n_rows > 1 || options.warm
          ? 4
          : std::max(4, static_cast<int>(std::ceil(4 * cache_bytes / measure.cold_bytes)));
  Copies copies(backend, measure, measure.add, n_copies);
  std::optional<Copies> less;
  if (measure.add_less) less.emplace(backend, measure, measure.add_less, n_copies);
  const double amount = measure.amount > 0 ? measure.amount * n_copies : copies.stored_bytes();
  std::vector<double> seconds, shares, rates;
  const auto rate = [&] {
    const DeviceRates all = backend.measure_rates();
    return measure.of == Of::reading ? all.read_bytes_per_s : all.f32_flops_per_s;
  };
  rates.push_back(rate());
  for (int run = 0; run < options.n_runs; ++run) {
    copies.seconds();  // warm-up: allocates memory and wakes the threads
    double taken = copies.seconds();
    if (less) {
      less->seconds();
      taken -= less->seconds();
    }
    rates.push_back(rate());
    seconds.push_back(taken / n_copies);
    shares.push_back(amount / taken / std::midpoint(rates[rates.size() - 2], rates.back()));
  }
  const double share = median_of(shares);
  const Json line = {{"kernel", measure.name},
                     {"copies", n_copies},
                     {"best_us", rounded(std::ranges::min(seconds) * 1e6, 10)},
                     {"median_us", rounded(median_of(seconds) * 1e6, 10)},
                     {"giga_per_sec", rounded(amount / n_copies / median_of(seconds) / 1e9, 100)},
                     {"of", measure.of == Of::reading ? "read rate" : "float32 rate"},
                     {"rate_giga_per_sec", rounded(median_of(rates) / 1e9, 10)},
                     {"percent", rounded(100 * share, 10)},
                     {"wanted_percent", measure.wanted * 100}};
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

int bench(int argc, char** argv) {
  CLI::App app("Times single kernels of the CPU backend");
  Options options;
  app.add_option("--threads", options.n_threads, "0: all cores");
  app.add_option("--runs", options.n_runs, "Number of runs per kernel")->check(CLI::PositiveNumber);
  app.add_flag("--warm", options.warm,
               "Use few copies even with one row, so that they stay in caches");
  app.add_option("--filter", options.filter, "Only kernels whose name contains this text");
  CLI11_PARSE(app, argc, argv);
  const auto opened = open_device("cpu", {.n_threads = options.n_threads});
  Backend& backend = *opened.backend;
  const DeviceRates rates = backend.measure_rates();
  fmt::print("{}\n", Json({{"device", backend.caps().device},
                           {"read_GB_per_sec", rounded(rates.read_bytes_per_s / 1e9, 100)},
                           {"float32_GFLOP_per_sec", rounded(rates.f32_flops_per_s / 1e9, 100)}})
                         .dump());
  for (const Measure& measure : measures())
    if (measure.name.find(options.filter) != std::string::npos)
      time_measure(backend, measure, options);
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
