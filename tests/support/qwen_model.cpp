#include "support/qwen_model.h"

#include <fmt/format.h>

#include "tokenizer_tests/tokenizer_json.h"

namespace bitaxon::test {

std::string qwen_tokenizer() {
  std::vector<std::string> merges;
  for (const char first : {'a', 'A'})
    for (int i = 0; i < 26 * 26; ++i)
      merges.push_back(fmt::format("{} {}", static_cast<char>(first + i / 26),
                                   static_cast<char>(first + i % 26)));
  TokenizerJson tokenizer(merges);
  for (const char* token : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"})
    tokenizer.add(token, {{"special", true}});
  return tokenizer.text();
}

std::map<std::string, NamedTensor> qwen_tensors(const QwenShape& shape) {
  std::uint32_t seed = 0;
  std::map<std::string, NamedTensor> tensors;
  const auto add = [&](const std::string& name, const Shape& extents) {
    tensors[name] = random_tensor(extents, ++seed, 0.05F);
  };
  add("model.embed_tokens.weight", {kQwenTokens, shape.width});
  for (std::int64_t i = 0; i < shape.n_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    add(layer + "input_layernorm.weight", {shape.width});
    add(layer + "post_attention_layernorm.weight", {shape.width});
    add(layer + "mlp.gate_proj.weight", {shape.d_hidden, shape.width});
    add(layer + "mlp.up_proj.weight", {shape.d_hidden, shape.width});
    add(layer + "mlp.down_proj.weight", {shape.width, shape.d_hidden});
  }
  return tensors;
}

void write_qwen(const std::filesystem::path& folder,
                const std::map<std::string, NamedTensor>& tensors) {
  std::filesystem::create_directories(folder);
  write_text(folder / "config.json", R"({"model_type": "qwen2", "hidden_size": 128})");
  write_text(folder / "tokenizer.json", qwen_tokenizer());
  write_text(folder / "tokenizer_config.json",
             fmt::format(R"({{"added_tokens_decoder": {{"{}": {{"content": "<|im_end|>"}},
                             "{}": {{"content": "<tool_call>"}}}},
                             "chat_template": "x", "eos_token": "<|endoftext|>"}})",
                         kQwenTokens - 2, kQwenTokens - 1));
  write_tensors(folder / "model.safetensors", tensors);
}

}  // namespace bitaxon::test
