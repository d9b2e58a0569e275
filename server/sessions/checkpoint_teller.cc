#include "server/sessions/checkpoint_teller.h"

#include <algorithm>
#include <vector>

namespace quire::server {

void CheckpointTeller::tell(Session& session) const {
  const cache::NamespaceTable& names = cache_->names();
  // Who pays for the bytes decides, also where a shared namespace makes hits everybody's.
  const model::CheckpointPolicy policy = cache_->checkpoint_rules().policy_of(
      names.domain_name(session.domain), names.tenants().name_of(session.cached.payer));
  session.ask_for_checkpoints(policy, cache_->layouts().find(session.layout)->layout);
}

void CheckpointTeller::begin() {
  left_ = registry_->attachments().size();
  step();
}

bool CheckpointTeller::step() {
  const std::vector<Attachment*>& all = registry_->attachments();
  // From the end on: one that is opened meanwhile stands behind those that are left and knows it,
  // and the place of one that ended is taken by the last, which was told or is told again.
  left_ = std::min(left_, all.size());
  const size_t until = left_ - std::min(left_, kToldPerStep);
  for (; left_ > until; --left_) tell(all[left_ - 1]->session());
  return left_ > 0;
}

}  // namespace quire::server
