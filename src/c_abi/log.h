// The function of the caller that receives notes and warnings.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/c/types.h"

namespace bitaxon::c {

void set_log(bitaxon_log_fn log, void* user);
void log_lines(std::int32_t level, const std::vector<std::string>& lines);

}  // namespace bitaxon::c
