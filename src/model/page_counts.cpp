#include "model/page_counts.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/assert.h"

namespace bitaxon {

PageCounts::PageCounts(std::int32_t most) : most_(most) {
  // give_back() must not allocate memory.
  free_.reserve(static_cast<std::size_t>(most));
}

void PageCounts::grow(std::int32_t n_pages) {
  for (auto page = static_cast<std::uint32_t>(uses_.size()); std::cmp_less(page, n_pages); ++page) {
    uses_.push_back(0);
    free_.push_back(page);
    std::ranges::push_heap(free_, std::greater());
  }
}

std::uint32_t PageCounts::take() {
  BX_ASSERT(!free_.empty(), "a page is free");
  std::ranges::pop_heap(free_, std::greater());
  const std::uint32_t page = free_.back();
  free_.pop_back();
  uses_[page] = 1;
  return page;
}

void PageCounts::give_back(std::uint32_t page) noexcept {
  if (--uses_[page] > 0) return;
  free_.push_back(page);
  std::ranges::push_heap(free_, std::greater());
}

}  // namespace bitaxon
