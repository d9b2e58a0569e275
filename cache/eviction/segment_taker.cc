#include "cache/eviction/segment_taker.h"

#include <algorithm>
#include <utility>

#include "cache/objects/object_store.h"

namespace quire::cache {

using allocator::Pool;
using model::DomainId;

namespace {

// One after the other that come to nothing while something changes.
constexpr uint32_t kVainJobs = 4;

}  // namespace

SegmentTaker::SegmentTaker(ObjectStore* store, const QuotaTable* quotas)
    : store_(store), quotas_(quotas), shares_(&store->pool(), quotas), emptier_(store) {}

uint64_t SegmentTaker::own_share(DomainId domain) const {
  return shares_.share_of(domain, shares_.division_with(domain));
}

uint64_t SegmentTaker::claims_of(DomainId asker, bool with_late) const {
  return static_cast<uint64_t>(std::count_if(claims_.begin(), claims_.end(), [&](const Claim& one) {
    return one.asker == asker && (with_late || !one.late);
  }));
}

bool SegmentTaker::is_spoken_for(DomainId domain) const {
  return !claims_.empty() && claims_of(domain, true) == 0;
}

bool SegmentTaker::is_entitled(DomainId asker) const {
  // What is taken away while none can be made would be lost to everybody.
  if (store_->pool().supply().has_failed()) return false;
  const uint64_t share = own_share(asker);
  return shares_.held(asker) + claims_of(asker, false) < std::max<uint64_t>(share, 1);
}

uint64_t SegmentTaker::share_bytes(DomainId domain) const {
  return shares_.fair_share(domain, shares_.division_with(domain)) *
         store_->pool().supply().segment_bytes();
}

uint64_t SegmentTaker::reach_bytes(DomainId domain) const {
  const RamShares::Division division = shares_.division_with(domain);
  return std::max(shares_.usable(domain) + division.unheld, shares_.fair_share(domain, division)) *
         store_->pool().supply().segment_bytes();
}

void SegmentTaker::note_session(DomainId domain, bool opened) {
  if (shares_.note_session(domain, opened)) ++changes_;
}

SegmentTaker::Refusal& SegmentTaker::refusal_of(DomainId asker) {
  if (refusals_.size() <= asker.value) refusals_.resize(asker.value + size_t{1});
  return refusals_[asker.value];
}

// Grows with all that may let a donor give that could not: what may leave, pages that are not
// written any more, who is in use, shares. Never 0.
uint64_t SegmentTaker::situation() const {
  return 1 + store_->counters().offers + store_->pool().given_up_count() + changes_ +
         quotas_->version();
}

bool SegmentTaker::ask(DomainId asker) {
  const bool claimed = claims_of(asker, true) > 0;
  // One segment at a time. A late claim comes some day too: who has one is told to wait, not
  // refused.
  if (claims_of(asker, false) > 0) return true;
  // One job at a time. Its end raises the events of all, so who is entitled asks again then.
  if (is_busy()) return claimed || job_.asker == asker || is_entitled(asker);
  // Every donor refused, and it would end alike.
  const bool refused = refusal_of(asker).at == situation();
  if (refused || !is_entitled(asker)) return claimed;
  return start(asker) || claimed;
}

// A claim is late after a time; a job ends after so many steps. One that looks again is waited for
// by nobody who can help himself: where something always changes it might go on so.
bool SegmentTaker::is_coming(DomainId asker) const {
  if (claims_of(asker, false) > 0) return true;
  if (!is_busy()) return false;
  if (job_.asker != asker) return is_entitled(asker);
  return asker.value >= refusals_.size() || refusals_[asker.value].vain_jobs == 0;
}

void SegmentTaker::note_late(DomainId asker) {
  const auto claim = std::find_if(claims_.begin(), claims_.end(), [&](const Claim& one) {
    return one.asker == asker && !one.late;
  });
  if (claim == claims_.end()) return;  // it was served by another segment
  claims_.erase(claim);
  claims_.push_back({asker, true});
  store_->pool().events().raise_all();
}

void SegmentTaker::note_grown(DomainId domain) {
  ++changes_;
  const auto claim = std::find_if(claims_.begin(), claims_.end(),
                                  [&](const Claim& one) { return one.asker == domain; });
  if (claim == claims_.end()) return;
  claims_.erase(claim);
  store_->pool().events().raise_all();
}

void SegmentTaker::settle() {
  store_->pool().collect_gone();
  while (!claims_.empty()) {
    const DomainId asker = claims_.front().asker;
    // Shares move while memory is on its way: what is above the share now is left to the others.
    const uint64_t share = own_share(asker);
    const bool wanted = shares_.held(asker) < std::max<uint64_t>(share, 1);
    if (wanted && store_->pool().grow(asker) != Pool::Growth::kGrew) return;
    if (wanted) ++changes_;
    claims_.pop_front();
    store_->pool().events().raise_all();
  }
}

std::vector<RetiredFrom> SegmentTaker::take_retired() { return std::exchange(retired_, {}); }

bool SegmentTaker::start(DomainId asker) {
  job_ = Job{};
  job_.asker = asker;
  job_.begun_at = situation();
  return next_donor();
}

// Of those that can spare one: first who owes nothing, then who holds most.
bool SegmentTaker::next_donor() {
  const RamShares::Division division = shares_.division_with(job_.asker);
  DomainId donor;
  std::pair<bool, uint64_t> best{false, 0};
  for (uint16_t d = 0; d < store_->pool().domain_count(); ++d) {
    const DomainId domain{d};
    if (domain == job_.asker || !shares_.can_spare(domain, division)) continue;
    if (std::find(job_.tried.begin(), job_.tried.end(), domain) != job_.tried.end()) continue;
    const std::pair<bool, uint64_t> rank{store_->pool().usage(domain).retiring_bytes == 0,
                                         shares_.held(domain)};
    if (donor.valid() && rank <= best) continue;
    donor = domain;
    best = rank;
  }
  if (!donor.valid()) return false;
  job_.tried.push_back(donor);
  job_.donor = donor;
  emptier_.begin(donor);
  return true;
}

void SegmentTaker::step() {
  if (!is_busy()) return;
  std::optional<Pool::Retired> retired = emptier_.step();
  if (emptier_.is_busy()) return;
  if (!retired) return give_up_donor();
  ++changes_;
  refusal_of(job_.asker) = {};
  retired_.push_back({job_.donor, job_.asker, std::move(*retired)});
  // Behind those that are not late: a client that does not unmap must not hold up other claims.
  const auto first_late =
      std::find_if(claims_.begin(), claims_.end(), [](const Claim& claim) { return claim.late; });
  claims_.insert(first_late, Claim{job_.asker, false});
  job_ = Job{};
  store_->pool().events().raise_all();  // the next one may ask
}

void SegmentTaker::give_up_donor() {
  if (next_donor()) return;
  const DomainId asker = job_.asker;
  const uint64_t begun_at = job_.begun_at;
  job_ = Job{};
  // What changed while it looked may have changed behind it. Where something always does it is told
  // so all the same.
  Refusal& refusal = refusal_of(asker);
  const bool looks_again = situation() != begun_at && ++refusal.vain_jobs < kVainJobs;
  if (!looks_again) refusal = {.at = situation()};
  store_->pool().events().raise_all();  // who asked learns it, and the next one may ask
}

}  // namespace quire::cache
