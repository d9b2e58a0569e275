#include "server/rings/session.h"

#include <functional>
#include <utility>

namespace quire::server {

void Session::ask_for_checkpoints(const model::CheckpointPolicy& policy,
                                  const model::Layout& declared) {
  // First what is kept: a checkpoint that is written because of the word stays.
  cached.interval_units = model::interval_tokens(declared, policy) / declared.unit_tokens;
  cached.offer_units = model::offer_tokens(declared, policy, offer_tokens) / declared.unit_tokens;
  progress_header().checkpoints.store(model::to_shared_word(policy), std::memory_order_release);
}

void Session::set_tail(uint32_t tokens) {
  cached.tail_tokens = tokens;
  progress_header().tail_tokens.store(tokens, std::memory_order_release);
}

uint32_t conversation_tag(const Session& session) {
  const uint64_t own =
      (session.id.value + (uint64_t{session.reset_count} << 40)) ^ 0x9e3779b97f4a7c15ull;
  const uint64_t source = session.billing.conversation != 0 ? session.billing.conversation : own;
  const auto tag =
      static_cast<uint32_t>(std::hash<uint64_t>{}(source * 0xff51afd7ed558ccdull) >> 32);
  return tag == 0 ? 1 : tag;
}

Attachment::Attachment(Session* session, ClientProcess* client, std::unique_ptr<Lane> lane,
                       StagingArea* staging)
    : session_(session),
      client_(client),
      lane_(std::move(lane)),
      staging_(staging),
      holder_tag_(session->next_holder++) {}

void Attachment::activate() {
  if (active || active_list == nullptr) return;
  active = true;
  // Before it is polled: the client need not ring for what the core looks at anyway.
  lane_->disarm();
  active_list->push_back(this);
}

}  // namespace quire::server
