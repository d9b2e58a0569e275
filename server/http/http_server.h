// The daemon's HTTP: one thread with a loop of its own, which answers what HttpSite says.
//
//   peer --request--> this thread --ask()--> core fills a tape --> this thread prints --> peer
//
// 1. Off unless it has an address; without tokens that is one which only this machine reaches.
// 2. Whatever peers do costs the core a status each kFreshMs at most; who sends, reads or stays
//    slowly costs a place among max_connections for a bounded time, and nobody but other peers.
// 3. Requests of a connection are answered one after the other; what is sent ahead waits in the
//    kernel, beyond a buffer of fixed size.
// 4. A daemon that is short of descriptors or memory serves its clients: this gives up a
// connection, and says so. Threads: create and destroy on one; the rest is its own. Lifetime: the
// parts outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "model/result.h"
#include "server/http/http_site.h"
#include "server/start/http_address.h"

namespace quire::server {

struct HttpLimits {
  uint32_t max_connections = kMaxHttpConnections;
  uint32_t max_requests = 10'000;  // of a connection: then it is closed in order
  uint32_t request_ms = 5'000;     // from a request's first byte to its last
  // Between requests: longer than a scrape interval of a minute. Before the first: request_ms.
  uint32_t silent_ms = 75'000;
  uint32_t answer_ms = 10'000;  // until the peer has taken an answer whole
  uint32_t status_ms = 2'000;   // until the core has filled a status
  uint32_t fresh_ms = 100;      // a status serves all who ask within this time
};

class HttpServer {
 public:
  static constexpr uint32_t kMaxHeadBytes = 8 << 10;  // of a request, its first line among them

  // It listens when this returns. kInvalidArgument: check_http(). kIoError: the address cannot be
  // had; the text names it.
  static model::Result<std::unique_ptr<HttpServer>> create(const HttpAddress& address,
                                                           HttpSiteParts parts,
                                                           const HttpLimits& limits);
  // Lets every peer go at once.
  ~HttpServer();

  uint16_t port() const;  // also where any was asked for

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
  std::thread thread_;  // runs the loop
};

}  // namespace quire::server
