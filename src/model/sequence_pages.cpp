#include "model/sequence_pages.h"

#include <algorithm>

#include "core/align.h"

namespace bitaxon {

SequencePages::SequencePages(StatePool& pool) : pool_(pool) {
  held_.resize(pool.layout().page_groups.size());
  // Decoding must not allocate memory.
  for (std::size_t g = 0; g < held_.size(); ++g)
    held_[g].pages.reserve(static_cast<std::size_t>(pool.pages_per_slot(g)));
}

std::int64_t SequencePages::first_needed(std::size_t group, const Rows& rows) const {
  const auto& window = pool_.layout().page_groups[group].window;
  // A step at position p reads the rows from p - window + 1 on. A snapshot has one row more.
  return window ? std::max<std::int64_t>(0, rows.kept_from - *window) / kPageRows : 0;
}

void SequencePages::add_needed(const Rows& rows, std::span<std::int32_t> needed) const {
  const std::int64_t begin = rows.begin / kPageRows;
  const std::int64_t end = divide_up(rows.end, kPageRows);
  for (std::size_t g = 0; g < held_.size(); ++g) {
    const Held& held = held_[g];
    const PageCounts& counts = pool_.counts(g);
    for (std::int64_t n = begin; n < end; ++n)
      if (n >= held.end() || n < held.first ||
          counts.is_shared(held.pages[static_cast<std::size_t>(n - held.first)]))
        ++needed[g];
    const std::int64_t kept = std::min(first_needed(g, rows), held.end());
    for (std::int64_t n = held.first; n < kept; ++n)
      if (!counts.is_shared(held.pages[static_cast<std::size_t>(n - held.first)])) --needed[g];
  }
}

void SequencePages::release(const Rows& rows) noexcept {
  for (std::size_t g = 0; g < held_.size(); ++g) {
    Held& held = held_[g];
    const std::int64_t n = std::min(first_needed(g, rows), held.end()) - held.first;
    if (n <= 0) continue;
    for (std::int64_t i = 0; i < n; ++i)
      pool_.counts(g).give_back(held.pages[static_cast<std::size_t>(i)]);
    held.pages.erase(held.pages.begin(), held.pages.begin() + n);
    held.first += n;
  }
}

void SequencePages::take(const Rows& rows) {
  const std::int64_t end = divide_up(rows.end, kPageRows);
  for (std::size_t g = 0; g < held_.size(); ++g) {
    Held& held = held_[g];
    PageCounts& counts = pool_.counts(g);
    if (held.pages.empty()) held.first = rows.begin / kPageRows;
    for (std::int64_t n = rows.begin / kPageRows; n < end; ++n) {
      if (n >= held.end()) {
        held.pages.push_back(counts.take());
        continue;
      }
      std::uint32_t& page = held.pages[static_cast<std::size_t>(n - held.first)];
      if (!counts.is_shared(page)) continue;
      const std::uint32_t own = counts.take();
      if (n * kPageRows < rows.begin) pool_.copy_page(g, page, own);
      counts.give_back(page);
      page = own;
    }
  }
}

void SequencePages::take_kept(std::int64_t position) {
  const Rows rows{.kept_from = position, .begin = position, .end = position};
  for (std::size_t g = 0; g < held_.size(); ++g) {
    held_[g].first = first_needed(g, rows);
    for (std::int64_t n = held_[g].first; n < divide_up(position, kPageRows); ++n)
      held_[g].pages.push_back(pool_.counts(g).take());
  }
}

void SequencePages::write_tables(StepBuffer& step, SegmentWords& words) const {
  TableWriter writer(step, words, held_.size());
  for (std::size_t g = 0; g < held_.size(); ++g) writer.set(g, held_[g].first, held_[g].pages);
}

std::uint32_t SequencePages::page_of(std::size_t group, std::int64_t position) const {
  const Held& held = held_[group];
  return held.pages[static_cast<std::size_t>(position / kPageRows - held.first)];
}

void SequencePages::truncate(std::int64_t position) noexcept {
  for (std::size_t g = 0; g < held_.size(); ++g) {
    Held& held = held_[g];
    while (!held.pages.empty() && (held.end() - 1) * kPageRows >= position) {
      pool_.counts(g).give_back(held.pages.back());
      held.pages.pop_back();
    }
  }
}

void SequencePages::share(const SequencePages& other) {
  for (std::size_t g = 0; g < held_.size(); ++g) {
    const Held& from = other.held_[g];
    held_[g].first = from.first;
    held_[g].pages.assign(from.pages.begin(), from.pages.end());
    for (const std::uint32_t page : from.pages) pool_.counts(g).share(page);
  }
}

std::int64_t rows_kept(const StateLayout& layout, const StateTensor& tensor,
                       std::int64_t position) {
  const auto& window = layout.page_groups[static_cast<std::size_t>(tensor.page_group)].window;
  return window ? std::min(position, *window) : position;
}

}  // namespace bitaxon
