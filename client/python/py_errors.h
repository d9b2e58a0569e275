// How libquire's failures become Python's exceptions (quire/_errors.py). Needs the GIL, but for
// Outcome, which is made without it.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

#include "client/quire_c.h"

namespace quire::client {

namespace nb = nanobind;

// What a call came to, and the handle's text, copied while nobody else may use the handle.
struct Outcome {
  quire_status status = QUIRE_OK;
  std::string text;
};

// Loads quire._errors; at the module's start.
void load_errors();
// The exception object for a code, not raised.
nb::object make_error(quire_status status, std::string_view text);
[[noreturn]] void raise_error(quire_status status, std::string_view text);
[[noreturn]] void raise_buffer_in_use(std::string_view text);
// Sets Python's error without leaving by an exception: for type slots.
void set_error(quire_status status, std::string_view text);
inline void check(const Outcome& outcome) {
  if (outcome.status != QUIRE_OK) raise_error(outcome.status, outcome.text);
}

}  // namespace quire::client
