#include "tiering/chain_looks.h"

#include <algorithm>
#include <utility>

#include "tiering/searches.h"

namespace quire::tiering {

using model::Errc;

model::Result<void> ChainLooks::ask(uint64_t tag, uint32_t uid, model::RootId root,
                                    const cache::ChainView& chain) {
  ++counters_.asked;
  const auto refuse = [&](Errc code, const char* text) {
    ++counters_.refused;
    return model::make_error(code, text);
  };
  if (tier_ == nullptr || !may_read(tier_->mode())) {
    return refuse(Errc::kIoError, "no cluster can be asked now; see the tiers of quirectl status");
  }
  const auto own = std::count_if(asked_.begin(), asked_.end(),
                                 [&](const auto& one) { return one.second.uid == uid; });
  if (asked_.size() == kMaxLooks || static_cast<size_t>(own) == kMaxOfOneUser) {
    return refuse(Errc::kBusy, "as many questions to the cluster as are taken are under way");
  }
  const uint32_t known =
      known_on_hint_tier(*cache_, root, chain, cache_->reader().known_units(root, chain));
  const uint32_t job = kFirstJob | ++last_job_;
  const auto asked =
      tier_->search()->ask({.job = job, .root = root, .known_units = known, .chain = chain});
  if (!asked.ok()) {
    ++counters_.refused;
    return asked;
  }
  asked_[job] = {.tag = tag, .uid = uid, .known_units = known};
  return {};
}

void ChainLooks::leave(uint64_t tag) {
  for (auto& [job, asked] : asked_) {
    if (asked.tag == tag) asked.wanted = false;
  }
  std::erase_if(answered_, [&](const Answer& answer) { return answer.tag == tag; });
}

bool ChainLooks::take(const TierEvent& event) {
  if ((event.job & kFirstJob) == 0) return false;
  const Asked asked = asked_.extract(event.job).mapped();
  const FoundChain found = tier_->search()->take_found(event.job);
  if (!asked.wanted) return true;
  Answer answer{.tag = asked.tag, .span_units = asked.known_units, .cut_short = found.cut_short};
  for (const FoundObject& object : found.objects) {
    uint32_t& units =
        object.kind == cache::NodeKind::kSpan ? answer.span_units : answer.checkpoint_units;
    units = std::max(units, object.units);
  }
  answered_.push_back(answer);
  return true;
}

}  // namespace quire::tiering
