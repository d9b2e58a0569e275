// Kinds of options that several verbs take.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <system_error>

namespace quire::client {

// To whole seconds: 30m, 2h, 7d. A number alone would leave the unit to be guessed.
inline CLI::Validator duration() {
  return CLI::AsNumberWithUnit(
      std::map<std::string, uint64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}},
      CLI::AsNumberWithUnit::UNIT_REQUIRED);
}

// Digits alone, of no more than 64 bits. CLI11 takes -1, and what is too large, as the largest
// number that there is.
inline CLI::Validator whole_number() {
  return CLI::Validator(
      [](std::string& text) {
        uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        return whole ? std::string() : "'" + text + "' is no whole number of at most 64 bits";
      },
      "");
}

}  // namespace quire::client
