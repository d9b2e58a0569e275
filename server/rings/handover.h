// A prompt on its way from prefill to decode, in one session: who may be how far ahead, and what is
// told when nothing more comes.
//
//   prefill commits --spans become visible--> decode loads them: taken --> prefill may go on
//        \-- `ahead` behind what was taken: begin_fill is kBusy until more is
//        \-- its last process goes: kEnded or kAbandoned, and nobody waits for the rest
//
// Taken is what loads of every decode process have delivered, without a gap in front: the slowest
// one counts. Once decode processes were there and all of them went, nobody is waited for any more:
// what prefill computes is still of use to others. All words are the session's progress memory's
// (ProgressHeader); the daemon writes them, and waits for nobody.
// Threads: core only.
#pragma once

#include <cstdint>
#include <vector>

#include "model/session_shm.h"

namespace quire::server {

class Attachment;

class HandoverState {
 public:
  // As the session's opener says, before any of its processes hears of it. 0: no bound.
  void bound(uint32_t ahead_tokens, model::ProgressHeader& progress);
  // Precondition of both: its role is set. `goodbye`: it closed the session.
  void joined(Attachment& attachment, model::ProgressHeader& progress);
  void left(Attachment& attachment, bool goodbye, model::ProgressHeader& progress);
  // A load brought the blocks [first, end) of the prompt.
  void took(Attachment& attachment, uint32_t first_tokens, uint32_t end_tokens,
            model::ProgressHeader& progress);
  // Of a prefill on another host, which a session here follows (HostHandover).
  void follows(model::Handover state, model::ProgressHeader& progress);
  // The session's processes go on with another prompt.
  void reset(model::ProgressHeader& progress);
  // Whether decode is near enough behind for a span that ends there.
  bool may_begin(const Attachment& attachment, uint64_t end_tokens) const;

 private:
  void tell(model::ProgressHeader& progress) const;
  uint32_t taken_tokens() const;

  uint32_t ahead_tokens_ = 0;  // in force; 0: no bound
  uint32_t given_ahead_tokens_ = 0;
  uint32_t prefill_count_ = 0;
  model::Handover state_ = model::Handover::kNone;
  std::vector<Attachment*> decoders_;  // attached
};

}  // namespace quire::server
