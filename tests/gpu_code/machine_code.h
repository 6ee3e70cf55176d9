// Instructions and loops of machine code, as Mesa's drivers print it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::gpu_code {

/// Numbers of instructions. A dual instruction of RDNA3 is one vector instruction and two products.
struct Instructions {
  std::int64_t all = 0;
  std::int64_t vector = 0;         ///< of the vector units, except memory
  std::int64_t products = 0;       ///< numbers that vector instructions multiply, per lane
  std::int64_t conversions = 0;    ///< of `vector`: between integers, halves and floats
  std::int64_t matrix = 0;         ///< of `vector`: products of small matrices by matrix units
  std::int64_t scalar = 0;         ///< arithmetic and branches of the scalar unit
  std::int64_t local = 0;          ///< shared memory, and shuffles through it
  std::int64_t memory = 0;         ///< loads and stores of buffers and addresses
  std::int64_t waits = 0;          ///< the rest: waiting, barriers, loads of the scalar unit
  std::int64_t buffer_bytes = 0;   ///< bytes that a lane loads through bindings
  std::int64_t address_bytes = 0;  ///< bytes that a lane loads through addresses
  std::int64_t wide_bytes = 0;     ///< of address_bytes, by loads of 16 bytes

  Instructions& operator+=(const Instructions& other);
};

/// A loop: the instructions from the target of a backward branch to the last branch to it. The compiler
/// for NVIDIA may place other instructions between them, and parts of the loop behind them.
struct Loop {
  std::size_t first = 0, last = 0;  ///< indices of instructions
  int parent = -1;                  ///< the index of the loop around it; -1: none
  Instructions own = {};            ///< without the loops inside
  Instructions whole = {};          ///< with each loop inside counted once
};

/// The machine code of one pipeline.
struct MachineCode {
  Instructions outside;     ///< in no loop
  std::vector<Loop> loops;  ///< in the order of their first instructions

  /// Adds instructions whose innermost loop is this one; -1: none.
  void add(const Instructions& n, int loop);
};

/// One instruction.
struct CodeLine {
  Instructions counts = {};
  std::optional<std::size_t> target = {};  ///< index of the instruction that a branch jumps to
};

/// Finds the loops: what is between a backward branch and its target.
MachineCode machine_code(const std::vector<CodeLine>& lines);

/// Instructions of which either all or none are executed.
struct CodeBlock {
  Instructions counts = {};
  std::vector<std::size_t> next = {};  ///< indices of the blocks that may follow
};

/// Finds the loops of code that begins with block 0: a loop has a first block that is on every way to
/// its other blocks, and the blocks from which a way leads back to it. So the order of the blocks does
/// not matter. Here the indices of loops are those of blocks.
MachineCode machine_code(const std::vector<CodeBlock>& blocks);

/// Analyses the text of a driver: RADV (AMD), ANV (Intel), NVK (NVIDIA).
MachineCode analyse_amd(std::string_view text);
MachineCode analyse_intel(std::string_view text);
MachineCode analyse_nvidia(std::string_view text);

/// The text without spaces at its ends.
std::string_view trimmed(std::string_view text);
/// Removes the first line from a text. Returns it without spaces at its ends.
std::string_view take_line(std::string_view& text);
/// Whether a word begins with one of these.
bool starts_with_any(std::string_view word, std::initializer_list<std::string_view> starts);

}  // namespace bitaxon::gpu_code
