#include "cache/eviction/segment_taker.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cache/objects/object_store.h"

namespace quire::cache {

using allocator::DomainUsage;
using allocator::PageState;
using allocator::Pool;
using allocator::SegmentView;
using model::DomainId;
using model::NodeId;
using model::SegmentId;
using model::SlotId;

namespace {

// Nodes looked at or evicted in one step: some 200 us.
constexpr uint32_t kNodesPerStep = 256;
// Segments of a donor that are weighed: their order by bytes in use is a good guess.
constexpr size_t kCandidates = 8;
// One after the other that come to nothing while something changes.
constexpr uint32_t kVainJobs = 4;

}  // namespace

uint64_t SegmentTaker::usable(DomainId domain) const {
  const Pool& pool = store_->pool();
  return pool.usage(domain).segment_bytes / pool.supply().segment_bytes();
}

uint64_t SegmentTaker::held(DomainId domain) const {
  const Pool& pool = store_->pool();
  return usable(domain) + pool.usage(domain).retiring_bytes / pool.supply().segment_bytes();
}

uint64_t SegmentTaker::guaranteed(DomainId domain) const {
  const uint64_t segment_bytes = store_->pool().supply().segment_bytes();
  const uint64_t bytes = quotas_->guaranteed_bytes(model::TierId::kRam, domain);
  return bytes / segment_bytes + (bytes % segment_bytes > 0 ? 1 : 0);
}

uint64_t SegmentTaker::share_of(DomainId domain, const Shares& shares) const {
  return guaranteed(domain) + shares.equal;
}

// The asker has a share although it may hold nothing yet.
SegmentTaker::Shares SegmentTaker::shares_with(DomainId asker) const {
  uint64_t total = held(asker);
  uint64_t kept = guaranteed(asker);
  Shares shares;
  for (uint16_t d = 0; d < store_->pool().domain_count(); ++d) {
    if (DomainId{d} == asker) continue;
    const uint64_t segments = held(DomainId{d});
    total += segments;
    if (segments == 0) continue;
    ++shares.domains;
    kept += guaranteed(DomainId{d});
  }
  shares.equal = (total - std::min(total, kept)) / shares.domains;
  const uint64_t budget = store_->pool().supply().max_segments();
  shares.unheld = budget - std::min(budget, total);
  return shares;
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
  const uint64_t share = share_of(asker, shares_with(asker));
  return held(asker) + claims_of(asker, false) < std::max<uint64_t>(share, 1);
}

bool SegmentTaker::can_spare(DomainId domain, const Shares& shares) const {
  if (const uint64_t share = share_of(domain, shares); share > 0) return usable(domain) > share;
  const bool in_use = domain.value < sessions_.size() && sessions_[domain.value] > 0;
  return usable(domain) > 1 || (usable(domain) == 1 && !in_use);
}

void SegmentTaker::note_session(DomainId domain, bool opened) {
  if (sessions_.size() <= domain.value) sessions_.resize(domain.value + size_t{1});
  sessions_[domain.value] += opened ? 1 : ~uint32_t{0};
  if (sessions_[domain.value] == 0) ++changes_;
}

// Of the whole budget, whether it is held already or not.
uint64_t SegmentTaker::fair_share(DomainId domain, const Shares& shares) const {
  const uint64_t part = store_->pool().supply().max_segments() / shares.domains;
  return std::max({uint64_t{1}, part, share_of(domain, shares)});
}

uint64_t SegmentTaker::share_bytes(DomainId domain) const {
  return fair_share(domain, shares_with(domain)) * store_->pool().supply().segment_bytes();
}

uint64_t SegmentTaker::reach_bytes(DomainId domain) const {
  const Shares shares = shares_with(domain);
  return std::max(usable(domain) + shares.unheld, fair_share(domain, shares)) *
         store_->pool().supply().segment_bytes();
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
    const uint64_t share = share_of(asker, shares_with(asker));
    const bool wanted = held(asker) < std::max<uint64_t>(share, 1);
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
  const Shares shares = shares_with(job_.asker);
  DomainId donor;
  std::pair<bool, uint64_t> best{false, 0};
  for (uint16_t d = 0; d < store_->pool().domain_count(); ++d) {
    const DomainId domain{d};
    if (domain == job_.asker || !can_spare(domain, shares)) continue;
    if (std::find(job_.tried.begin(), job_.tried.end(), domain) != job_.tried.end()) continue;
    const std::pair<bool, uint64_t> rank{store_->pool().usage(domain).retiring_bytes == 0,
                                         held(domain)};
    if (donor.valid() && rank <= best) continue;
    donor = domain;
    best = rank;
  }
  if (!donor.valid()) return false;
  job_.tried.push_back(donor);
  job_.donor = donor;
  job_.phase = Phase::kWeighing;
  std::vector<SegmentView> views = store_->pool().segments(donor);
  const size_t count = std::min(kCandidates, views.size());
  std::partial_sort(views.begin(), views.begin() + static_cast<ptrdiff_t>(count), views.end(),
                    [](const SegmentView& a, const SegmentView& b) {
                      return a.used_bytes != b.used_bytes ? a.used_bytes < b.used_bytes
                                                          : a.id > b.id;
                    });
  job_.candidates.clear();
  for (size_t i = count; i > 0; --i) job_.candidates.push_back(views[i - 1].id);
  job_.best = SegmentId{};
  job_.best_cost = std::numeric_limits<size_t>::max();
  job_.segment = SegmentId{};
  return true;
}

// The nodes with pages in the segment. False: one of them is being written.
bool SegmentTaker::gather() {
  job_.nodes.clear();
  job_.next_node = 0;
  job_.open.clear();
  job_.seen.clear();
  bool sealed = true;
  // Only neighbours are told apart: a node that is listed twice costs one look, in `seen` or
  // lies_here().
  const Pool& pool = store_->pool();
  pool.for_each_slot(job_.segment, [&](SlotId slot) {
    const allocator::PageEntry& page = pool.page(slot);
    if (page.state() != PageState::kSealed) {
      sealed = false;
    } else if (job_.nodes.empty() || job_.nodes.back().value + 1 != page.owner) {
      job_.nodes.push_back(NodeId{page.owner - 1});
    }
  });
  return sealed;
}

void SegmentTaker::step() {
  if (job_.phase == Phase::kWeighing) {
    weigh();
  } else if (job_.phase == Phase::kEmptying) {
    empty();
  }
}

bool SegmentTaker::next_candidate() {
  if (job_.candidates.empty()) return false;
  job_.segment = job_.candidates.back();
  job_.candidates.pop_back();
  if (!gather()) job_.segment = SegmentId{};  // not this one
  return true;
}

void SegmentTaker::weigh() {
  if (!job_.segment.valid()) {
    // Nothing is cheaper than a segment that costs no object.
    if (job_.best_cost == 0) return finish_weighing();
    if (!next_candidate()) finish_weighing();
    return;
  }
  for (uint32_t step = 0; step < kNodesPerStep; ++step) {
    const bool inside = !job_.open.empty();
    if (!inside && job_.next_node == job_.nodes.size()) {
      job_.best = job_.segment;
      job_.best_cost = job_.seen.size();
      job_.segment = SegmentId{};
      return;
    }
    const NodeId node = inside ? job_.open.back() : job_.nodes[job_.next_node++];
    if (inside) job_.open.pop_back();
    if (!inside && !job_.seen.insert(node.value).second) continue;
    // Pinned, or dearer than the best one so far: the rest of it need not be looked at.
    if (!weigh_node(node) || job_.seen.size() >= job_.best_cost) {
      job_.segment = SegmentId{};
      return;
    }
  }
}

bool SegmentTaker::stays_below(NodeId node) const {
  return store_->tree().node(node).has_copy_below(model::TierId::kRam);
}

// Whoever pins a node's presence does not care where it is; what has no copy is gone, though.
bool SegmentTaker::may_go(NodeId id) const {
  const Node& node = store_->tree().node(id);
  return stays_below(id) ? !node.is_pinned(PinKind::kResidency) : !node.is_pinned();
}

// False: it may not go. What has no copy takes with it all that depends on it.
bool SegmentTaker::weigh_node(NodeId node) {
  const PrefixTree& tree = store_->tree();
  if (!may_go(node)) return false;
  if (!tree.node(node).is_object() || stays_below(node)) return true;
  tree.children(node).for_each([&](NodeId child) {
    if (job_.seen.insert(child.value).second) job_.open.push_back(child);
  });
  return true;
}

void SegmentTaker::finish_weighing() {
  if (!job_.best.valid()) return give_up_donor();
  job_.segment = job_.best;
  // Weighing took turns of the core: what lies there is listed anew, then nothing is put there any
  // more.
  if (!gather()) return give_up_donor();
  store_->pool().set_aside(job_.donor, job_.segment, true);
  job_.phase = Phase::kEmptying;
}

// Since it was gathered the node may have gone, and its id may be another's.
bool SegmentTaker::lies_here(NodeId node) const {
  if (!store_->tree().node(node).is_object()) return false;
  const Presence& presence = store_->presence();
  for (SlotId slot = presence.first_page(node); slot.valid(); slot = presence.next_page(slot)) {
    if (store_->pool().place(slot).segment == job_.segment) return true;
  }
  return false;
}

void SegmentTaker::empty() {
  uint32_t budget = kNodesPerStep;
  job_.open.clear();  // the tree may have changed since the last step
  while (job_.next_node < job_.nodes.size()) {
    if (budget == 0) return;
    const NodeId node = job_.nodes[job_.next_node];
    if (!lies_here(node)) {
      ++job_.next_node;
      --budget;
      continue;
    }
    if (!empty_node(node, budget)) {
      store_->pool().set_aside(job_.donor, job_.segment, false);
      return give_up_donor();
    }
  }
  finish_emptying();
}

// Leaf first. False: something was pinned meanwhile.
bool SegmentTaker::empty_node(NodeId node, uint32_t& budget) {
  const PrefixTree& tree = store_->tree();
  if (stays_below(node)) {
    if (!may_go(node)) return false;
    --budget;
    store_->leave_ram(node, {DepartureCause::kOtherUser});
    return true;
  }
  job_.open.assign(1, node);
  while (!job_.open.empty() && budget > 0) {
    const NodeId top = job_.open.back();
    if (!may_go(top)) return false;
    if (!tree.is_leaf(top)) {
      job_.open.push_back(tree.children(top).first());
      continue;
    }
    --budget;
    job_.open.pop_back();
    if (!store_->drop(top, {DepartureCause::kOtherUser})) return false;
  }
  return true;
}

void SegmentTaker::finish_emptying() {
  auto retired = store_->pool().retire(job_.donor, job_.segment);
  if (!retired) {  // cannot be: nothing was put there since
    store_->pool().set_aside(job_.donor, job_.segment, false);
    return give_up_donor();
  }
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
