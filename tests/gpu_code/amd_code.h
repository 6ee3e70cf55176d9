// Counts instructions and finds loops in AMD machine code, as Mesa's RADV driver prints it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::gpu_code {

/// Numbers of instructions. A dual instruction of RDNA3 is one vector instruction and two products.
struct Instructions {
  std::int64_t all = 0;
  std::int64_t vector = 0;         ///< of the vector units, except memory
  std::int64_t products = 0;       ///< numbers that vector instructions multiply, per lane
  std::int64_t scalar = 0;         ///< arithmetic and branches of the scalar unit
  std::int64_t local = 0;          ///< shared memory, and shuffles through it
  std::int64_t memory = 0;         ///< loads and stores of buffers and addresses
  std::int64_t waits = 0;          ///< the rest: waiting, barriers, loads of the scalar unit
  std::int64_t buffer_bytes = 0;   ///< bytes that a lane loads through bindings
  std::int64_t address_bytes = 0;  ///< bytes that a lane loads through addresses
  std::int64_t wide_bytes = 0;     ///< of address_bytes, by loads of 16 bytes

  Instructions& operator+=(const Instructions& other);
};

/// A loop: the instructions from the target of a backward branch to the last branch to it.
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
};

/// Analyses machine code. `text` has one instruction in each line, "opcode operands ; encoding", and
/// labels such as "BB3:".
MachineCode analyse_amd(std::string_view text);

}  // namespace bitaxon::gpu_code
