// A layout in Python, and what follows from it alone. Immutable, so no gate.
#pragma once

#include "client/python/py_errors.h"

namespace quire::client {

class PyLayout {
 public:
  explicit PyLayout(quire_layout* raw) : raw_(raw) {}
  ~PyLayout() { quire_layout_free(raw_); }
  PyLayout(const PyLayout&) = delete;
  PyLayout& operator=(const PyLayout&) = delete;

  const quire_layout* raw() const { return raw_; }

 private:
  quire_layout* raw_;
};

// A list of (tokens, reason), as wanted checkpoints are told.
nb::list wanted_list(const quire_wanted_checkpoint* wanted, size_t count);

void bind_layout(nb::module_& m);

}  // namespace quire::client
