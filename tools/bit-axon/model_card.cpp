#include "model_card.h"

#include <fmt/format.h>

#include "console.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

/// The block that the hub reads: what the model was made from, and how it is searched for.
std::string front_matter(const ModelCard& card) {
  std::string text = "---\npipeline_tag: text-generation\ntags:\n- bit-axon\n- safetensors\n";
  if (!card.base_model.empty()) text += fmt::format("base_model: {}\n", card.base_model);
  return text + "---\n\n";
}

std::string table_of(const char* title, const std::map<std::string, Tally>& tallies) {
  std::string text =
      fmt::format("| {} | parameters | bytes | bits per weight |\n|---|---|---|---|\n", title);
  for (const auto& [name, tally] : tallies)
    text += fmt::format("| {} | {} | {} | {:.2f} |\n", name,
                        count_text(static_cast<double>(tally.elements)), bytes_text(tally.bytes),
                        tally.bits_per_weight());
  return text + "\n";
}

std::string results_of(const ModelCard& card) {
  if (card.results.empty()) return {};
  std::string text =
      "## Evaluation\n\nResults as the uploader gives them.\n\n| benchmark | result |\n|---|---|\n";
  for (const auto& [name, value] : card.results) text += fmt::format("| {} | {} |\n", name, value);
  return text + "\n";
}

}  // namespace

std::string card_text(const ModelCard& card) {
  const Inspection& model = card.model;
  const ModelSpec& spec = model.spec;
  const std::string name = card.repository.substr(card.repository.find('/') + 1);
  std::string text = front_matter(card);
  text += fmt::format("# {}\n\n", name);
  text += fmt::format("A language model of the family {} with {} parameters", spec.family,
                      count_text(static_cast<double>(model.n_parameters)));
  text += card.base_model.empty()
              ? ".\n\n"
              : fmt::format(", made from [{0}](https://huggingface.co/{0}).\n\n", card.base_model);
  text += "## Model\n\n| | |\n|---|---|\n";
  text += fmt::format("| parameters | {} |\n", model.n_parameters);
  text += fmt::format("| read per token | {} |\n", model.n_read_per_token);
  text += fmt::format("| size | {} ({:.2f} bits per weight) |\n", bytes_text(model.stored.bytes),
                      model.stored.bits_per_weight());
  text += fmt::format("| layers | {} |\n", layers_text(spec));
  text += fmt::format("| width | {} |\n| vocabulary | {} |\n| context | {} tokens |\n\n",
                      spec.d_model, spec.vocab_size, spec.max_seq_len);
  text += table_of("format", model.formats) + table_of("part", model.parts);
  text += results_of(card);
  text += fmt::format(
      "## Use\n\n```sh\nbit-axon download {0}\nbit-axon run -m {0} \"Your prompt\"\n```\n",
      card.repository);
  return text;
}

}  // namespace bitaxon::tool
