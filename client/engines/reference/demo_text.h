// The demo's input: a long real text as byte tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::client {

// At most max_bytes of a file, or, when `path` is empty, of the sources below `source_dir` one
// after the other, each behind its name, as a code agent reads them.
model::Result<std::string> read_demo_text(const std::string& path, const std::string& source_dir,
                                          size_t max_bytes);

// One token a byte.
std::vector<uint32_t> to_tokens(const std::string& text);

}  // namespace quire::client
