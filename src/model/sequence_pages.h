// The pages of the KV cache that one sequence uses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/step.h"
#include "model/state_pool.h"

namespace bitaxon {

/// The pages of one sequence, in every page group. They hold the rows of consecutive positions.
class SequencePages {
 public:
  explicit SequencePages(StatePool& pool);
  SequencePages(const SequencePages&) = delete;
  SequencePages& operator=(const SequencePages&) = delete;
  ~SequencePages() { clear(); }

  /// The rows that the next step needs.
  struct Rows {
    std::int64_t kept_from = 0;  ///< the earliest position to which the state may be rewound
    std::int64_t begin = 0;      ///< the step writes [begin, end)
    std::int64_t end = 0;
  };
  /// Adds to needed[group] the pages that release() and take() need from the pool, at most.
  void add_needed(const Rows& rows, std::span<std::int32_t> needed) const;
  /// Gives back pages that attention no longer reads.
  void release(const Rows& rows) noexcept;
  /// Takes pages for the rows that the step writes. A page that another sequence uses too is
  /// copied, in the order of the steps. The pool must have enough free pages.
  void take(const Rows& rows);

  /// Takes the pages of the rows that a snapshot at `position` holds. The sequence must have none,
  /// and the pool must have enough free pages.
  void take_kept(std::int64_t position);

  /// Appends the tables of this sequence to a step.
  void write_tables(StepBuffer& step, SegmentWords& words) const;
  /// The page that holds a position.
  std::uint32_t page_of(std::size_t group, std::int64_t position) const;

  /// Gives back the pages that hold no position below `position`.
  void truncate(std::int64_t position) noexcept;
  void clear() noexcept { truncate(0); }
  /// Uses the pages of another sequence too. This sequence must have none.
  void share(const SequencePages& other);

 private:
  struct Held {
    std::int64_t first = 0;            ///< page number of the first page
    std::vector<std::uint32_t> pages;  ///< the pages from `first` on

    std::int64_t end() const { return first + std::ssize(pages); }
  };
  /// The page number of the first page that is still needed.
  std::int64_t first_needed(std::size_t group, const Rows& rows) const;

  StatePool& pool_;
  std::vector<Held> held_;  ///< one for each page group
};

/// The number of rows of a tensor with pages that a snapshot at `position` holds.
std::int64_t rows_kept(const StateLayout& layout, const StateTensor& tensor, std::int64_t position);

}  // namespace bitaxon
