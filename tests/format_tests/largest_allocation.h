// Measures the largest block of memory that some code requests at once.
#pragma once

#include <cstddef>

namespace bitaxon {

/// The size of the largest single `new` anywhere in the program since this object was created.
class LargestAllocation {
 public:
  LargestAllocation();
  std::size_t size_bytes() const;
};

}  // namespace bitaxon
