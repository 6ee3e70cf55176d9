// What the host's memory delivers: the limit that products of few rows are held against.
#pragma once

namespace bitaxon::test {

/// Bytes per second that all threads together read, the best of several passes over memory that no
/// cache holds. Takes about a second.
double host_read_rate();

}  // namespace bitaxon::test
