#include "server/rings/session_reset.h"

#include <algorithm>

namespace quire::server {

using model::Errc;

namespace {

// Two processes of a session would go on with two prompts, each with hashes of its own.
bool is_in_use(const Attachment& attachment, const Session& session) {
  if (session.crosses_hosts) return true;  // the other host goes by this prompt
  if (session.member_count > 1 || session.draining_count > 0) return true;
  if (session.cached.fill_count > 0 || attachment.copies_in_flight > 0) return true;
  if (attachment.leases.lease_count > 0) return true;
  const PendingLists& pending = attachment.pending;
  const auto waits = [](const PendingLists::List& list) { return list.first != 0; };
  return waits(pending.under_way) ||
         std::any_of(pending.queues.begin(), pending.queues.end(), waits);
}

void forget_prompt(cache::CacheSession& session) {
  session.let_tip_go();
  session.has_previous_checkpoint = false;
  session.last_checkpoint_units = 0;
}

// Of the old prompt nothing counts for who waits for the new one's.
void restart_progress(model::ProgressHeader& progress) {
  const uint32_t layers =
      std::min(progress.layer_count.load(std::memory_order_relaxed), model::kProgressLayers);
  for (uint32_t i = 0; i < layers; ++i) {
    progress.ready_tokens[i].store(0, std::memory_order_release);
  }
  progress.checkpoint_tokens.store(0, std::memory_order_release);
  progress.committed_tokens.store(0, std::memory_order_release);
}

}  // namespace

Errc reset_session(cache::Cache& cache, TurnMeter& turns, Attachment& attachment,
                   const model::ResetArgs& args) {
  Session& session = attachment.session();
  if (is_in_use(attachment, session)) return Errc::kBusy;
  if (cache.names().root(session.cached.root).dead) return Errc::kStaleHandle;
  // The old turn's receipt names the conversation that it was of.
  turns.reset(attachment);
  ++session.reset_count;
  session.billing.conversation = args.conversation;
  session.cached.owner_tag = conversation_tag(session);
  forget_prompt(session.cached);
  restart_progress(session.progress_header());
  session.handover.reset(session.progress_header());
  return Errc::kOk;
}

}  // namespace quire::server
