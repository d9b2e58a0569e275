// A client that does with its descriptors and its memory whatever it can.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "tests/process/test_process.h"
#include "tests/support/raw_client.h"

namespace quire::tests {

// Commits garbage, changes and unmaps it under the daemon's hands, sends every verb with random
// arguments, and at last scribbles over all it can write. One round is one session.
class HostileClient {
 public:
  HostileClient(std::string socket_path, uint64_t seed)
      : socket_path_(std::move(socket_path)), random_(seed) {}

  // Returns once the daemon has ended the session; false when it did not.
  bool play_round();

 private:
  void write_hashes(RawSession& session);
  void commit_garbage(RawSession& session);
  void send_any_verb(RawSession& session);
  void disturb_staging(RawSession& session);
  // One submission and its answer; kClosed when the session ended instead.
  model::Completion ask(RawSession& session, const model::Submission& submission);
  uint64_t random(uint64_t below) { return random_() % below; }
  uint64_t any_number();

  std::string socket_path_;
  std::mt19937_64 random_;
  uint32_t answers_ = 0;  // of the present session
  const model::ReplyHeader* replies_ = nullptr;
};

// Every way to write through a descriptor, or a mapping, that was lent for reading. `foreign`: not
// even the uid that could open it anew.
void check_cannot_write(int fd, uint64_t bytes, bool foreign, ChildChecks& checks);
// Of memory that a client may write: its size is not its to change.
void check_cannot_resize(int fd, uint64_t bytes, ChildChecks& checks);

}  // namespace quire::tests
