// Measures how much memory some code requests at once.
#pragma once

#include <cstddef>

namespace bitaxon {

/// The largest single `new` in the whole program since this object was created.
class LargestAllocation {
 public:
  LargestAllocation();
  std::size_t size_bytes() const;
};

}  // namespace bitaxon
