// A well-behaved client of its own uid, in a process of its own, that checks every byte it is given
// and times itself. One that never needs more than a segment's worth of memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/process/test_process.h"

namespace quire::tests {

struct NeighbourReport {
  bool alive = false;  // it answered at all
  uint64_t rounds = 0;
  uint64_t refusals = 0;         // calls that came back with an error
  uint64_t lost = 0;             // what it had stored and uses all the time was not there
  uint64_t wrong_pages = 0;      // delivered with other bytes
  std::vector<float> commit_us;  // begin_fill, write, commit of one span; one a round
  std::vector<float> hit_us;     // match, load, compare, release; one a round
};

class Neighbour {
 public:
  // Connects and stores its context; needs root, to become `uid`.
  Neighbour(const std::string& socket_path, uid_t uid);

  // Has it do so many rounds: each commits a new span and finds its stored context; every 64th also
  // connects anew, opens a session, commits a context there and finds it. `alive` is false when a
  // round took longer than a test's patience.
  NeighbourReport rounds(uint32_t count);
  // Leaves well.
  bool leave();

 private:
  TestProcess process_;
};

// For the child: the uid and gid become `uid`, without other groups.
void become(uid_t uid);

}  // namespace quire::tests
