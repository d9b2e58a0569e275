// A socket whose last close lasts as long as its owner wished.
#pragma once

#include "model/fd_guard.h"

namespace quire::tests {

// A connected TCP socket with SO_LINGER that holds bytes which its peer never takes.
struct LingeringSocket {
  model::FdGuard fd;
  model::FdGuard peer;  // while it is open the close of the other one lasts
};
LingeringSocket make_lingering_socket();

}  // namespace quire::tests
