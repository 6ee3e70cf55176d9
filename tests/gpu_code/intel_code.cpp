#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// An instruction as Mesa 25 or Mesa 26 prints it:
///   (+f0.0) mad.sat(8) g1<1>F g2<8,8,1>F ...
///   (W&f0.0) mad.sat (8)  (lt)f0.0  r1:f  r2:f  ...  {$0}  // comment
struct Line {
  std::string_view opcode;  ///< without what follows a point; empty if the line is no instruction
  std::string_view operands;
  std::string_view comment;
};

std::string_view without_spaces_before(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

Line parsed(std::string_view text) {
  if (text.starts_with("("))
    text = without_spaces_before(text.substr(std::min(text.find(')'), text.size() - 1) + 1));
  const std::size_t end = std::min(text.find_first_of(" ("), text.size());
  const std::string_view opcode = text.substr(0, end);
  text = without_spaces_before(text.substr(end));
  const std::size_t close = text.find(')');
  if (opcode.empty() || !text.starts_with("(") || close == std::string_view::npos ||
      !is_digits(text.substr(1, close - 1)))
    return {};
  Line line{opcode.substr(0, opcode.find('.')), text.substr(close + 1), {}};
  if (const std::size_t at = line.operands.find("//"); at != std::string_view::npos) {
    line.comment = line.operands.substr(at);
    line.operands = line.operands.substr(0, at);
  }
  return line;
}

/// Removes the first word from a text and returns it.
std::string_view next_word(std::string_view& text) {
  text = without_spaces_before(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

/// The type of the next operand, in the letters of Mesa 26: "ub" of "g44<32,8,4>UB" and of "r44<4>:ub".
/// Mesa 26 prints none for unsigned integers of 32 bits. Empty for numbers, and if there is no operand.
std::string next_type(std::string_view& operands) {
  std::string_view word = next_word(operands);
  if (word.starts_with("(")) word = next_word(operands);  // a condition that is computed
  std::string type;
  if (const std::size_t colon = word.rfind(':'); colon != std::string_view::npos)
    type = word.substr(colon + 1);
  else if (const std::size_t region = word.rfind('>'); region != std::string_view::npos)
    type = word.substr(region + 1);
  else if (!word.starts_with('r') && !word.starts_with("-r"))
    return "";
  if (type.empty()) return "ud";
  std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type;
}

/// Whether a move changes between floats and other numbers.
bool is_conversion(const Line& line) {
  if (line.opcode != "mov") return false;
  std::string_view operands = line.operands;
  const std::string to = next_type(operands), source = next_type(operands);
  return !source.empty() && to != source && (to == "f" || source == "f");
}

std::int64_t products_of(const Line& line) {
  if (line.opcode == "dpas") return 128;  // 8 rows of 8 pairs of halves
  if (line.opcode == "dp4a") return 4;
  if (line.opcode == "mad" || line.opcode == "mac") return 1;
  std::string_view operands = line.operands;
  return line.opcode == "mul" && next_type(operands) == "f" ? 1 : 0;
}

Instructions counts_of(const Line& line) {
  Instructions n;
  n.all = 1;
  if (line.opcode == "sync" || line.opcode == "nop") {
    n.waits = 1;
  } else if (starts_with_any(line.opcode, {"while", "if", "else", "endif", "break", "cont", "halt",
                                           "jmpi", "brd", "brc", "illegal"})) {
    n.scalar = 1;
  } else if (!line.opcode.starts_with("send")) {  // the description of a message tells what it is
    n.vector = 1;
    n.products = products_of(line);
    n.conversions = is_conversion(line) ? 1 : 0;
    n.matrix = line.opcode == "dpas" ? 1 : 0;
  }
  return n;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The bytes of each lane in "( load, a64, d32, V4, ... )", or in "load.ugm.d32x4.a64".
std::int64_t message_bytes(std::string_view message) {
  std::int64_t bytes = 4;
  if (has(message, "d64")) bytes = 8;
  if (has(message, "d16")) bytes = 2;
  if (has(message, "d8")) bytes = 1;
  for (const int n : {2, 3, 4, 8})
    if (has(message, fmt::format("V{},", n)) || has(message, fmt::format("x{}.", n))) bytes *= n;
  return bytes;
}

/// Whether one load fetches numbers for all lanes, as the scalar unit of other GPUs does: "transpose", or
/// "load.ugm.d32x8t.a64".
bool is_for_all_lanes(std::string_view message) {
  return has(message, "transpose") || has(message, "t.a64") || has(message, "t.a32");
}

/// Adds what the description of a message says to the counts of its instruction. Mesa 25 prints it in a
/// line of its own, Mesa 26 as a comment.
void add_message(std::string_view message, Instructions& n) {
  if (has(message, "barrier") || has(message, "open (")) {
    n.waits = 1;
  } else if (message.starts_with("slm") || has(message, ".slm.")) {
    n.local = 1;
  } else if (is_for_all_lanes(message)) {
    n.waits = 1;
  } else if (has(message, "MsgDesc") || has(message, ".ugm.")) {
    n.memory = 1;
    if (!has(message, "load,") && !has(message, "load.")) return;
    const bool is_address = has(message, "a64");
    (is_address ? n.address_bytes : n.buffer_bytes) = message_bytes(message);
    if (n.address_bytes == 16) n.wide_bytes = 16;
  }
}

/// "LABEL3" of "LABEL3:", or "L3" of "L3:". Empty if the line is no label.
std::string_view label_of(std::string_view line) {
  if (!line.starts_with('L') || !line.ends_with(':')) return {};
  line.remove_suffix(1);
  return is_digits(line.substr(std::min(line.find_first_of("0123456789"), line.size()))) ? line
                                                                                         : "";
}

/// The label of a backward jump: "JIP:  LABEL3", or "L3".
std::string_view target_of(const Line& line) {
  std::string_view operands = line.operands;
  const std::string_view word = next_word(operands);
  return word == "JIP:" ? next_word(operands) : word;
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
    if (const std::string_view label = label_of(line); !label.empty()) {
      labels[label] = code.size();
      continue;
    }
    const Line instruction = parsed(line);
    if (instruction.opcode.empty()) continue;
    code.push_back({.counts = counts_of(instruction)});
    if (instruction.opcode.starts_with("send")) {
      is_message = instruction.comment.empty();
      add_message(instruction.comment, code.back().counts);
    }
    // Only this instruction jumps back, so its label is known already.
    if (instruction.opcode != "while") continue;
    if (const auto target = labels.find(target_of(instruction)); target != labels.end())
      code.back().target = target->second;
  }
  return machine_code(code);
}

}  // namespace bitaxon::gpu_code
