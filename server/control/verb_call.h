// One frame of a client that the table of verbs lets through.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/wire.h"
#include "server/sessions/connection.h"

namespace quire::server {

// Lent to a handler for the call; nothing of it outlives it but the connection, until that ends.
// Threads: core only.
struct VerbCall {
  Connection& connection;
  model::FrameType type;
  uint32_t sequence = 0;
  std::string_view payload;  // lent by the connection, for the call

  // May end the connection: it is not to be used afterwards, but for ended().
  void reply(std::string_view bytes, std::span<const int> descriptors = {}) const {
    connection.send(type, true, sequence, bytes, descriptors);
  }
};

}  // namespace quire::server
