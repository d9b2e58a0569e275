#include "tiering/searches.h"

#include <algorithm>
#include <utility>

#include "model/boundary.h"

namespace quire::tiering {

using cache::NodeKind;
using model::Errc;
using model::NodeId;
using model::Result;

namespace {

// The root's node is on every tier.
bool is_on_hint_tier(const cache::PrefixTree& tree, NodeId node) {
  const cache::Node& link = tree.node(node);
  return link.is_root() || link.is_in(cache::Presence::kHintTier);
}

}  // namespace

uint32_t known_on_hint_tier(cache::Cache& cache, model::RootId root, const cache::ChainView& chain,
                            uint32_t known_units) {
  if (known_units == 0) return 0;
  const cache::PrefixTree& tree = cache.store().tree();
  const auto span = tree.find(root, NodeKind::kSpan, chain.after(known_units));
  if (!span) return 0;
  NodeId node = *span;
  for (; !is_on_hint_tier(tree, node); node = tree.parent(node)) cache.store().work().add(1);
  return tree.node(node).units();
}

bool Searches::is_on_tier(NodeId node) const {
  return is_on_hint_tier(cache_->store().tree(), node);
}

// The last hash says what all before it are, so it alone is compared.
Searches::Asked* Searches::find_same(const Question& question, uint32_t known_units) {
  const uint32_t count = question.chain.count();
  const model::Hash256 last = question.chain.after(count);
  const model::Hash256& root = cache_->names().root(question.root).hash;
  for (auto& [job, asked] : questions_) {
    const bool same = asked.root_hash == root && asked.known_units == known_units &&
                      asked.chain.size() == count && asked.chain.back() == last;
    if (same) return &asked;
  }
  return nullptr;
}

Result<void> Searches::check_bounds(model::DomainId domain) const {
  const auto of_domain = std::count_if(questions_.begin(), questions_.end(), [&](const auto& one) {
    return one.second.domain == domain;
  });
  if (questions_.size() + static_cast<size_t>(of_domain) < kMaxChainQuestions) return {};
  return model::make_error(Errc::kResourceExhausted, "too many searches are under way");
}

Result<void> Searches::ask(const Question& question) {
  if (!can_ask()) return model::make_error(Errc::kIoError, "no tier can be searched now");
  const Waiter waiter{question.tag, clock_->now_ns()};
  const uint32_t known_units =
      known_on_hint_tier(*cache_, question.root, question.chain, question.known_units);
  const cache::Root& root = cache_->names().root(question.root);
  const uint32_t next_units = known_units + root.layout->units_per_block;
  if (!question.is_news && next_units <= question.chain.count() &&
      nowhere_.has(question.chain.after(next_units), waiter.since_ns)) {
    ++counters_.remembered;
    return model::make_error(Errc::kNotFound, "the tier had nothing of it a moment ago");
  }
  if (Asked* same = find_same(question, known_units); same != nullptr) {
    if (waiter.tag != 0) same->waiters.push_back(waiter);
    ++counters_.shared;
    return {};
  }
  const uint32_t job = ++last_job_;
  auto asked = check_bounds(root.key.domain);
  if (asked.ok()) {
    asked = tier_->search()->ask(
        {.job = job, .root = question.root, .known_units = known_units, .chain = question.chain});
  }
  if (!asked.ok()) {
    ++counters_.refused;
    return asked;
  }
  ++counters_.asked;
  Asked& kept = questions_[job];
  kept.root = question.root;
  kept.root_hash = root.hash;
  kept.domain = root.key.domain;
  kept.known_units = kept.end_units = known_units;
  if (waiter.tag != 0) kept.waiters.push_back(waiter);
  kept.chain.reserve(question.chain.count());
  for (uint32_t units = 1; units <= question.chain.count(); ++units) {
    kept.chain.push_back(question.chain.after(units));
  }
  return {};
}

void Searches::leave(uint64_t tag, bool late) {
  for (auto& [job, asked] : questions_) {
    const auto waiter = std::find_if(asked.waiters.begin(), asked.waiters.end(),
                                     [&](const Waiter& one) { return one.tag == tag; });
    if (waiter == asked.waiters.end()) continue;
    if (late) {
      ++counters_.late;
      waited_.add(clock_->now_ns() - waiter->since_ns);
    }
    asked.waiters.erase(waiter);
    return;
  }
}

void Searches::take(Tier& tier, const TierEvent& event) {
  const auto asked = questions_.find(event.job);
  QUIRE_CHECK(asked != questions_.end() && &tier == tier_);
  asked->second.found = tier.search()->take_found(event.job);
  counters_.round_trips += asked->second.found.round_trips;
  if (!asked->second.found.objects.empty()) ++counters_.found;
  note_end(asked->second);
  joining_.push_back(event.job);
}

// A root that is gone has no layout to say where its next span would end.
void Searches::note_end(const Asked& asked) {
  if (asked.found.cut_short || cache_->names().find_root(asked.root_hash) != asked.root) return;
  uint32_t units = asked.known_units + cache_->names().root(asked.root).layout->units_per_block;
  for (const FoundObject& object : asked.found.objects) {
    if (object.kind != NodeKind::kSpan || object.units != units) break;
    units += cache_->names().root(asked.root).layout->units_per_block;
  }
  if (units <= asked.chain.size()) nowhere_.add(asked.chain[units - 1], clock_->now_ns());
}

// The span of the chain that ends there; the root's node at 0.
std::optional<NodeId> Searches::span_at(const Asked& asked, uint32_t units) const {
  if (units == 0) return cache_->names().root(asked.root).node;
  const cache::PrefixTree& tree = cache_->store().tree();
  const auto span = tree.find(asked.root, NodeKind::kSpan, asked.chain[units - 1]);
  return span && tree.node(*span).units() == units ? span : std::nullopt;
}

// False: nothing that is left can join.
bool Searches::join_one(Asked& asked, const FoundObject& object) {
  if (!cache_->node_room().make_one()) {
    ++counters_.no_room;
    return false;
  }
  // After room was made: with the last of its nodes a root that nobody has open goes too.
  if (cache_->names().find_root(asked.root_hash) != asked.root) return false;
  const cache::Root& root = cache_->names().root(asked.root);
  const uint32_t per_block = root.layout->units_per_block;
  const bool in_chain = object.units > 0 && object.units <= asked.chain.size() &&
                        object.key == asked.chain[object.units - 1];
  if (!in_chain) return false;
  const bool is_span = object.kind == NodeKind::kSpan;
  if (is_span && object.units != asked.end_units + per_block) return false;
  const uint32_t before =
      is_span ? asked.end_units : model::block_floor_units(object.units, per_block);
  const auto parent = span_at(asked, before);
  // What it hangs on left meanwhile, or was not found: a checkpoint more or less.
  if (!parent || !is_on_tier(*parent)) return !is_span;
  bool is_new = false;
  const auto node = cache_->store().join(
      {.parent = *parent, .kind = object.kind, .key = object.key, .units = object.units}, is_new);
  if (!node) return false;
  if (is_span) {
    asked.end_units = object.units;
    asked.end = cache::Pin(&cache_->store(), *node, cache::PinKind::kPresence);
    if (is_new) counters_.found_tokens += root.layout->layout.block_tokens;
  } else if (is_new) {
    // Whose conversation it is nobody knows here, so nobody's supersedes it.
    cache_->store().tree().marks().set_kept(*node, true);
  }
  return true;
}

// False: it is done with.
bool Searches::join_some(Asked& asked, uint32_t& budget) {
  if (cache_->names().find_root(asked.root_hash) != asked.root) return false;
  // Before room is made for the next one: what it hangs on is not to be forgotten.
  if (!asked.end.valid()) {
    const auto known = span_at(asked, asked.known_units);
    if (!known) return false;
    if (asked.known_units > 0) {
      asked.end = cache::Pin(&cache_->store(), *known, cache::PinKind::kPresence);
    }
  }
  for (; asked.joined < asked.found.objects.size(); ++asked.joined) {
    if (budget == 0) return true;
    --budget;
    cache_->store().work().add(1);
    if (!join_one(asked, asked.found.objects[asked.joined])) return false;
  }
  return false;
}

void Searches::finish(uint32_t job) {
  const auto asked = questions_.find(job);
  for (const Waiter& waiter : asked->second.waiters) {
    waited_.add(clock_->now_ns() - waiter.since_ns);
    answered_.push_back(waiter.tag);
  }
  questions_.erase(asked);
}

bool Searches::step() {
  uint32_t budget = kJoinedPerStep;
  bool worked = false;
  while (!joining_.empty() && budget > 0) {
    worked = true;
    const uint32_t job = joining_.front();
    if (join_some(questions_.at(job), budget)) continue;
    joining_.pop_front();
    finish(job);
  }
  return worked;
}

void Searches::describe(const Tier& tier, model::MetricSink& sink) const {
  if (&tier != tier_) return;
  const auto section = sink.section("search");
  model::describe(sink, counters_);
  sink.gauge("under_way", questions_.size(), "Questions that are not answered yet");
  sink.histogram({.key = "waited", .help = "Time that matches waited for an answer"}, waited_);
}

}  // namespace quire::tiering
