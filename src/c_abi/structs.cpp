#include "c_abi/structs.h"

#include <algorithm>
#include <span>

#include "bitaxon/c/bitaxon.h"
#include "bitaxon/evaluation.h"
#include "bitaxon/generate.h"
#include "bitaxon/model.h"
#include "bitaxon/rewrite.h"
#include "c_abi/arguments.h"

namespace bitaxon::c {
namespace {

template <class T>
T zeros() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

}  // namespace

template <>
bitaxon_model_options defaults() {
  auto options = zeros<bitaxon_model_options>();
  const LoadOptions load;
  options.slots = load.n_slots;
  options.forks = load.n_forks;
  options.run_ahead = load.run_ahead;
  options.quantize_bits = load.quantize_bits;
  options.quantize_group_size = static_cast<std::int32_t>(load.quantize_group_size);
  return options;
}

template <>
bitaxon_sampler defaults() {
  auto sampler = zeros<bitaxon_sampler>();
  const SamplerParams params;
  sampler.temperature = params.temperature;
  sampler.top_k = params.top_k;
  sampler.top_p = params.top_p;
  sampler.min_p = params.min_p;
  sampler.repetition_penalty = params.repetition_penalty;
  sampler.seed = params.seed;
  return sampler;
}

template <>
bitaxon_generate_options defaults() {
  auto options = zeros<bitaxon_generate_options>();
  options.max_tokens = GenerateOptions().max_tokens;
  return options;
}

template <>
bitaxon_generate_result defaults() {
  auto result = zeros<bitaxon_generate_result>();
  result.stop_token = -1;
  return result;
}

template <>
bitaxon_chat_options defaults() {
  auto options = zeros<bitaxon_chat_options>();
  options.add_generation_prompt = 1;
  return options;
}

template <>
bitaxon_device_info defaults() {
  return zeros<bitaxon_device_info>();
}

template <>
bitaxon_quantize_options defaults() {
  auto options = zeros<bitaxon_quantize_options>();
  const QuantizeOptions quantize;
  options.bits = quantize.bits;
  options.group_size = quantize.group_size;
  return options;
}

template <>
bitaxon_merge_options defaults() {
  auto options = zeros<bitaxon_merge_options>();
  options.re_quantize = 1;
  return options;
}

template <>
bitaxon_evaluate_options defaults() {
  auto options = zeros<bitaxon_evaluate_options>();
  const EvaluationOptions evaluation;
  options.seq_length = evaluation.seq_length;
  options.batch_size = evaluation.batch_size;
  return options;
}

template <>
bitaxon_evaluation defaults() {
  return zeros<bitaxon_evaluation>();
}

void check_struct(const void* data, std::uint32_t known, const char* name) {
  std::uint32_t size = 0;
  std::memcpy(&size, data, sizeof(size));
  if (size < known || size > kMaxStructBytes)
    refuse(fmt::format("{}.struct_size: expected {} to {}, got {}; call the _init function first",
                       name, known, kMaxStructBytes, size));
  const auto* bytes = static_cast<const unsigned char*>(data);
  const std::span tail(bytes + known, size - known);
  if (std::ranges::any_of(tail, [](unsigned char byte) { return byte != 0; }))
    refuse(
        fmt::format("{}: expected zeros behind byte {}, because this library knows no fields "
                    "there; the program was built for a newer one",
                    name, known));
}

void init_struct(void* out, std::uint64_t size, const void* values, std::uint32_t known) {
  if (out == nullptr) refuse("struct: expected a pointer, got null");
  if (size < known || size > kMaxStructBytes)
    refuse(fmt::format("size: expected {} to {}, got {}", known, kMaxStructBytes, size));
  std::memset(out, 0, static_cast<std::size_t>(size));
  std::memcpy(out, values, known);
  const auto own_size = static_cast<std::uint32_t>(size);
  std::memcpy(out, &own_size, sizeof(own_size));
}

namespace {

template <class T>
bitaxon_status init(T* out, std::uint64_t size) {
  return guard([&] {
    const T values = defaults<T>();
    init_struct(out, size, &values, sizeof(T));
  });
}

}  // namespace
}  // namespace bitaxon::c

/// Defines the function that initializes a struct.
#define BX_INIT(type)                                                        \
  bitaxon_status bitaxon_##type##_init(bitaxon_##type* out, uint64_t size) { \
    return bitaxon::c::init(out, size);                                      \
  }

BX_INIT(model_options)
BX_INIT(sampler)
BX_INIT(generate_options)
BX_INIT(generate_result)
BX_INIT(chat_options)
BX_INIT(device_info)
BX_INIT(quantize_options)
BX_INIT(merge_options)
BX_INIT(evaluate_options)
BX_INIT(evaluation)
