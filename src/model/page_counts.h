// Which pages of a page group are in use.
#pragma once

#include <cstdint>
#include <vector>

namespace bitaxon {

/// Counts the uses of each page. Several sequences may use a page. A page with no use is free.
class PageCounts {
 public:
  /// `most` is the number of pages that the group can have. None of them has memory yet.
  explicit PageCounts(std::int32_t most);

  std::int32_t most() const { return most_; }
  /// Pages that have memory.
  std::int32_t n_pages() const { return static_cast<std::int32_t>(uses_.size()); }
  /// Pages that have memory and are free.
  std::int32_t n_free() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t n_used() const { return n_pages() - n_free(); }

  /// Adds pages that now have memory.
  void grow(std::int32_t n_pages);
  /// Takes the free page with the lowest number. There must be one.
  std::uint32_t take();
  void share(std::uint32_t page) { ++uses_[page]; }
  bool is_shared(std::uint32_t page) const { return uses_[page] > 1; }
  void give_back(std::uint32_t page) noexcept;

 private:
  std::int32_t most_;
  std::vector<std::uint32_t> uses_;
  std::vector<std::uint32_t> free_;  ///< a heap with the lowest number on top
};

}  // namespace bitaxon
