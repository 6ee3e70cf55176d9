// Translates the dialect of the regular expressions in tokenizer.json.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// Rewrites an Oniguruma pattern into a PCRE2 pattern of the same meaning (with UTF, UCP, MULTILINE
/// set and newline LF). Throws Error(unsupported) for syntax that PCRE2 would read differently; the
/// message names the syntax. PCRE2 itself reports syntax that is wrong for both engines.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view name);

}  // namespace bitaxon
