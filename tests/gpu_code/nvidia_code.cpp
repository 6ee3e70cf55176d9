#include <algorithm>
#include <map>
#include <set>

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
  } else if (starts_with_any(line, {"ur", "up"})) {  // registers and conditions of all lanes
    n.scalar = 1;
  } else {
    n.vector = 1;
    n.products = products_of(operation);
    n.conversions = starts_with_any(opcode, {"i2f", "f2i", "i2i", "f2f", "hadd2.f32"}) ? 1 : 0;
    n.matrix = starts_with_any(opcode, {"hmma", "imma"}) ? 1 : 0;
  }
  return n;
}

/// The number that text begins with; 0 if it begins with none.
std::size_t number_at(std::string_view text) {
  std::size_t n = 0;
  for (; !text.empty() && '0' <= text[0] && text[0] <= '9'; text.remove_prefix(1))
    n = 10 * n + static_cast<std::size_t>(text[0] - '0');
  return n;
}

/// The numbers of "} -> [2, 17]".
std::vector<std::size_t> numbers_of(std::string_view line) {
  std::vector<std::size_t> numbers;
  for (std::size_t at = line.find_first_of("0123456789"); at != std::string_view::npos;
       at = line.find_first_of("0123456789", line.find_first_not_of("0123456789", at)))
    numbers.push_back(number_at(line.substr(at)));
  return numbers;
}

/// Knows which registers hold addresses of buffers that are bound. The driver adds an offset to the
/// address of the binding right before a load, and reads it from another constant memory (c[0x1]) than
/// push constants and addresses of weights (c[0x0]).
class BufferAddresses {
 public:
  /// Whether "r0..4 = ld.global.a64.b128 [r8..10]" loads through a binding.
  bool is_load(std::string_view operation) const {
    const std::size_t at = operation.find('[');
    return at != std::string_view::npos &&
           is_bound_.contains(register_at(operation.substr(at + 1)));
  }
  /// Takes note of what "r8 p0 = iadd3 r1 c[0x1][0x10] rZ" puts into register 8.
  void write(std::string_view line, std::string_view operation) {
    if (line.starts_with("@")) line.remove_prefix(std::min(line.find('r'), line.size()));
    if (!line.starts_with('r') || line.find(" = ") == std::string_view::npos) return;
    const std::size_t to = register_at(line);
    const bool is_bound =
        operation.starts_with("mov r")
            ? is_bound_.contains(register_at(operation.substr(operation.find('r'))))
            : operation.starts_with("iadd3 ") && operation.find("c[0x1]") != std::string_view::npos;
    if (is_bound)
      is_bound_.insert(to);
    else
      is_bound_.erase(to);
  }

 private:
  /// 12 of "r12..16"; the last number for anything else.
  static std::size_t register_at(std::string_view text) {
    return text.starts_with('r') && !text.starts_with("rZ") ? number_at(text.substr(1))
                                                            : std::string_view::npos;
  }
  std::set<std::size_t> is_bound_;
};

}  // namespace

MachineCode analyse_nvidia(std::string_view text) {
  std::vector<CodeBlock> blocks;
  std::map<std::size_t, std::size_t> index;  // by the number of a block
  BufferAddresses addresses;
  bool in_block = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with("block")) {  // "block.u 9 L13 [8, 23] -> {"
      index[number_at(line.substr(std::min(line.find(' ') + 1, line.size())))] = blocks.size();
      blocks.emplace_back();
      in_block = true;
    } else if (in_block && line.starts_with("}")) {
      blocks.back().next = numbers_of(line);
      in_block = false;
    } else if (in_block && !line.empty()) {
      Instructions n = counts_of(line);
      const std::string_view operation = operation_of(line);
      if (n.address_bytes > 0 && addresses.is_load(operation)) {
        n.buffer_bytes = n.address_bytes;
        n.address_bytes = n.wide_bytes = 0;
      }
      addresses.write(line, operation);
      blocks.back().counts += n;
    }
  }
  for (CodeBlock& block : blocks) {
    std::erase_if(block.next, [&](std::size_t number) { return !index.contains(number); });
    for (std::size_t& next : block.next) next = index[next];
  }
  return machine_code(blocks);
}

}  // namespace bitaxon::gpu_code
