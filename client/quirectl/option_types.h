// Kinds of options that several verbs take.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>

namespace quire::client {

// To whole seconds: 30m, 2h, 7d. A number alone would leave the unit to be guessed.
inline CLI::Validator duration() {
  return CLI::AsNumberWithUnit(
      std::map<std::string, uint64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}},
      CLI::AsNumberWithUnit::UNIT_REQUIRED);
}

}  // namespace quire::client
