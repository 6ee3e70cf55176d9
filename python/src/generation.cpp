// Generates text: whole answers, streams, and batches.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "batch.h"
#include "options.h"
#include "parts.h"
#include "stream.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Ids = std::vector<std::int32_t>;

GenerateOptions options_of(const nb::dict& options) {
  GenerateOptions out;
  out.sampler = sampler_of(options);
  take(options, "max_tokens", out.max_tokens);
  take(options, "stop", out.stop);
  take(options, "stop_ids", out.stop_ids);
  take(options, "ignore_eos", out.ignore_eos);
  return out;
}

nb::dict describe(const GenerateResult& result) {
  nb::dict out;
  out["text"] = nb::str(result.text.data(), result.text.size());
  out["token_ids"] = result.token_ids;
  out["stop_token"] = result.stop_token;
  out["prompt_tokens"] = result.prompt_tokens;
  out["cached_tokens"] = result.cached_tokens;
  out["finish_reason"] = name_of(result.finish_reason);
  out["context_full"] = result.context_full;
  out["prefill_ms"] = result.prefill_ms;
  out["time_to_first_token_ms"] = result.time_to_first_token_ms;
  out["total_ms"] = result.total_ms;
  out["prefill_tokens_per_sec"] = result.prefill_tokens_per_sec();
  out["decode_tokens_per_sec"] = result.decode_tokens_per_sec();
  return out;
}

nb::tuple next(Stream& stream, bool single, std::int64_t n_taken) {
  const StreamPart part = stream.next(single, n_taken);
  return nb::make_tuple(part.ids, nb::str(part.text.data(), part.text.size()), part.is_last);
}

nb::object result_of(const Stream& stream) {
  return stream.result() ? nb::object(describe(*stream.result())) : nb::none();
}

nb::list answer_batch(const std::shared_ptr<LoadedModel>& model, const TokenizerHandle* tokenizer,
                      const std::vector<Ids>& prompts, const nb::list& options) {
  struct Held {
    std::optional<TokenizerHandle> tokenizer;
    std::vector<BatchPrompt> prompts;
    std::vector<BatchAnswer> answers;
  };
  const auto held = std::make_shared<Held>();
  if (tokenizer != nullptr) held->tokenizer = *tokenizer;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    held->prompts.push_back({prompts[i], options_of(nb::cast<nb::dict>(options[i]))});
  model->run([model = model.get(), held](const std::atomic<bool>& cancelled) {
    std::optional<Vocabulary> vocabulary;
    if (held->tokenizer) vocabulary = model->vocabulary(*held->tokenizer);
    held->answers = generate_batch(*model, vocabulary ? &*vocabulary : nullptr,
                                   std::move(held->prompts), cancelled);
  });
  nb::list out;
  for (const BatchAnswer& answer : held->answers) {
    nb::dict one;
    one["text"] = nb::str(answer.text.data(), answer.text.size());
    one["token_ids"] = answer.ids;
    one["prompt_tokens"] = answer.prompt_tokens;
    one["finish_reason"] = name_of(answer.finish_reason);
    out.append(one);
  }
  return out;
}

}  // namespace

void add_generation(nb::module_& module) {
  nb::class_<Stream>(module, "Stream", nb::is_weak_referenceable())
      .def(
          "__init__",
          [](Stream* self, const Sequences& sequences, const TokenizerHandle* tokenizer,
             const nb::dict& options) {
            std::optional<TokenizerHandle> copy;
            if (tokenizer != nullptr) copy = *tokenizer;
            new (self)
                Stream(sequences.model(), sequences.batch(), std::move(copy), options_of(options));
          },
          "sequences"_a, "tokenizer"_a.none(), "options"_a)
      .def("begin", &Stream::begin)
      .def("next", next)
      .def("abandon", &Stream::abandon)
      .def("run", &Stream::run)
      .def("close", &Stream::close)
      .def("result", result_of);
  module.def("generate_batch", answer_batch, "model"_a, "tokenizer"_a.none(), "prompts"_a,
             "options"_a);
}

}  // namespace bitaxon::python
