#include "gpu_code/amd_code.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace bitaxon::gpu_code {
namespace {

struct Line {
  std::string_view opcode, operands;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// "BB12" of the line "BB12:"; empty if the line is no label.
std::string_view label_of(std::string_view line) {
  if (!line.starts_with("BB") || line.back() != ':') return {};
  return line.substr(0, line.size() - 1);
}

bool has_any(std::string_view opcode, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts,
                             [&](std::string_view start) { return opcode.starts_with(start); });
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
  const bool multiplies =
      has_any(name, {"fma", "mac_f", "mad_f", "mad_mix", "mul_f", "mul_legacy_f", "mul_dx9"});
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
  } else if (op.starts_with("ds_")) {
    n.local = 1;
  } else if (has_any(op, {"global_", "flat_", "scratch_", "buffer_"})) {
    n.memory = 1;
    if (op.starts_with("buffer_load")) n.buffer_bytes = loaded_bytes(op);
    if (has_any(op, {"global_load", "flat_load"})) n.address_bytes = loaded_bytes(op);
    if (n.address_bytes == 16) n.wide_bytes = 16;
  } else if (has_any(op, {"s_waitcnt", "s_nop", "s_clause", "s_delay", "s_inst", "s_barrier",
                          "s_load", "s_buffer", "s_endpgm", "s_code_end", "s_sendmsg"})) {
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
  if (!has_any(line.opcode, {"s_branch", "s_cbranch"})) return {};
  return line.operands.substr(0, line.operands.find_first_of(" \t,"));
}

/// The innermost loop around an instruction; -1 if there is none.
int loop_at(const std::vector<Loop>& loops, std::size_t i) {
  int found = -1;
  for (std::size_t k = 0; k < loops.size(); ++k)
    if (loops[k].first <= i && i <= loops[k].last &&
        (found < 0 ||
         loops[k].last - loops[k].first < loops[static_cast<std::size_t>(found)].last -
                                              loops[static_cast<std::size_t>(found)].first))
      found = static_cast<int>(k);
  return found;
}

std::vector<Loop> find_loops(const std::vector<Line>& lines,
                             const std::map<std::string_view, std::size_t>& labels) {
  std::map<std::size_t, std::size_t> last_branch;  // by the first instruction of the loop
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto target = labels.find(target_of(lines[i]));
    if (target != labels.end() && target->second <= i) last_branch[target->second] = i;
  }
  std::vector<Loop> loops;
  for (const auto& [first, last] : last_branch) loops.push_back({.first = first, .last = last});
  for (std::size_t k = 0; k < loops.size(); ++k)
    for (std::size_t j = 0; j < loops.size(); ++j) {
      const bool around =
          j != k && loops[j].first <= loops[k].first && loops[k].last <= loops[j].last;
      const auto parent = static_cast<std::size_t>(loops[k].parent);
      if (around && (loops[k].parent < 0 ||
                     loops[j].last - loops[j].first < loops[parent].last - loops[parent].first))
        loops[k].parent = static_cast<int>(j);
    }
  return loops;
}

}  // namespace

Instructions& Instructions::operator+=(const Instructions& other) {
  all += other.all;
  vector += other.vector;
  products += other.products;
  scalar += other.scalar;
  local += other.local;
  memory += other.memory;
  waits += other.waits;
  buffer_bytes += other.buffer_bytes;
  address_bytes += other.address_bytes;
  wide_bytes += other.wide_bytes;
  return *this;
}

MachineCode analyse_amd(std::string_view text) {
  std::vector<Line> lines;
  std::map<std::string_view, std::size_t> labels;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
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
  MachineCode code;
  code.loops = find_loops(lines, labels);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Instructions n = counts_of(lines[i]);
    int loop = loop_at(code.loops, i);
    if (loop < 0) {
      code.outside += n;
      continue;
    }
    code.loops[static_cast<std::size_t>(loop)].own += n;
    for (; loop >= 0; loop = code.loops[static_cast<std::size_t>(loop)].parent)
      code.loops[static_cast<std::size_t>(loop)].whole += n;
  }
  return code;
}

}  // namespace bitaxon::gpu_code
