#include <algorithm>
#include <map>

#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {
namespace {

/// "ffma" of "@!p0 r3 = ffma r1 r2 r3 // delay=4", with everything behind it.
std::string_view operation_of(std::string_view line) {
  line = line.substr(0, line.find("//"));
  if (line.starts_with("@")) {
    line.remove_prefix(std::min(line.find(' '), line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  }
  if (const std::size_t at = line.find(" = "); at != std::string_view::npos)
    line.remove_prefix(at + 3);
  return line;
}

std::int64_t products_of(std::string_view operation) {
  if (starts_with_any(operation, {"hmma", "imma"})) return 64;  // 16 x 8 x 16 in 32 lanes
  if (operation.starts_with("idp4")) return 4;
  if (starts_with_any(operation, {"hfma2", "hmul2"})) return 2;
  return starts_with_any(operation, {"ffma", "fmul"}) ? 1 : 0;
}

std::int64_t bytes_of(std::string_view opcode) {
  if (opcode.ends_with("b128")) return 16;
  if (opcode.ends_with("b64")) return 8;
  if (opcode.ends_with("16")) return 2;
  return opcode.ends_with("8") ? 1 : 4;
}

Instructions counts_of(std::string_view line) {
  const std::string_view operation = operation_of(line);
  const std::string_view opcode = operation.substr(0, operation.find(' '));
  Instructions n;
  n.all = 1;
  if (starts_with_any(opcode, {"bsync", "bssy", "bclear", "bra", "exit", "break", "warpsync"})) {
    n.scalar = 1;
  } else if (starts_with_any(opcode, {"nop", "bar", "membar", "ldc", "depbar"})) {
    n.waits = 1;
  } else if (starts_with_any(opcode, {"shfl", "vote", "ldsm", "ld.shared", "st.shared", "atoms"})) {
    n.local = 1;
  } else if (starts_with_any(opcode, {"ld.", "st.", "atom", "red."})) {
    n.memory = 1;
    if (opcode.starts_with("ld.")) n.address_bytes = bytes_of(opcode);
    if (n.address_bytes == 16) n.wide_bytes = 16;
  } else if (line.starts_with("ur")) {
    n.scalar = 1;
  } else {
    n.vector = 1;
    n.products = products_of(operation);
    n.conversions = starts_with_any(opcode, {"i2f", "f2i", "i2i", "f2f", "hadd2.f32"}) ? 1 : 0;
    n.matrix = starts_with_any(opcode, {"hmma", "imma"}) ? 1 : 0;
  }
  return n;
}

/// The label of a line such as "block.u 9 L13 [8, 23] -> {".
std::string_view label_of(std::string_view line) {
  const std::size_t at = line.find(" L");
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + 1);
  return line.substr(0, line.find(' '));
}

}  // namespace

MachineCode analyse_nvidia(std::string_view text) {
  std::vector<CodeLine> code;
  std::map<std::string_view, std::size_t> labels;
  bool in_block = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with("block")) {
      labels[label_of(line)] = code.size();
      in_block = true;
      continue;
    }
    if (line.starts_with("}")) in_block = false;
    if (!in_block || line.empty()) continue;
    code.push_back({.counts = counts_of(line)});
    const std::string_view operation = operation_of(line);
    if (!operation.starts_with("bra ")) continue;
    // Labels of blocks further down are not known yet. Loops need only those further up. Mesa 26 prints
    // the condition before the label: "bra !up0 L11".
    std::string_view name = operation.substr(0, operation.find_last_not_of(' ') + 1);
    name.remove_prefix(name.rfind(' ') + 1);
    if (const auto target = labels.find(name); target != labels.end())
      code.back().target = target->second;
  }
  return machine_code(code);
}

}  // namespace bitaxon::gpu_code
