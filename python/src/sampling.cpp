// Draws tokens from logits that Python has.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "arrays.h"
#include "bitaxon/devices.h"
#include "bitaxon/error.h"
#include "eager/sample_op.h"
#include "model/sampler_words.h"
#include "options.h"
#include "parts.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Logits = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ids = std::vector<std::int32_t>;

/// The op, compiled for the vocabularies and the stages that were used last. It runs on the CPU.
class Samplers {
 public:
  std::vector<std::int32_t> run(std::int64_t vocab_size, const SamplerStructure& structure,
                                std::span<const SampleOp::Draw> draws) {
    const std::lock_guard lock(mutex_);
    if (!backend_) backend_ = open_device("cpu", {.n_threads = 1}).backend;
    constexpr std::size_t kMost = 8;
    if (ops_.size() > kMost) ops_.clear();
    auto& op = ops_[{vocab_size, structure.penalty, structure.draw}];
    if (!op) op = std::make_unique<SampleOp>(*backend_, vocab_size, structure);
    std::vector<std::int32_t> tokens;
    while (!draws.empty()) {
      const std::size_t n = std::min<std::size_t>(kMaxSegments, draws.size());
      const auto some = op->run(draws.first(n));
      tokens.insert(tokens.end(), some.begin(), some.end());
      draws = draws.subspan(n);
    }
    return tokens;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<Backend> backend_;
  std::map<std::tuple<std::int64_t, bool, bool>, std::unique_ptr<SampleOp>> ops_;
};

Samplers& samplers() {
  static PerProcess<Samplers> all;
  return all.get();
}

/// One token for each row of logits. `seen` has the ids that the repetition penalty counts, of all
/// rows alike. Row r draws at position + r, so equal rows draw different tokens.
Ids sample(const Logits& logits, const nb::dict& options, const Ids& seen, std::uint32_t position) {
  const SamplerParams params = sampler_of(options);
  params.validate();
  const auto vocab_size = static_cast<std::int64_t>(logits.shape(1));
  if (vocab_size == 0)
    throw Error(ErrorKind::invalid_argument, "logits: expected at least one logit, got none");
  std::vector<bool> marks(static_cast<std::size_t>(vocab_size));
  for (const std::int32_t id : seen)
    if (id >= 0 && id < vocab_size) marks[static_cast<std::size_t>(id)] = true;
  const Ids tokens =
      in_background([vocab_size, params, marks, position,
                     values = std::vector<float>(logits.data(), logits.data() + logits.size())] {
        std::vector<SampleOp::Draw> draws;
        const auto n = static_cast<std::size_t>(vocab_size);
        for (std::size_t row = 0; row < values.size() / n; ++row)
          draws.push_back({std::span(values).subspan(row * n, n), marks, sampler_words(params),
                           position + static_cast<std::uint32_t>(row)});
        return samplers().run(vocab_size, params.structure(), draws);
      });
  for (const std::int32_t token : tokens)
    if (token < 0)
      throw Error(ErrorKind::invalid_argument,
                  "logits: expected finite numbers, got NaN or no finite largest logit");
  return tokens;
}

}  // namespace

void add_sampling(nb::module_& module) {
  module.def("sample", sample, "logits"_a, "options"_a, "seen"_a, "position"_a);
}

}  // namespace bitaxon::python
