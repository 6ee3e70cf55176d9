// The dialect of the regular expressions in tokenizer.json.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// `pattern` as PCRE2 has to see it (with UTF, UCP, MULTILINE set and newline LF) to mean what it
/// means to Oniguruma. Throws
/// Error(unsupported), naming the part, for what PCRE2 would read differently. What is wrong in
/// both is left for PCRE2 to find.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view name);

}  // namespace bitaxon
