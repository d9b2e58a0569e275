// A prompt as commands take it: token ids, or an engine's unit hashes, from a file or standard
// input.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "model/hash256.h"
#include "model/result.h"

namespace quire::client {

// All of the file, or of `in` for "-". kIoError: it cannot be read. kInvalidArgument: more than 64
// MiB.
model::Result<std::string> read_prompt_text(const std::string& path, std::istream& in);
// Words apart by spaces, commas, brackets or quotes, so a JSON list is one too. kInvalidArgument
// names the word that is none, or says that there are none.
model::Result<std::vector<uint32_t>> parse_tokens(std::string_view text);
// In hex, 16 to 32 bytes each.
model::Result<std::vector<model::Hash256>> parse_hashes(std::string_view text);

}  // namespace quire::client
