// Figures as people read them: 3 of their digits and a unit. Scripts get base units (-o json, csv).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quire::client {

std::string bytes_text(uint64_t bytes);            // "512 B", "3.50 GiB"
std::string count_text(uint64_t count);            // "812", "1.25 M"
std::string tokens_text(uint64_t tokens);          // "1.25 M tokens"
std::string percent_text(double percent);          // "82.4 %"
std::string duration_text(uint64_t milliseconds);  // "120 ms", "3.0 s", "5 min", "2 h"
// Of nothing: "-".
std::string share_text(uint64_t part, uint64_t whole);

// The first so many characters that a terminal shows; colours that were begun end.
std::string clipped(std::string_view line, size_t columns);

// Columns padded to their widest cell, two blanks between them; those that begin with '>' in the
// head stand to the right. Bytes of colour count for nothing.
std::string columns_text(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows,
                         std::string_view indent = "");

}  // namespace quire::client
