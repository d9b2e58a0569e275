#include "server/rings/handover.h"

#include <algorithm>

#include "server/rings/session.h"

namespace quire::server {

using model::Handover;
using model::SessionRole;

// Before what follows from it: who sees that prefill is over sees all that was committed.
void HandoverState::tell(model::ProgressHeader& progress) const {
  progress.taken_tokens.store(taken_tokens(), std::memory_order_release);
  progress.ahead_tokens.store(ahead_tokens_, std::memory_order_release);
  progress.handover.store(static_cast<uint32_t>(state_), std::memory_order_release);
}

uint32_t HandoverState::taken_tokens() const {
  const auto slowest = std::min_element(
      decoders_.begin(), decoders_.end(),
      [](const Attachment* a, const Attachment* b) { return a->taken_tokens < b->taken_tokens; });
  return slowest == decoders_.end() ? 0 : (*slowest)->taken_tokens;
}

void HandoverState::bound(uint32_t ahead_tokens, model::ProgressHeader& progress) {
  given_ahead_tokens_ = ahead_tokens_ = ahead_tokens;
  tell(progress);
}

void HandoverState::joined(Attachment& attachment, model::ProgressHeader& progress) {
  if (attachment.role == SessionRole::kPrefill) {
    ++prefill_count_;
    state_ = Handover::kRunning;
  }
  if (attachment.role == SessionRole::kDecode) {
    decoders_.push_back(&attachment);
    ahead_tokens_ = given_ahead_tokens_;
  }
  tell(progress);
}

void HandoverState::left(Attachment& attachment, bool goodbye, model::ProgressHeader& progress) {
  if (attachment.role == SessionRole::kPrefill && --prefill_count_ == 0) {
    state_ = goodbye ? Handover::kEnded : Handover::kAbandoned;
  }
  if (std::erase(decoders_, &attachment) > 0 && decoders_.empty()) ahead_tokens_ = 0;
  tell(progress);
}

void HandoverState::took(Attachment& attachment, uint32_t first_tokens, uint32_t end_tokens,
                         model::ProgressHeader& progress) {
  // What it holds by itself in front of it is its own business; a gap behind what it took is not
  // taken.
  const bool goes_on = first_tokens <= attachment.taken_tokens;
  if (attachment.role != SessionRole::kDecode || !goes_on) return;
  if (end_tokens <= attachment.taken_tokens) return;
  attachment.taken_tokens = end_tokens;
  progress.taken_tokens.store(taken_tokens(), std::memory_order_release);
}

void HandoverState::follows(Handover state, model::ProgressHeader& progress) {
  state_ = state;
  tell(progress);
}

void HandoverState::reset(model::ProgressHeader& progress) {
  for (Attachment* decoder : decoders_) decoder->taken_tokens = 0;
  state_ = prefill_count_ > 0 ? Handover::kRunning : Handover::kNone;
  ahead_tokens_ = given_ahead_tokens_;
  tell(progress);
}

bool HandoverState::may_begin(const Attachment& attachment, uint64_t end_tokens) const {
  if (attachment.role != SessionRole::kPrefill || ahead_tokens_ == 0) return true;
  return end_tokens <= uint64_t{taken_tokens()} + ahead_tokens_;
}

}  // namespace quire::server
