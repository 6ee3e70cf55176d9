// Terminals: whether a stream is one, and whether it wants colour.
#pragma once

namespace bitaxon {

enum class Stream { standard_input = 0, standard_output = 1, standard_error = 2 };

bool is_terminal(Stream stream);
/// A terminal, NO_COLOR is unset or empty (https://no-color.org), and TERM is not "dumb".
bool wants_colour(Stream stream);

}  // namespace bitaxon
