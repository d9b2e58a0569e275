// A connection in Python, and sessions that wait for what they reserve.
#pragma once

#include "client/python/py_errors.h"

namespace quire::client {

void bind_client(nb::module_& m);

}  // namespace quire::client
