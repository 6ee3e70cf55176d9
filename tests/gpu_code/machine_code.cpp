#include "gpu_code/machine_code.h"

#include <algorithm>
#include <map>

namespace bitaxon::gpu_code {
namespace {

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

std::vector<Loop> find_loops(const std::vector<CodeLine>& lines) {
  std::map<std::size_t, std::size_t> last_branch;  // by the first instruction of the loop
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i].target && *lines[i].target <= i) last_branch[*lines[i].target] = i;
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
  conversions += other.conversions;
  matrix += other.matrix;
  scalar += other.scalar;
  local += other.local;
  memory += other.memory;
  waits += other.waits;
  buffer_bytes += other.buffer_bytes;
  address_bytes += other.address_bytes;
  wide_bytes += other.wide_bytes;
  return *this;
}

void MachineCode::add(const Instructions& n, int loop) {
  if (loop < 0) {
    outside += n;
    return;
  }
  loops[static_cast<std::size_t>(loop)].own += n;
  for (; loop >= 0; loop = loops[static_cast<std::size_t>(loop)].parent)
    loops[static_cast<std::size_t>(loop)].whole += n;
}

MachineCode machine_code(const std::vector<CodeLine>& lines) {
  MachineCode code;
  code.loops = find_loops(lines);
  for (std::size_t i = 0; i < lines.size(); ++i) code.add(lines[i].counts, loop_at(code.loops, i));
  return code;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trimmed(line);
}

bool starts_with_any(std::string_view word, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts,
                             [&](std::string_view start) { return word.starts_with(start); });
}

}  // namespace bitaxon::gpu_code
