#include "cache/cache.h"

namespace quire::cache {

using model::Errc;

model::Result<std::unique_ptr<Cache>> Cache::create(const CacheOptions& options,
                                                    allocator::Pool* pool) {
  FillTable fills = QUIRE_TRY(FillTable::create(options.seed));
  auto tree = QUIRE_TRY(PrefixTree::create(options.max_nodes, options.seed));
  MemoryWaiters waiters = QUIRE_TRY(MemoryWaiters::create(&pool->events(), kMaxFills));
  std::unique_ptr<Cache> made(new Cache(std::move(fills), std::move(waiters)));
  Cache& cache = *made;
  cache.store_ = std::make_unique<ObjectStore>(std::move(tree), pool, &cache.names_);
  ObjectStore* store = cache.store_.get();
  if (options.departure_bytes > 0) {
    cache.departures_ = QUIRE_TRY(DepartureLog::create(options.departure_bytes, options.seed));
    store->set_departures(cache.departures_.get());
  }
  cache.board_ = std::make_unique<EvictionBoard>(&store->tree(), &store->presence(), &cache.names_,
                                                 options.max_nodes);
  // Before the first object: the board has to know every entry that may be offered later.
  store->listen(cache.board_.get());
  QUIRE_TRY(cache.board_->open_tier(
      {.tier = model::TierId::kRam, .policy = options.ram_policy, .by_domain = true}));
  cache.quotas_ =
      std::make_unique<QuotaTable>(&store->presence().accounts(), &cache.names_.tenants());
  cache.rules_ =
      std::make_unique<ScopeRules>(&cache.names_, cache.quotas_.get(), cache.board_.get());
  QUIRE_TRY(cache.rules_->open_tier(model::TierId::kRam));
  cache.evictor_ = std::make_unique<Evictor>(store, cache.board_.get(), cache.quotas_.get());
  cache.node_room_ = std::make_unique<NodeRoom>(store, cache.evictor_.get());
  cache.reservations_ =
      std::make_unique<Reservations>(&store->presence().accounts(), cache.quotas_.get());
  cache.room_ =
      std::make_unique<RamRoom>(RamRoom::Parts{.store = store,
                                               .evictor = cache.evictor_.get(),
                                               .quotas = cache.quotas_.get(),
                                               .waiters = &cache.waiters_,
                                               .tenants = &cache.names_.tenants(),
                                               .reservations = cache.reservations_.get()});
  cache.sweep_ = std::make_unique<ContentSweep>(ContentSweep::Parts{.store = store,
                                                                    .board = cache.board_.get(),
                                                                    .evictor = cache.evictor_.get(),
                                                                    .names = &cache.names_});
  cache.reader_ =
      std::make_unique<PrefixReader>(store, cache.board_.get(), &cache.names_, &cache.leases_);
  cache.loader_ = std::make_unique<PrefixLoader>(store, &cache.names_, &cache.leases_);
  cache.writer_ = std::make_unique<ObjectWriter>(ObjectWriter::Parts{.store = store,
                                                                     .board = cache.board_.get(),
                                                                     .room = cache.room_.get(),
                                                                     .names = &cache.names_,
                                                                     .fills = &cache.fills_,
                                                                     .waiters = &cache.waiters_});
  return made;
}

// A lower tier holds far more than RAM: its entries are runs.
model::Result<void> Cache::attach_tier(model::TierId tier, std::string_view policy) {
  QUIRE_TRY(board_->open_tier({.tier = tier, .policy = policy, .by_run = true}));
  QUIRE_TRY(rules_->open_tier(tier));
  store_->attach_lower_tier();
  return {};
}

model::Result<model::DomainId> Cache::add_domain(std::string_view name) {
  const model::DomainId domain = QUIRE_TRY(intern_domain(name));
  QUIRE_TRY(rules_->add_domain(domain));
  return domain;
}

model::Result<model::DomainId> Cache::intern_domain(std::string_view name) {
  auto known = names_.intern_domain(name);
  if (known.ok()) return known;
  for (uint16_t i = 0; i < names_.domain_count(); ++i) {
    const model::DomainId domain{i};
    if (!names_.is_domain_unused(domain)) continue;
    // Memory first: a segment that holds nothing goes to the next one that asks.
    const allocator::DomainUsage usage = store_->pool().usage(domain);
    if (usage.segment_bytes + usage.retiring_bytes > 0) continue;
    // Its tenants' numbers stand for what they held, until that was taken.
    if (store_->presence().storage().holds_any_of(domain)) continue;
    store_->pool().forget_classes(domain);
    rules_->forget_domain(domain);
    reservations_->forget(domain);
    names_.take_over_domain(domain, name);
    return domain;
  }
  return known;
}

model::Result<void> Cache::complete_root(model::RootId id) {
  Root& root = names_.root(id);
  root.classes.clear();
  for (const model::Group& group : root.layout->layout.groups) {
    root.classes.push_back(QUIRE_TRY(store_->pool().size_class(root.key.domain, group.page_bytes)));
  }
  const auto node = store_->tree().add_root(id, root.tenant.value);
  if (!node) return model::make_error(Errc::kBusy, "the node table is full");
  root.node = *node;
  return {};
}

model::Result<void> Cache::open_session(const RootKey& key, uint32_t owner_tag,
                                        CacheSession& session) {
  const KnownLayout* layout = layouts_.find(key.layout);
  if (layout == nullptr) {
    return model::make_error(Errc::kUnknownLayout, "register the layout first");
  }
  const model::RootId id = QUIRE_TRY(names_.open_root(key, *layout));
  if (!names_.root(id).node.valid()) {
    // A root without a node must not stay: the next session would find it.
    if (auto completed = complete_root(id); !completed.ok()) {
      names_.forget(id);
      return completed;
    }
  }
  names_.hold(id);
  room_->taker().note_session(key.domain, true);
  session.root = id;
  session.payer = names_.tenants().hold(key.domain, key.tenant);
  session.owner_tag = owner_tag;
  session.tail_namespace =
      TailDistances::namespace_key(names_.domain_name(key.domain), key.tenant, key.namespace_name);
  session.number = ++last_session_;
  return {};
}

model::Result<model::RootId> Cache::restore_root(const RootKey& key, const model::Hash256& hash) {
  const KnownLayout* layout = layouts_.find(key.layout);
  QUIRE_CHECK(layout != nullptr);
  const model::RootId id = QUIRE_TRY(names_.restore_root(key, *layout, hash));
  if (names_.root(id).node.valid()) return id;
  if (auto completed = complete_root(id); !completed.ok()) {
    names_.forget(id);
    return std::move(completed).error();
  }
  return id;
}

Cache::Look Cache::look(model::RootId root, const ChainView& chain, uint32_t prompt_tokens) {
  const Root& record = names_.root(root);
  const PrefixMatch found =
      find_prefix(store_->presence(), store_->tree(), root, record, chain, prompt_tokens);
  store_->work().add(found.steps);
  const uint32_t unit_tokens = record.layout->layout.unit_tokens;
  model::MatchResult result{};
  result.exact_tokens = found.exact_units * unit_tokens;
  result.span_tokens = found.span_units * unit_tokens;
  result.limit = static_cast<uint8_t>(found.limit);
  result.limit_tokens = found.limit_units * unit_tokens;
  CacheSession nobody;
  nobody.root = root;
  return {.exact_tokens = result.exact_tokens,
          .span_tokens = result.span_tokens,
          .miss = explain(nobody, chain, prompt_tokens, result)};
}

void Cache::set_payer(CacheSession& session, std::string_view tenant) {
  QUIRE_CHECK(session.fill_count == 0);
  const model::TenantId payer = names_.tenants().hold(names_.root(session.root).key.domain, tenant);
  names_.tenants().release(session.payer);
  session.payer = payer;
}

model::Result<void> Cache::set_retention(CacheSession& session, std::string_view name) {
  const model::TenantId tenant = names_.root(session.root).tenant;
  session.retention = QUIRE_TRY(names_.retentions().hold(tenant, name));
  return {};
}

void Cache::set_reservation(CacheSession& session, Reservation reservation) {
  QUIRE_CHECK(session.fill_count == 0);
  session.reservation = std::move(reservation);
}

void Cache::close_session(CacheSession& session) {
  QUIRE_CHECK(session.fill_count == 0);
  // The tip's root is still held while the unpin looks at it; with the last session it may be
  // forgotten.
  session.let_tip_go();
  const model::DomainId domain = names_.root(session.root).key.domain;
  if (session.reservation.valid()) {
    session.reservation = {};
    // Others of the domain may have been refused what it had not spent.
    store_->pool().events().raise(domain);
  }
  room_->taker().note_session(domain, false);
  session.retention = {};
  names_.tenants().release(session.payer);
  names_.release(session.root);
  store_->dead_roots().maybe_forget(session.root);
}

uint64_t Cache::table_bytes() const {
  return store_->tree().resident_bytes() + store_->pool().table_bytes() + board_->held_bytes() +
         (departures_ == nullptr ? 0 : departures_->held_bytes());
}

void Cache::describe(model::MetricSink& sink) const {
  model::describe(sink, static_cast<const ObjectCounters&>(store_->counters()));
  sink.gauge("leases", lease_count(), "Rights of clients to what was announced to them");
  sink.gauge("fills", fill_count(), "Objects that clients are writing");
  sink.gauge("layouts", layouts_.size(), "Page layouts known");
  sink.gauge("roots", names_.root_count(), "Roots of prefix trees");
  sink.counter("roots_given_up", names_.given_up_count(), "Roots that made way for others");
  sink.metric(node_room_->forgotten());
  using model::MetricFamily;
  uint64_t pinned = 0;
  for (uint16_t d = 0; d < names_.domain_count(); ++d) {
    pinned += store_->presence().accounts().path_bytes(model::DomainId{d});
  }
  sink.gauge("pinned_bytes", pinned, "RAM that what clients hold could keep at most",
             {MetricFamily::kPinnedBytes});
  sink.gauge("quarantined_bytes", store_->presence().quarantined_bytes(),
             "Pages in RAM that cannot be hit any more, and that somebody holds still",
             {MetricFamily::kQuarantinedBytes});
  sink.histogram({.key = "reuse_gap",
                  .help = "Time between two uses of the ends of hits in RAM",
                  .name = {MetricFamily::kGroupReuseGap, R"(tier="ram")"}},
                 board_->reuse_gaps());
  sink.histogram({.key = "idle_before_evict",
                  .help = "Time from the last use of an object until it left RAM to make room",
                  .name = {MetricFamily::kGroupIdleBeforeEvict, R"(tier="ram")"}},
                 board_->idle_before_evict());
  model::describe(sink, writer_->link_counters());
  model::describe(sink, writer_->counters());
  reader_->describe(sink);
  model::describe(sink, loader_->counters());
}

void Cache::check_invariants() const {
  store_->check_invariants();
  board_->check_invariants();
  fills_.check_invariants();
  waiters_.check_invariants();
  reservations_->check_invariants();
}

}  // namespace quire::cache
