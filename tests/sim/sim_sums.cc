#include "tests/sim/sim_sums.h"

#include <algorithm>

#include "cache/serve/lease_table.h"
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_judge.h"
#include "tests/support/meddler.h"

namespace quire::tests {

using model::DomainId;

namespace {

constexpr uint64_t kTurnsUntilTold = 256;

}  // namespace

void SimSums::fail(const std::string& what) const { stage_->judge->fail(what); }

// What was refused while something was promised is told when its load has ended, turns later.
bool SimSums::was_promised(DomainId domain) const {
  if (stage_->core->cache().reservations().admitted_bytes(domain) > 0) return true;
  const auto found = reserved_at_.find(domain.value);
  return found != reserved_at_.end() && turn_ - found->second < kTurnsUntilTold;
}

void SimSums::begin_turn() {
  const Inspector inspector = stage_->core->inspector();
  offers_ = inspector.offers();
  within_guarantee_.clear();
  ++turn_;
  for (uint16_t d = 0; d < stage_->core->pool().domain_count(); ++d) {
    const uint64_t reserved = stage_->core->cache().reservations().admitted_bytes(DomainId{d});
    if (reserved > 0) reserved_at_[d] = turn_;
  }
  for (const auto& [name, rule] : stage_->core->cache().rules().all()) {
    const auto owner = stage_->core->cache().rules().owner_of(name);
    if (owner && !inspector.is_above_guarantee(*owner)) within_guarantee_.push_back(*owner);
  }
}

// What may go after the turn might go before the refusal too, if nothing became free to go in it.
void SimSums::judge_refusal(model::TenantId tenant) const {
  if (stage_->core->inspector().offers() != offers_) return;
  cache::Cache& cache = stage_->core->cache();
  // What may go may be promised to others.
  if (was_promised(cache.names().tenants().domain_of(tenant))) return;
  const cache::Owner own = cache.quotas().owner_of(model::TierId::kRam, tenant);
  for (const cache::Owner& giver : stage_->core->inspector().givers_for(tenant)) {
    // It came above its guarantee in this turn, maybe after the refusal.
    const bool may_be_late =
        giver != own && std::find(within_guarantee_.begin(), within_guarantee_.end(), giver) !=
                            within_guarantee_.end();
    if (may_be_late) continue;
    fail("refused for want of memory, and something may be evicted for it");
  }
}

// A load's slots are in no account until its pages are there.
bool SimSums::is_moving() const {
  const tiering::TierSet* tiers = stage_->core->tiers();
  if (tiers != nullptr && !tiers->loads().idle()) return true;
  return stage_->core->inspector().moving_count() > 0;
}

void SimSums::judge_memory() const {
  judge_reserved();
  if (is_moving()) return;
  for (uint16_t d = 0; d < stage_->core->pool().domain_count(); ++d) judge_domain(DomainId{d});
  judge_pins();
}

// The pool counts slots as they are given out and come back; accounts are charged by what has them.
void SimSums::judge_domain(DomainId domain) const {
  const cache::Account account = stage_->core->inspector().domain_account(domain);
  const uint64_t pages = stage_->core->inspector().usage(domain).page_bytes;
  if (pages == account.used_bytes + account.reserved_bytes) return;
  fail("of domain " + std::to_string(domain.value) + " the pool counts " + std::to_string(pages) +
       " bytes of pages, objects have " + std::to_string(account.used_bytes) +
       " and fills reserved " + std::to_string(account.reserved_bytes));
}

void SimSums::judge_reserved() const {
  if (stage_->core->cache().fill_count() > 0) return;
  const uint64_t bytes = stage_->core->inspector().reserved_bytes();
  if (bytes > 0) fail(std::to_string(bytes) + " bytes are reserved, and there are no fills");
}

// A session's tip is pinned while the session lives, and lets go when its holders are done.
void SimSums::judge_pins() const {
  if (stage_->core->cache().lease_count() > 0 || stage_->core->copies_in_flight() > 0) return;
  uint64_t tips = 0;
  stage_->core->core().registry().for_each_session(
      [&](const server::Session& session) { tips += session.cached.tip.valid() ? 1 : 0; });
  const uint64_t pins = stage_->core->inspector().pin_count();
  if (pins != tips) {
    fail(std::to_string(pins) + " pins without a lease, of sessions' tips " + std::to_string(tips));
  }
}

void SimSums::judge_bounds() const {
  SimCore& core = *stage_->core;
  if (core.cache().lease_count() > cache::kMaxLeases) fail("more leases than there may be");
  if (core.cache().fill_count() > cache::kMaxFills) fail("more fills than there may be");
  if (core.supply().status().given_out > core.config().segments) {
    fail("more memory than the budget");
  }
  if (core.tier() == nullptr) return;
  if (core.tier()->status().space.allocated_bytes > core.config().ssd_bytes) {
    fail("more of the SSD than its capacity");
  }
}

void SimSums::judge_nobody_left() const {
  SimCore& core = *stage_->core;
  if (core.cache().lease_count() != 0) fail("leases are lost");
  if (core.cache().fill_count() != 0) fail("fills are lost");
  if (core.core().registry().session_count() != 0) fail("sessions are lost");
  if (core.core().registry().draining_count() != 0) fail("attachments drain for ever");
  judge_reserved();
  for (uint16_t d = 0; d < core.pool().domain_count(); ++d) {
    const DomainId domain{d};
    if (core.cache().reservations().admitted_bytes(domain) != 0) fail("reservations are lost");
    if (core.cache().reservations().queued_count(domain) != 0) fail("tickets are lost");
    if (core.inspector().path_bytes(domain) != 0) fail("paths are held for nobody");
  }
  if (is_moving()) return;
  if (core.inspector().pin_count() != 0) fail("pins are lost");
  if (core.inspector().ram_page_count() != core.inspector().ram_slot_count()) {
    fail("slots are lost");
  }
}

void SimSums::judge_empty() const {
  (void)Meddler(stage_->core->cache()).evict();
  const uint64_t slots = stage_->core->inspector().ram_slot_count();
  if (slots > 0) fail(std::to_string(slots) + " slots are in use when everything was evicted");
}

}  // namespace quire::tests
