#include <algorithm>

#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {
namespace {

using Set = std::vector<bool>;
using Lists = std::vector<std::vector<std::size_t>>;

/// The blocks that a way from block 0 reaches without block `without`.
Set reached(const std::vector<CodeBlock>& blocks, std::size_t without) {
  Set seen(blocks.size(), false);
  std::vector<std::size_t> left;
  const auto visit = [&](std::size_t block) {
    if (block == without || seen[block]) return;
    seen[block] = true;
    left.push_back(block);
  };
  visit(0);
  while (!left.empty()) {
    const std::size_t block = left.back();
    left.pop_back();
    for (const std::size_t next : blocks[block].next) visit(next);
  }
  return seen;
}

Lists before_each(const std::vector<CodeBlock>& blocks) {
  Lists before(blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i)
    for (const std::size_t next : blocks[i].next) before[next].push_back(i);
  return before;
}

struct BlockLoop {
  std::size_t first = 0, last = 0;
  Set blocks;
  std::size_t size = 0;  ///< the number of blocks; 0: no loop
};

/// The loop that begins with block `first`, if branches lead back to it from blocks that only it leads
/// to. `all` are the blocks that block 0 leads to.
BlockLoop loop_from(std::size_t first, const std::vector<CodeBlock>& blocks, const Lists& before,
                    const Set& all) {
  BlockLoop loop{.first = first, .last = first, .blocks = Set(blocks.size(), false), .size = 0};
  const Set others = reached(blocks, first);
  std::vector<std::size_t> left;
  for (const std::size_t from : before[first])
    if (all[from] && !others[from]) {
      left.push_back(from);
      loop.last = std::max(loop.last, from);
    }
  if (left.empty()) return loop;
  loop.blocks[first] = true;
  loop.size = 1;
  while (!left.empty()) {
    const std::size_t block = left.back();
    left.pop_back();
    if (loop.blocks[block]) continue;
    loop.blocks[block] = true;
    ++loop.size;
    for (const std::size_t from : before[block])
      if (all[from]) left.push_back(from);
  }
  return loop;
}

}  // namespace

MachineCode machine_code(const std::vector<CodeBlock>& blocks) {
  MachineCode code;
  if (blocks.empty()) return code;
  const Lists before = before_each(blocks);
  const Set all = reached(blocks, blocks.size());
  std::vector<BlockLoop> loops;
  for (std::size_t first = 0; first < blocks.size(); ++first) {
    // Only a block with two blocks before it, or the first one, can begin a loop.
    if (!all[first] || before[first].size() < (first == 0 ? 1U : 2U)) continue;
    BlockLoop loop = loop_from(first, blocks, before, all);
    if (loop.size > 0) loops.push_back(std::move(loop));
  }
  // The innermost of the loops that contain a block, other than loop `but`.
  const auto loop_around = [&](std::size_t block, int but) {
    int found = -1;
    for (int k = 0; k < static_cast<int>(loops.size()); ++k) {
      const BlockLoop& loop = loops[static_cast<std::size_t>(k)];
      if (k != but && loop.blocks[block] &&
          (found < 0 || loop.size < loops[static_cast<std::size_t>(found)].size))
        found = k;
    }
    return found;
  };
  for (int k = 0; k < static_cast<int>(loops.size()); ++k) {
    const BlockLoop& loop = loops[static_cast<std::size_t>(k)];
    code.loops.push_back(
        {.first = loop.first, .last = loop.last, .parent = loop_around(loop.first, k)});
  }
  for (std::size_t block = 0; block < blocks.size(); ++block)
    code.add(blocks[block].counts, loop_around(block, -1));
  return code;
}

}  // namespace bitaxon::gpu_code
