// Where the daemon serves HTTP, as --http_address says: a literal address and a port. Values copy.
#pragma once

#include <cstdint>
#include <string>

#include "model/result.h"

namespace quire::server {

// Open at a time; each takes a descriptor, which clients do not get.
inline constexpr uint32_t kMaxHttpConnections = 64;

struct HttpAddress {
  std::string host;  // "127.0.0.1", "::1", "0.0.0.0"
  uint16_t port = 0;
  bool loopback = false;  // only this machine reaches it

  // "HOST:PORT" or "[HOST]:PORT". Names are refused: what they lead to may change. Port 0: any that
  // is free. kInvalidArgument names the rule.
  static model::Result<HttpAddress> parse(const std::string& text);
};

// Of --http_address and --http_token_file together. kInvalidArgument: without tokens only this
// machine may reach it.
model::Result<void> check_http(const std::string& address, const std::string& token_file);

}  // namespace quire::server
