#include <algorithm>
#include <map>
#include <string>

#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "mad" of "(+f0.0) mad.sat(8) g1<1>F ..."; empty if the line is no instruction.
std::string_view opcode_of(std::string_view line) {
  if (line.starts_with("(")) {
    const std::size_t end = line.find(") ");
    if (end == std::string_view::npos) return {};
    line.remove_prefix(end + 2);
  }
  const std::size_t open = line.find('(');
  if (open == std::string_view::npos || line.find(' ') < open) return {};
  const std::size_t close = line.find(')', open);
  if (close == std::string_view::npos || !is_digits(line.substr(open + 1, close - open - 1)))
    return {};
  line = line.substr(0, open);
  return line.substr(0, line.find('.'));
}

/// The type at the end of the first operand at or behind `from`: "UD" of "g44<1>UD". Moves `from`
/// behind it. Empty if there is none.
std::string_view next_type(std::string_view line, std::size_t& from) {
  const std::size_t at = line.find('>', from);
  if (at == std::string_view::npos) return {};
  from = line.find_first_of(" \t", at);
  if (from == std::string_view::npos) from = line.size();
  return line.substr(at + 1, from - at - 1);
}

/// Whether a move changes between floats and other numbers.
bool is_conversion(std::string_view opcode, std::string_view line) {
  if (opcode != "mov") return false;
  std::size_t from = 0;
  const std::string_view to = next_type(line, from), source = next_type(line, from);
  return !source.empty() && to != source && (to == "F" || source == "F");
}

std::int64_t products_of(std::string_view opcode, std::string_view line) {
  if (opcode == "dpas") return 128;  // 8 rows of 8 pairs of halves
  if (opcode == "dp4a") return 4;
  std::size_t from = 0;
  if (opcode == "mad" || opcode == "mac") return 1;
  return opcode == "mul" && next_type(line, from) == "F" ? 1 : 0;
}

Instructions counts_of(std::string_view opcode, std::string_view line) {
  Instructions n;
  n.all = 1;
  if (opcode == "sync" || opcode == "nop") {
    n.waits = 1;
  } else if (starts_with_any(opcode, {"while", "if", "else", "endif", "break", "cont", "halt",
                                      "jmpi", "brd", "brc", "illegal"})) {
    n.scalar = 1;
  } else if (!opcode.starts_with("send")) {  // the description of a message tells what it is
    n.vector = 1;
    n.products = products_of(opcode, line);
    n.conversions = is_conversion(opcode, line) ? 1 : 0;
    n.matrix = opcode == "dpas" ? 1 : 0;
  }
  return n;
}

/// The bytes of each lane in "( load, a64, d32, V4, ... )".
std::int64_t message_bytes(std::string_view message) {
  std::int64_t bytes = 4;
  if (message.find("d64") != std::string_view::npos) bytes = 8;
  if (message.find("d16") != std::string_view::npos) bytes = 2;
  if (message.find("d8") != std::string_view::npos) bytes = 1;
  for (const int n : {2, 3, 4, 8})
    if (message.find("V" + std::to_string(n) + ",") != std::string_view::npos) bytes *= n;
  return bytes;
}

/// Adds what the description of a message says to the instruction before it.
void add_message(std::string_view message, Instructions& n) {
  if (message.starts_with("slm")) {
    n.local = 1;
  } else if (message.find("transpose") != std::string_view::npos) {
    n.waits = 1;  // one load for all lanes, as the scalar unit of other GPUs does
  } else if (message.find("MsgDesc") != std::string_view::npos) {
    n.memory = 1;
    if (message.find("load,") == std::string_view::npos) return;
    const bool is_address = message.find("a64") != std::string_view::npos;
    (is_address ? n.address_bytes : n.buffer_bytes) = message_bytes(message);
    if (n.address_bytes == 16) n.wide_bytes = 16;
  }
}

std::string_view word_behind(std::string_view line, std::string_view before) {
  const std::size_t at = line.find(before);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + before.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line.substr(0, line.find(' '));
}

}  // namespace

MachineCode analyse_intel(std::string_view text) {
  std::vector<CodeLine> code;
  std::map<std::string_view, std::size_t> labels;
  bool is_message = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (is_message) {
      add_message(line, code.back().counts);
      is_message = false;
      continue;
    }
    if (line.starts_with("LABEL") && line.ends_with(':')) {
      labels[line.substr(0, line.size() - 1)] = code.size();
      continue;
    }
    const std::string_view opcode = opcode_of(line);
    if (opcode.empty()) continue;
    code.push_back({.counts = counts_of(opcode, line)});
    is_message = opcode.starts_with("send");
    // Only this instruction jumps back, so its label is known already.
    if (opcode != "while") continue;
    if (const auto target = labels.find(word_behind(line, "JIP:")); target != labels.end())
      code.back().target = target->second;
  }
  return machine_code(code);
}

}  // namespace bitaxon::gpu_code
