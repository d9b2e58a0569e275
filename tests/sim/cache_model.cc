#include "tests/sim/cache_model.h"

#include <algorithm>

#include "model/boundary.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"
#include "tests/support/oracle.h"
#include "tests/support/run_pages.h"
#include "tests/support/small_layout.h"

namespace quire::tests {

using model::Errc;
using model::FillKind;

namespace {

constexpr uint32_t kMaxUnits = 24;  // 12 blocks of two units
constexpr uint64_t kModelBytes = 2 << 20;
constexpr uint32_t kMaxActors = 6;
constexpr uint64_t kMaxPages = 4;  // of an object, and the object itself

// Few distinct contexts that share prefixes: a context is a path in a small tree of choices.
std::vector<uint32_t> random_context(std::mt19937_64& random, uint32_t units,
                                     uint32_t unit_tokens) {
  std::vector<uint32_t> tokens;
  for (uint32_t u = 0; u < units; ++u) {
    const auto choice = static_cast<uint32_t>(random() % 8 == 0 ? random() % 3 : 0);
    for (uint32_t t = 0; t < unit_tokens; ++t) tokens.push_back(u * 100 + choice * 10 + t);
  }
  return tokens;
}

}  // namespace

CacheModel::CacheModel(uint64_t seed) : random_(seed) {
  supply_ = std::make_unique<allocator::SegmentSupply>(
      allocator::SegmentSupplyOptions{.budget_bytes = kModelBytes,
                                      .segment_bytes = kModelBytes,
                                      .huge_pages = allocator::HugePages::kOff});
  pool_ = std::move(allocator::Pool::create(supply_.get(), 1 << 16)).value();
  cache_ = make_cache(*pool_, {.seed = seed});
  domain_ = *cache_->add_domain("uid:1");
  model::Layout layout = small_hybrid_layout();
  for (model::Group& group : layout.groups) {  // some twenty objects fill the pool
    group.page_bytes *= 8;
    group.layers.clear();
  }
  layout_id_ = *cache_->layouts().add(layout);
  layout_ = cache_->layouts().find(layout_id_);
}

CacheModel::~CacheModel() = default;

void CacheModel::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

CacheModel::Key CacheModel::key_at(const Actor& actor, FillKind kind, uint32_t units) const {
  return {kind, actor.chain[units - 1].bytes};
}

void CacheModel::open_actor() {
  Actor actor;
  actor.session = std::make_unique<cache::CacheSession>();
  actor.holder = std::make_unique<cache::LeaseHolder>();
  cache::RootKey key;
  key.domain = domain_;
  key.tenant = "t";
  key.namespace_name = "n";
  key.layout = layout_id_;
  const auto opened = cache_->open_session(key, 1 + random(3), *actor.session);
  if (!opened.ok()) return fail("open_session: " + opened.error().text);
  const uint32_t unit_tokens = layout_->layout.unit_tokens;
  const auto tokens = random_context(random_, 2 + random(kMaxUnits - 1), unit_tokens);
  model::extend_chain(cache_->names().root(actor.session->root).hash, tokens, unit_tokens,
                      actor.chain);
  actors_.push_back(std::move(actor));
}

uint32_t CacheModel::expected_span_units(const Actor& actor, uint32_t prompt_tokens) const {
  const uint32_t known = std::min<uint32_t>(static_cast<uint32_t>(actor.chain.size()),
                                            prompt_tokens / layout_->layout.unit_tokens);
  uint32_t units = 0;
  while (units + layout_->units_per_block <= known &&
         objects_.contains(key_at(actor, FillKind::kSpan, units + layout_->units_per_block))) {
    units += layout_->units_per_block;
  }
  return units;
}

uint32_t CacheModel::expected_exact_units(const Actor& actor, uint32_t prompt_tokens,
                                          uint32_t span_units) const {
  const uint32_t last = std::min<uint32_t>(
      static_cast<uint32_t>(actor.chain.size()),
      model::last_resume_point(layout_->layout, prompt_tokens) / layout_->layout.unit_tokens);
  for (uint32_t h = last; h > 0; --h) {
    const bool reachable = h / layout_->units_per_block * layout_->units_per_block <= span_units;
    if (reachable && objects_.contains(key_at(actor, FillKind::kCheckpoint, h))) return h;
  }
  return 0;
}

void CacheModel::pin(const Key& key, int32_t change) {
  objects_.at(key).pins += static_cast<uint32_t>(change);
}

void CacheModel::match(Actor& actor) {
  if (actor.leases.size() >= 4) return;
  const uint32_t unit_tokens = layout_->layout.unit_tokens;
  const auto total = static_cast<uint32_t>(actor.chain.size()) * unit_tokens;
  const uint32_t prompt = 1 + random(total + unit_tokens);
  const cache::ChainView chain(actor.chain.data(), static_cast<uint32_t>(actor.chain.size()));
  start_cost();
  const auto found = cache_->reader().match(*actor.session, *actor.holder, chain, prompt);
  if (!found.ok()) return fail("match: " + found.error().text);
  const uint32_t span = expected_span_units(actor, prompt);
  const uint32_t exact = expected_exact_units(actor, prompt, span);
  expect_cost("match", chain.count());
  if (found->span_tokens != span * unit_tokens) {
    return fail("match says " + std::to_string(found->span_tokens) + " span tokens, the map " +
                std::to_string(span * unit_tokens));
  }
  if (found->exact_tokens != exact * unit_tokens) {
    return fail("match says " + std::to_string(found->exact_tokens) + " exact tokens, the map " +
                std::to_string(exact * unit_tokens));
  }
  if (found->lease == 0) return;
  HeldLease lease{.id = model::LeaseId{found->lease}, .match = *found};
  if (span > 0) lease.pinned.push_back(key_at(actor, FillKind::kSpan, span));
  if (exact > 0) lease.pinned.push_back(key_at(actor, FillKind::kCheckpoint, exact));
  for (const Key& key : lease.pinned) pin(key, +1);
  actor.leases.push_back(std::move(lease));
  ++coverage_.hits;
}

void CacheModel::load(Actor& actor) {
  if (actor.leases.empty()) return;
  check_bytes(actor.leases[random(static_cast<uint32_t>(actor.leases.size()))], actor);
}

void CacheModel::expect_cost(const std::string& call, uint64_t input) {
  const uint64_t steps = inspector().steps() - steps_before_;
  if (steps <= 16 + 2 * input) return;
  fail(call + " cost " + std::to_string(steps) + " steps for an input of " + std::to_string(input));
}

model::Result<cache::Load> CacheModel::load_in_pieces(Actor& actor, const model::LoadArgs& args,
                                                      std::span<model::PageDescriptor> pages) {
  cache::PrefixLoader& loader = cache_->loader();
  cache::PendingLoad pending;
  QUIRE_TRY(loader.begin_load(*actor.holder, args, pages.size(), false, pending));
  for (bool done = false; !done;) {
    const uint32_t budget = 1 + random(6);
    start_cost();
    done = loader.step_load(*actor.holder, pending, pages, budget);
    expect_cost("a piece of a load", budget);
  }
  return pending.load;
}

void CacheModel::check_bytes(HeldLease& lease, Actor& actor) {
  std::array<model::PageDescriptor, 64> pages;
  model::LoadArgs args{};
  args.lease = lease.id.value;
  args.include_checkpoint = 1;
  const bool in_runs = random(2) == 0;
  if (in_runs) args.form = static_cast<uint8_t>(model::LoadForm::kRuns);
  const auto loaded = random(2) == 0 ? load_in_pieces(actor, args, pages)
                                     : cache_->loader().load(*actor.holder, args, pages);
  if (loaded.code() == Errc::kBusy) return;  // 16 loads of this lease
  if (!loaded.ok()) return fail("load: " + loaded.error().text);
  ++lease.loads;
  const auto told =
      in_runs ? expand_runs(pages, loaded->result, layout_->layout, 0)
              : std::vector(pages.begin(), pages.begin() + loaded->result.descriptor_count);
  if (told.size() != loaded->result.descriptor_count) return fail("a load tells of fewer pages");
  for (uint32_t i = 0; i < loaded->result.descriptor_count; ++i) {
    const bool span = i < loaded->result.block_count;  // one append group
    const uint32_t units = span ? (i + 1) * layout_->units_per_block
                                : lease.match.exact_tokens / layout_->layout.unit_tokens;
    const Key key = key_at(actor, span ? FillKind::kSpan : FillKind::kCheckpoint, units);
    const auto* segment = pool_->find_segment(domain_, model::SegmentId{told[i].segment});
    if (segment == nullptr) return fail("a page lies in no segment");
    const std::span bytes(segment->data() + told[i].offset, told[i].bytes);
    if (!check_page(bytes, objects_.at(key).bytes_key, told[i].group)) {
      return fail("wrong bytes in a page of unit " + std::to_string(units));
    }
  }
  ++coverage_.loads;
}

void CacheModel::release(Actor& actor, size_t index) {
  const HeldLease lease = actor.leases[index];
  for (bool gone = false; !gone;) {
    const uint32_t budget = 1 + random(6);
    start_cost();
    const auto part = cache_->loader().release_part(*actor.holder, lease.id, budget);
    expect_cost("a piece of a release", budget);
    if (!part.ok()) return fail("release: " + part.error().text);
    model::LoadArgs args{};
    args.lease = lease.id.value;
    if (cache_->loader().load(*actor.holder, args, {}).code() != Errc::kNotFound) {
      return fail("a lease that is being released takes a load");
    }
    gone = *part;
  }
  if (cache_->loader().release(*actor.holder, lease.id).ok()) fail("a second release succeeded");
  for (const Key& key : lease.pinned) pin(key, -1);
  actor.leases.erase(actor.leases.begin() + static_cast<ptrdiff_t>(index));
}

void CacheModel::set_tip(Actor& actor, const Key& key) {
  if (!actor.tip.empty() && objects_.at(actor.tip[0]).units >= objects_.at(key).units) return;
  pin(key, +1);
  if (!actor.tip.empty()) pin(actor.tip[0], -1);
  actor.tip = {key};
}

bool CacheModel::fill_object(Actor& actor, model::FillId fill, uint64_t bytes_key, uint32_t units,
                             FillKind kind) {
  std::array<cache::PageCopy, cache::kMaxPagesPerObject> copies;
  model::CommitArgs args{};
  args.fill = fill.value;
  const auto taken = cache_->writer().take(*actor.session, 1, args, 1 << 20, copies);
  if (!taken.ok()) {
    fail("take: " + taken.error().text);
    return false;
  }
  const auto& plan = layout_->plan(kind, units);
  std::vector<uint8_t> indexes;
  for (size_t i = 0; i < *taken; ++i) {
    fill_page(std::span(copies[i].target, copies[i].bytes), bytes_key,
              plan.pages[copies[i].page_index].group);
    indexes.push_back(copies[i].page_index);
  }
  const std::vector<uint32_t> checksums(*taken, 0);
  start_cost();
  const cache::Linked done = cache_->writer().copied(fill, indexes, checksums);
  expect_cost("copied", kMaxPages);
  return done.outcome == cache::FillOutcome::kVisible;
}

void CacheModel::commit(Actor& actor) {
  const bool span = random(3) != 0;
  const FillKind kind = span ? FillKind::kSpan : FillKind::kCheckpoint;
  const auto units_known = static_cast<uint32_t>(actor.chain.size());
  const uint32_t blocks = units_known / layout_->units_per_block;
  if (span && blocks == 0) return;
  // Mostly the next block of what is there, as an engine does; sometimes anywhere.
  uint32_t units = expected_span_units(actor, units_known * layout_->layout.unit_tokens);
  if (span) {
    units = random(4) == 0
                ? (1 + random(blocks)) * layout_->units_per_block
                : std::min(units + layout_->units_per_block, blocks * layout_->units_per_block);
  } else {
    units = random(4) == 0 ? 1 + random(units_known) : std::min(units + random(2), units_known);
  }
  if (units == 0) return;
  const uint32_t before = span ? units - layout_->units_per_block
                               : units / layout_->units_per_block * layout_->units_per_block;
  const Key key = key_at(actor, kind, units);
  model::BeginFillArgs args{};
  args.end_units = units;
  args.kind = static_cast<uint8_t>(kind);
  const cache::ChainView chain(actor.chain.data(), units_known);
  start_cost();
  auto begun = cache_->writer().begin(*actor.session, 1, chain, args);
  const size_t before_removals = objects_.size();
  observe_removals(true);  // making room may have evicted
  expect_cost("begin", kMaxPages * (1 + before_removals - objects_.size()));
  while (begun.ok() && begun->kind == cache::BeginOutcome::Kind::kPending) {
    begun = cache_->writer().go_on(begun->fill);
  }
  const bool present = objects_.contains(key);
  const bool parent = before == 0 || objects_.contains(key_at(actor, FillKind::kSpan, before));
  if (!begun.ok()) {
    if (begun.code() == Errc::kNoParent && !parent) {
      ++coverage_.no_parent;
    } else if (begun.code() == Errc::kResourceExhausted) {
      ++coverage_.no_memory;
    } else {
      fail("begin: " + begun.error().text);
    }
    return;
  }
  if (begun->kind == cache::BeginOutcome::Kind::kDuplicate) {
    if (!present) fail("a duplicate of nothing");
    if (span) set_tip(actor, key);
    ++coverage_.duplicates;
    return;
  }
  if (present) return fail("a present object was granted again");
  if (random(8) == 0) {
    start_cost();
    if (!cache_->writer().abort(*actor.session, begun->fill).ok()) fail("abort");
    expect_cost("abort", kMaxPages);
    return;
  }
  const uint64_t bytes_key = next_bytes_key_++;
  // Its parent may have been evicted to make room for it.
  if (!fill_object(actor, begun->fill, bytes_key, units, kind)) {
    if (before == 0 || objects_.contains(key_at(actor, FillKind::kSpan, before))) {
      fail("a commit did not become visible");
    }
    return;
  }
  Object object{.units = units, .at_root = before == 0, .bytes_key = bytes_key};
  if (before > 0) object.parent = key_at(actor, FillKind::kSpan, before);
  objects_[key] = object;
  if (span) set_tip(actor, key);
  ++coverage_.commits;
}

void CacheModel::evict() {
  const uint64_t count = 1 + random(3);
  start_cost();
  coverage_.evicted += Meddler(*cache_).evict(count);
  expect_cost("evict", count * kMaxPages);
}

void CacheModel::supersede(Actor& actor) {
  const auto units = 1 + random(static_cast<uint32_t>(actor.chain.size()));
  const cache::ChainView chain(actor.chain.data(), static_cast<uint32_t>(actor.chain.size()));
  const Key key = key_at(actor, FillKind::kCheckpoint, units);
  const bool present = objects_.contains(key);
  const bool pinned = present && objects_.at(key).pins > 0;
  if (!cache_->writer().turn_ends().supersede(*actor.session, chain, units)) return;
  if (!present || pinned) fail("superseded what is absent or pinned");
  ++coverage_.superseded;
}

// The process of this session dies at whatever point it is.
void CacheModel::leave_load_under_way(Actor& actor) {
  std::array<model::PageDescriptor, 64> pages;
  model::LoadArgs args{};
  args.lease = actor.leases.back().id.value;
  cache::PendingLoad pending;
  const auto begun = cache_->loader().begin_load(*actor.holder, args, pages.size(), false, pending);
  if (begun.ok()) cache_->loader().step_load(*actor.holder, pending, pages, 1 + random(6));
}

void CacheModel::kill(size_t index) {
  Actor& actor = actors_[index];
  if (!actor.leases.empty() && random(2) == 0) leave_load_under_way(actor);
  for (const HeldLease& lease : actor.leases) {
    for (const Key& key : lease.pinned) pin(key, -1);
  }
  for (const Key& key : actor.tip) pin(key, -1);
  std::vector<cache::Linked> linked;
  uint32_t cursor = 0;
  bool ended = false;
  while (!ended) {
    uint32_t budget = 1;
    start_cost();
    ended = cache_->writer().end_holder(*actor.session, 1, true, cursor, budget, linked);
    ended = cache_->loader().release_some(*actor.holder, budget) && ended;
    expect_cost("a step of an end", actor.chain.size());
  }
  while (cache_->writer().settle_waiting(1, linked) > 0) continue;
  cache_->close_session(*actor.session);
  actors_.erase(actors_.begin() + static_cast<ptrdiff_t>(index));
  ++coverage_.kills;
}

// Which objects went, and whether they were allowed to.
void CacheModel::observe_removals(bool eviction_allowed) {
  std::vector<Key> gone;
  for (const auto& [key, object] : objects_) {
    const model::Hash256 hash{key.hash};
    if (!inspector().find(key.kind, hash)) gone.push_back(key);
  }
  for (const Key& key : gone) {
    if (objects_.at(key).pins > 0) fail("a pinned object went");
    if (!eviction_allowed) fail("an object went without being evicted");
    objects_.erase(key);
  }
  // Leaf first: nothing present may hang from something that went.
  for (const auto& [key, object] : objects_) {
    if (!object.at_root && !objects_.contains(object.parent)) {
      return fail("an object is present without the span before it");
    }
  }
}

bool CacheModel::step() {
  if (actors_.empty() || (actors_.size() < kMaxActors && random(12) == 0)) open_actor();
  if (!failure_.empty()) return false;
  const size_t index = random(static_cast<uint32_t>(actors_.size()));
  Actor& actor = actors_[index];
  bool may_remove = true;
  switch (random(16)) {
    case 0:
    case 1:
    case 2:
      match(actor);
      may_remove = false;
      break;
    case 3:
    case 4:
      load(actor);
      may_remove = false;
      break;
    case 5:
    case 6:
      if (!actor.leases.empty()) {
        release(actor, random(static_cast<uint32_t>(actor.leases.size())));
      }
      break;
    case 7:
      evict();
      break;
    case 8:
      supersede(actor);
      break;
    case 9:
      if (random(4) == 0) kill(index);
      break;
    default:
      commit(actor);
      break;
  }
  if (failure_.empty()) observe_removals(may_remove);
  if (failure_.empty() && random(16) == 0) cache_->check_invariants();
  return failure_.empty();
}

bool CacheModel::finish() {
  while (!actors_.empty()) kill(actors_.size() - 1);
  cache_->check_invariants();
  Meddler(*cache_).evict();
  observe_removals(true);
  if (!objects_.empty()) fail("objects are left that nobody pins");
  const allocator::DomainUsage usage = pool_->usage(domain_);
  if (usage.slots != 0 || usage.slot_bytes != 0) fail("slots are lost");
  if (cache_->lease_count() != 0 || cache_->fill_count() != 0) fail("leases or fills are lost");
  return failure_.empty();
}

}  // namespace quire::tests
