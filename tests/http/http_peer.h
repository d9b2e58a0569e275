// A peer of the daemon's HTTP, byte by byte: it may be slow, rude, or say what no library would.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "model/fd_guard.h"

namespace quire::tests {

struct HttpReply {
  unsigned status = 0;                         // 0: none came, the connection ended
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpPeer {
 public:
  // To 127.0.0.1. The test ends where nobody listens.
  explicit HttpPeer(uint16_t port);

  // False: the daemon has closed the connection.
  bool send(std::string_view bytes);
  // The next reply, whole. `head`: it is one to HEAD, without a body.
  HttpReply receive(bool head = false);
  // Nothing more comes: the daemon closed it. Waits for that.
  bool is_closed();
  // The same without reading: the daemon closed it although something of this peer was unread.
  bool is_reset();
  // How much the kernel keeps for a peer that does not read.
  void set_receive_buffer(int bytes);

 private:
  bool read_more();

  model::FdGuard fd_;
  std::string unread_;
};

// One request of a connection of its own. `header`: lines that end in \r\n.
HttpReply http_get(uint16_t port, std::string_view path, std::string_view header = "",
                   std::string_view method = "GET");

}  // namespace quire::tests
