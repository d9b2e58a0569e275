// Text of a peer's that people and parsers will read: names in logs, status documents, terminals.
//
// Clean is valid UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF) without control
// characters (C0, DEL, C1) and without U+2028 and U+2029, which end a line for some readers.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::model {

bool is_clean_text(std::string_view text);
// kInvalidArgument that names `what`; the text itself is not repeated.
Result<void> check_clean_text(std::string_view text, std::string_view what);
// Clean text as it is; every other byte as \n, \r, \t or \xNN. One line, whatever it was.
std::string escape_text(std::string_view text);

}  // namespace quire::model
