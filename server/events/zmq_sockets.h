// The two sockets of a publisher of vLLM's kind: PUB with (topic, sequence, payload), and, if asked
// for, ROUTER, which answers a sequence with all messages from there on that are still kept.
//
// Nothing here waits: who reads too slowly loses messages, as the library's high-water mark has it,
// and sees it by their numbers. The one file that includes libzmq is this one's source.
// Threads: one at a time; the library has one of its own. Bounds: kKeptMessages, kKeptBytes, the
// high-water marks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "model/result.h"

namespace quire::server {

struct ZmqEndpoints {
  std::string events;  // "ipc:///run/quire/events.zmq", "tcp://127.0.0.1:5557"
  std::string replay;  // empty: none
};

class ZmqSockets {
 public:
  static constexpr size_t kKeptMessages = 10'000;
  static constexpr size_t kKeptBytes = 64 << 20;

  // An ipc socket is its user's alone (mode 0600). kIoError: the address is in use, or cannot be.
  static model::Result<std::unique_ptr<ZmqSockets>> open(const ZmqEndpoints& endpoints);
  ~ZmqSockets();

  // With the next number, from 0 on. Is kept for a replay.
  void publish(const std::string& payload);
  // Answers one request, if there is one. True: there may be more.
  bool serve_replay();
  uint64_t published() const;

 private:
  struct Parts;
  explicit ZmqSockets(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace quire::server
