// What the daemon answers, as objects: libquire's result structs, and lists of them.
#pragma once

#include <vector>

#include "client/python/py_errors.h"

namespace quire::client {

// A result struct as the C ABI wants it.
template <typename T>
T sized() {
  T value{};
  value.size = sizeof value;
  return value;
}

struct PyPositions {
  quire_positions_result result = sized<quire_positions_result>();
  std::vector<quire_position> list;
};

nb::dict tier_dict(const uint32_t (&tokens)[QUIRE_TIER_PLACES]);
// A Python index, from the end when negative. Raises IndexError.
size_t place_in(size_t size, Py_ssize_t index);

}  // namespace quire::client
