#include "tiering/tier_set.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "model/check.h"

namespace quire::tiering {

using model::MetricSink;

TierSet::TierSet(cache::Cache* cache, const model::Clock* clock)
    : cache_(cache), clock_(clock), loads_(cache, clock), searches_(cache, clock), looks_(cache) {
  cache_->reader().set_load_time(
      [this](const cache::TierBytes& bytes) { return loads_.estimate_us(bytes); });
}

TierSet::~TierSet() {
  cache_->reader().set_load_time([](const cache::TierBytes&) { return uint64_t{0}; });
  for (const Member& member : members_) {
    cache_->store().presence().set_state(member.tier->id(), {});
  }
}

void TierSet::add(std::unique_ptr<Tier> tier, const DemotionOptions& options) {
  QUIRE_CHECK(std::none_of(members_.begin(), members_.end(),
                           [&](const Member& member) { return member.tier->id() == tier->id(); }));
  loads_.add_tier(tier.get());
  searches_.add_tier(tier.get());
  looks_.add_tier(tier.get());
  auto demotion = std::make_unique<Demotion>(
      DemotionParts{.cache = cache_, .tier = tier.get(), .clock = clock_, .under_way = &under_way_},
      options);
  const auto behind = std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
    return member.tier->id() > tier->id();
  });
  const auto at = members_.insert(behind, {std::move(tier), std::move(demotion)});
  tell_cache(*at);
}

void TierSet::tell_cache(const Member& member) {
  const TierMode mode = member.tier->mode();
  cache_->store().presence().set_state(
      member.tier->id(), {.readable = may_read(mode),
                          .writes_soon = may_write(mode) && member.demotion->writes_through()});
}

// Handlers may cause more events; those are for the next step.
void TierSet::route(Member& member, int64_t now_ns) {
  taken_.clear();
  taken_.swap(member.tier->events());
  worked_ = worked_ || !taken_.empty();
  for (const TierEvent& event : taken_) {
    if (event.kind == TierEvent::Kind::kRead) {
      loads_.take(*member.tier, event);
    } else if (event.kind == TierEvent::Kind::kFound) {
      if (!looks_.take(event)) searches_.take(*member.tier, event);
    } else {
      member.demotion->take(event, now_ns);
    }
  }
}

void TierSet::step_tier(Member& member, bool quiet, int64_t now_ns) {
  // Only copies on this tier have a place to give back: those of the hint tier are forgotten here
  // and stay where they are.
  if (member.tier->id() == cache::Presence::kPlacedTier) {
    std::vector<cache::GivenUpCopy>& given_up = cache_->store().given_up();
    member.tier->erase(given_up);
    given_up.clear();
  }
  worked_ = member.tier->step({.quiet = quiet,
                               .writes_coming = member.demotion->queued() > 0,
                               .short_of_ram = member.demotion->short_of_ram()}) ||
            worked_;
  route(member, now_ns);
}

bool TierSet::step(bool quiet) {
  const int64_t now = clock_->now_ns();
  worked_ = false;
  for (Member& member : members_) step_tier(member, quiet, now);
  std::vector<cache::FreshNode>& fresh = cache_->store().fresh();
  for (Member& member : members_) {
    member.demotion->take_fresh(fresh, now);
    worked_ = member.demotion->step(now) || worked_;
  }
  fresh.clear();
  worked_ = loads_.step(now) || worked_;
  worked_ = searches_.step() || worked_;
  for (Member& member : members_) {
    worked_ = member.tier->submit() || worked_;
    tell_cache(member);
  }
  return worked_;
}

bool TierSet::idle() const {
  return loads_.idle() && std::all_of(members_.begin(), members_.end(), [](const Member& member) {
           const bool writing = !member.demotion->idle() && may_write(member.tier->mode());
           return !writing && member.tier->idle();
         });
}

void TierSet::hurry() {
  for (Member& member : members_) member.demotion->hurry();
}

model::Result<void> TierSet::flush() {
  std::string refused;
  bool any = false;
  for (const Member& member : members_) {
    if (member.demotion->flush().is_running()) {
      return model::make_error(model::Errc::kBusy, "another flush is under way; wait for its end");
    }
    const TierState state = member.tier->state();
    any = any || may_write(state.mode);
    refused += " " + std::string(member.tier->name()) + " is " +
               std::string(tier_mode_name(state.mode)) + ": " + state.reason;
  }
  if (!any) return model::make_error(model::Errc::kBusy, "no tier takes writes now:" + refused);
  // Those that take none stop theirs in their next step, and are shown as not complete.
  for (Member& member : members_) member.demotion->start_flush();
  return {};
}

void TierSet::describe_flush(MetricSink& sink) const {
  bool running = false;
  bool complete = true;
  for (const Member& member : members_) {
    running = running || member.demotion->flush().is_running();
    complete = complete && member.demotion->flush().is_complete();
  }
  sink.flag("running", running, "Something is written still");
  sink.flag("complete", complete, "All that was in RAM when it began is durable below");
  const auto list = sink.list({.key = "tiers", .prefix = "flush"});
  for (const Member& member : members_) {
    const auto row = sink.row({.name = "tier", .text = member.tier->name()});
    const TierState state = member.tier->state();
    sink.state("state", metric_state(state.mode), kTierStateHelp);
    sink.text("reason", state.reason);
    model::describe(sink, member.demotion->flush().counts());
  }
}

bool TierSet::is_whole() const {
  return std::all_of(members_.begin(), members_.end(),
                     [](const Member& member) { return member.tier->state().whole; });
}

size_t TierSet::queued() const {
  return std::accumulate(
      members_.begin(), members_.end(), size_t{0},
      [](size_t sum, const Member& member) { return sum + member.demotion->queued(); });
}

void TierSet::note_use(const model::Hash256& first_span) {
  for (Member& member : members_) member.demotion->admission().note_use(first_span);
}

void TierSet::demote_now(model::NodeId node, int64_t now_ns) {
  for (Member& member : members_) member.demotion->enqueue_first(node, now_ns);
}

void TierSet::forget_segment(const std::byte* data) {
  for (Member& member : members_) member.tier->forget_segment(data);
}

Upkeep* TierSet::upkeep() const {
  for (const Member& member : members_) {
    if (Upkeep* upkeep = member.tier->upkeep(); upkeep != nullptr) return upkeep;
  }
  return nullptr;
}

uint64_t TierSet::largest_object_bytes() const {
  uint64_t largest = 0;
  for (const Member& member : members_) {
    largest = std::max(largest, member.tier->largest_object_bytes());
  }
  return largest;
}

void TierSet::describe(MetricSink& sink) const {
  for (const Member& member : members_) describe(member, sink);
}

// Sections in the order in which an operator looks: what it is, what it writes, what it reads, what
// went wrong, what only this one has.
void TierSet::describe(const Member& member, MetricSink& sink) const {
  const Tier& tier = *member.tier;
  const Demotion& demotion = *member.demotion;
  const model::MetricLabel name{.name = "tier", .text = tier.name()};
  const auto row = sink.row(name);
  const TierState state = tier.state();
  sink.state("state", metric_state(state.mode), kTierStateHelp);
  sink.text("reason", state.reason);
  sink.text("action", state.action);
  tier.describe(sink, TierSection::kItself);
  const cache::Presence& presence = cache_->store().presence();
  model::describe(sink, presence.counts(tier.id()));
  sink.gauge("only_here", presence.count_fastest(tier.id()), "Objects that no faster tier has");
  sink.gauge("queued", demotion.queued(), "Candidates for demotion",
             {model::MetricFamily::kQueueDepth, R"(queue="demotion")"});
  sink.gauge("loads", loads_.count(), "Loads under way, from all tiers",
             {model::MetricFamily::kDocument});
  {
    const auto section = sink.section("written");
    tier.describe(sink, TierSection::kWritten);
    demotion.describe_written(sink);
  }
  {
    const auto section = sink.section("read");
    sink.metric(cache_->store().counters().promoted);
    model::describe(sink, loads_.counters(tier.id()));
    tier.describe(sink, TierSection::kRead);
  }
  searches_.describe(tier, sink);
  {
    const auto section = sink.section("errors");
    tier.describe(sink, TierSection::kErrors);
    sink.metric(demotion.counters().corrupt_in_ram);
  }
  tier.describe(sink, TierSection::kOwn);
}

}  // namespace quire::tiering
