#include <array>
#include <map>
#include <string>

#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {
namespace {

struct Line {
  std::string_view opcode, operands;
};

/// "BB12" of the line "BB12:"; empty if the line is no label.
std::string_view label_of(std::string_view line) {
  if (!line.starts_with("BB") || line.back() != ':') return {};
  return line.substr(0, line.size() - 1);
}

/// The bytes of a load, from the end of its opcode: "dwordx4", "b128", "ushort", "d16_b16", ...
std::int64_t loaded_bytes(std::string_view opcode) {
  constexpr std::pair<std::string_view, std::int64_t> kSizes[] = {
      {"dwordx4", 16}, {"dwordx3", 12}, {"dwordx2", 8}, {"b128", 16}, {"b96", 12},
      {"b64", 8},      {"dword", 4},    {"b32", 4},     {"byte", 1},  {"u8", 1},
      {"i8", 1},       {"short", 2},    {"16", 2}};
  for (const auto& [part, size] : kSizes)
    if (opcode.find(part) != std::string_view::npos) return size;
  return 4;
}

/// The products per lane of one vector instruction.
std::int64_t products_of(std::string_view opcode) {
  const std::string_view rest = opcode.substr(2);
  if (rest.starts_with("wmma")) return 128;  // 16 x 16 x 16 products in 32 lanes
  if (rest.starts_with("dot8")) return 8;
  if (rest.starts_with("dot4")) return 4;
  if (rest.starts_with("dot2")) return 2;
  const bool packed = rest.starts_with("pk_");
  const std::string_view name = packed ? rest.substr(3) : rest;
  const bool multiplies = starts_with_any(
      name, {"fma", "mac_f", "mad_f", "mad_mix", "mul_f", "mul_legacy_f", "mul_dx9"});
  return multiplies ? (packed ? 2 : 1) : 0;
}

std::int64_t products_of_line(const Line& line) {
  if (!line.opcode.starts_with("v_dual_")) return products_of(line.opcode);
  // "v_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6"
  std::int64_t n = products_of("v_" + std::string(line.opcode.substr(7)));
  const std::size_t second = line.operands.find(":: v_dual_");
  if (second != std::string_view::npos)
    n += products_of("v_" + std::string(line.operands.substr(second + 10)));
  return n;
}

Instructions counts_of(const Line& line) {
  const std::string_view op = line.opcode;
  Instructions n;
  n.all = 1;
  if (op.starts_with("v_")) {
    n.vector = 1;
    n.products = products_of_line(line);
    n.conversions = op.starts_with("v_cvt") ? 1 : 0;
    n.matrix = op.starts_with("v_wmma") ? 1 : 0;
  } else if (op.starts_with("ds_")) {
    n.local = 1;
  } else if (starts_with_any(op, {"global_", "flat_", "scratch_", "buffer_"})) {
    n.memory = 1;
    if (op.starts_with("buffer_load")) n.buffer_bytes = loaded_bytes(op);
    if (starts_with_any(op, {"global_load", "flat_load"})) n.address_bytes = loaded_bytes(op);
    if (n.address_bytes == 16) n.wide_bytes = 16;
  } else if (starts_with_any(
                 op, {"s_waitcnt", "s_nop", "s_clause", "s_delay", "s_inst", "s_barrier", "s_load",
                      "s_buffer", "s_endpgm", "s_code_end", "s_sendmsg"})) {
    n.waits = 1;
  } else if (op.starts_with("s_")) {
    n.scalar = 1;
  } else {
    n.waits = 1;
  }
  return n;
}

/// The label that a branch jumps to; empty for any other instruction.
std::string_view target_of(const Line& line) {
  if (!starts_with_any(line.opcode, {"s_branch", "s_cbranch"})) return {};
  return line.operands.substr(0, line.operands.find_first_of(" \t,"));
}

}  // namespace

MachineCode analyse_amd(std::string_view text) {
  std::vector<Line> lines;
  std::map<std::string_view, std::size_t> labels;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = trimmed(line.substr(0, line.find(';')));
    if (line.empty()) continue;
    if (const std::string_view label = label_of(line); !label.empty()) {
      labels[label] = lines.size();
      continue;
    }
    const std::size_t space = line.find_first_of(" \t");
    lines.push_back({line.substr(0, space), space == std::string_view::npos
                                                ? std::string_view()
                                                : trimmed(line.substr(space))});
  }
  std::vector<CodeLine> code;
  for (const Line& line : lines) {
    code.push_back({.counts = counts_of(line)});
    if (const auto target = labels.find(target_of(line)); target != labels.end())
      code.back().target = target->second;
  }
  return machine_code(code);
}

}  // namespace bitaxon::gpu_code
