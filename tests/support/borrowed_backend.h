// Lets a model use a backend that a test owns.
#pragma once

#include <memory>

#include "core/backend.h"

namespace bitaxon::test {

/// A shared pointer to `backend` that does not own it. The backend must outlive the models and
/// states that use it.
inline std::shared_ptr<Backend> borrowed(Backend& backend) {
  return {std::shared_ptr<void>(), &backend};
}

}  // namespace bitaxon::test
