// Translates the dialect of the regular expressions in tokenizer.json.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// Rewrites an Oniguruma pattern into a PCRE2 pattern with the same meaning. The PCRE2 pattern
/// needs the options UTF, UCP and MULTILINE, and the newline LF. Throws Error(unsupported) for
/// syntax that PCRE2 would read differently. The message names the syntax. PCRE2 itself reports
/// syntax that is wrong for both engines.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view name);

}  // namespace bitaxon
