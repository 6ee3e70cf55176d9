// The options of bitaxon_model_open() as options of the library.
#pragma once

#include <string>

#include "bitaxon/session.h"
#include "c_abi/handles.h"

namespace bitaxon::c {

struct LoadWish {
  LoadOptions load;
  std::string device;
  int n_threads = 0;
};

ModelRequest request_of(const std::string& name, const bitaxon_model_options& options);
/// The loading ends with Failure(INTERRUPTED) if the caller wants that.
LoadWish load_wish(const bitaxon_model_options& options);

/// Refuses bits of codes that no format has.
void check_bits(std::int32_t bits, const std::string& format);

/// Reports progress to the caller. Throws Failure(INTERRUPTED) if the caller wants to end the work.
void report_progress(bitaxon_progress_fn progress, void* user, const Cancel& cancel,
                     std::uint64_t done, std::uint64_t total);

}  // namespace bitaxon::c
