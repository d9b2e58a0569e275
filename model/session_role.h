// Handing a prompt from prefill to decode, as both sides of the socket name it (docs/handover.md).
#pragma once

#include <cstdint>

namespace quire::model {

// What a process of a session does there, where that matters.
enum class SessionRole : uint8_t {
  kBoth = 0,     // nobody hands anything over
  kPrefill = 1,  // computes the prompt, and commits it piece by piece
  kDecode = 2,   // takes it piece by piece
};
// How the prefill of a session stands, for those who wait for the rest of its prompt.
enum class Handover : uint32_t {
  kNone = 0,       // no process has said that it does any
  kRunning = 1,    // one is attached
  kEnded = 2,      // all of them closed the session: nothing more comes
  kAbandoned = 3,  // the last one of them went without a word
};

}  // namespace quire::model
