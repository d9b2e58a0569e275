// One frame of a client that the table of verbs lets through.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "model/socket_verbs.h"
#include "model/wire.h"
#include "server/sessions/connection.h"

namespace quire::server {

// What a verb knows of the change that it made; the audit log tells it.
struct VerbChange {
  std::string from;  // empty: it does not know
  std::string to;
  bool later = false;  // whether it is made is not known yet: the verb tells the audit log itself
};

// Lent to a handler for the call; nothing of it outlives it but the connection, until that ends.
// Threads: core only.
struct VerbCall {
  Connection& connection;
  model::FrameType type;
  uint32_t sequence = 0;
  std::string_view payload;  // lent by the connection, for the call
  model::PeerRoles roles;    // of who calls
  VerbChange* change = nullptr;

  // What it was, and what it is from now on. Said before the reply.
  void changed(std::string from, std::string to) const {
    if (change != nullptr) *change = {.from = std::move(from), .to = std::move(to)};
  }
  void changes_later() const {
    if (change != nullptr) change->later = true;
  }
  // May end the connection: it is not to be used afterwards, but for ended().
  void reply(std::string_view bytes, std::span<const int> descriptors = {}) const {
    connection.send(type, true, sequence, bytes, descriptors);
  }
};

}  // namespace quire::server
