// The file of a saved state: a safetensors file whose metadata names the model it belongs to.
//
//   __metadata__  format "bit-axon state", version "1", model (fingerprint, 16 hex digits),
//                 precision "exact" | "fast", tokens (decimal), checksum (XXH3-64 of the data)
//   tensors       layer_{i}.keys, layer_{i}.values [min(tokens, window), D], oldest first
//                 layer_{i}.conv_tail [K-1, E]
//                 layer_{i}.h [N, E]
//                 seen [ceil(V / 32)] U32
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "bitaxon/state.h"
#include "model/state_pool.h"

namespace bitaxon {

/// Writes a saved state. Throws Error(io).
void write_state_file(const std::filesystem::path& path, const StatePool& pool,
                      const StateSnapshot& snapshot);

/// Reads a saved state. Throws Error(io) if the file cannot be read. Throws Error(format) that says
/// why if the file is no saved state, has another version, model or precision, or is damaged.
StateSnapshot read_state_file(const std::filesystem::path& path, const StatePool& pool);

/// The same for the bytes of such a file, in memory.
std::vector<std::byte> state_file_bytes(const StatePool& pool, const StateSnapshot& snapshot);
StateSnapshot read_state_bytes(std::span<const std::byte> bytes, const StatePool& pool);

}  // namespace bitaxon
