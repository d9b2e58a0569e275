// Options of clients that wait as long as a test does.
#pragma once

#include <string>
#include <utility>

#include "client/quire.h"
#include "tests/support/patience.h"

namespace quire::tests {

inline client::ClientOptions patient_client(std::string socket_path, std::string name = "test") {
  return {.socket_path = std::move(socket_path),
          .client_name = std::move(name),
          .connect_timeout_ms = kPatienceMs,
          .call_timeout_ms = kPatienceMs};
}

}  // namespace quire::tests
