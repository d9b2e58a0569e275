// A dispatcher over a real cache, with rings whose client side the test plays, a clock that stands
// still, and copies that are done at once. No threads but the segment supply's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cache/cache.h"
#include "server/rings/dispatcher.h"
#include "tests/support/inspector.h"
#include "tests/support/manual_clock.h"
#include "tests/support/meddler.h"
#include "tests/support/memory_tier.h"
#include "tests/support/object_maker.h"
#include "tests/support/raw_writer.h"

namespace quire::server {

inline constexpr uint64_t kRigPageBytes = 1 << 20;
inline constexpr uint32_t kRigPages = 4;  // that RAM holds: one segment

// One append group; a block is a unit.
inline model::Layout dispatcher_layout() {
  model::Layout layout;
  layout.name = "dispatcher";
  layout.unit_tokens = 4;
  layout.block_tokens = 4;
  layout.groups.push_back(
      {.name = "kv", .kind = model::GroupKind::kAppend, .page_bytes = kRigPageBytes});
  return layout;
}

// One attached process: what its client library would write and read.
class RigClient {
 public:
  static constexpr LaneShape kShape{.ring_entries = 16, .max_units = 64, .max_load_pages = 64};

  RigClient(Session* session, uint64_t context)
      : staging_{.bytes = kRigPageBytes,
                 .region = SharedRegion::create(kRigPageBytes, ClientAccess::kReadWrite,
                                                Allocation::kByClient)
                               .value()},
        attachment_(std::make_unique<Attachment>(
            session, nullptr, Lane::create(1, LaneMemory::create(0, kShape).value()).value(),
            &staging_)) {
    const auto fds = attachment_->lane().client_descriptors(-1);
    const auto at = model::control_geometry(kShape.ring_entries, kShape.max_units);
    const auto reply_at = model::reply_geometry(kShape.ring_entries, kShape.max_load_pages);
    control_ = model::Mapping::map_shared(fds[0], at.bytes, true).value();
    reply_ = model::Mapping::map_shared(fds[1], reply_at.bytes, false).value();
    auto& header = *reinterpret_cast<model::ControlHeader*>(control_.data());
    auto& reply = *reinterpret_cast<model::ReplyHeader*>(reply_.data());
    submissions_ = {&header.submission_tail, &reply.submission_head,
                    reinterpret_cast<model::Submission*>(control_.data() + at.submissions_offset),
                    kShape.ring_entries};
    completions_ = {
        &header.completion_head, &reply.completion_tail,
        reinterpret_cast<model::Completion*>(reply_.data() + reply_at.completions_offset),
        kShape.ring_entries};
    claim_context(context);
  }

  // The chain hashes are numbered by context and position.
  void claim_context(uint64_t context) {
    const auto at = model::control_geometry(kShape.ring_entries, kShape.max_units);
    auto* hashes = reinterpret_cast<model::Hash256*>(control_.data() + at.hashes_offset);
    for (uint32_t u = 1; u <= kShape.max_units; ++u) {
      hashes[u - 1] = tests::numbered_hash(context << 32 | u);
    }
  }

  Attachment& attachment() { return *attachment_; }
  // Returns its number, by which it is completed.
  uint64_t submit(model::Verb verb, const model::Submission& submission = {}) {
    model::Submission sent = submission;
    sent.verb = static_cast<uint16_t>(verb);
    sent.user_data = ++last_;
    submissions_.put(sent);
    submissions_.publish();
    return last_;
  }
  uint64_t begin(uint32_t end_units, uint32_t deadline_ms = 0) {
    model::Submission submission{};
    submission.deadline_ms = deadline_ms;
    submission.args.begin_fill.end_units = end_units;
    return submit(model::Verb::kBeginFill, submission);
  }
  uint64_t commit(uint64_t fill) {
    model::Submission submission{};
    submission.args.commit.fill = fill;
    return submit(model::Verb::kCommit, submission);
  }
  // What was completed since the last call, in order.
  std::vector<model::Completion> completed() {
    std::vector<model::Completion> taken;
    while (*completions_.readable() > 0) taken.push_back(completions_.take());
    completions_.publish();
    return taken;
  }

 private:
  StagingArea staging_;
  std::unique_ptr<Attachment> attachment_;
  model::Mapping control_;
  model::Mapping reply_;
  model::RingProducer<model::Submission> submissions_;
  model::RingConsumer<model::Completion> completions_;
  uint64_t last_ = 0;
};

struct RigCluster {
  tests::MemoryTierOptions tier;
  SearchOptions search;
};

class DispatcherRig {
 public:
  // With a cluster below RAM, where one is chosen.
  explicit DispatcherRig(const std::optional<RigCluster>& cluster = {})
      : supply_({.budget_bytes = kRigPages * kRigPageBytes,
                 .segment_bytes = kRigPages * kRigPageBytes,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 10).value()),
        cache_(tests::make_cache(
            *pool_, {.max_nodes = 1 << 10, .ssd = true, .cluster = cluster.has_value()})),
        copies_(kMaxCopyJobs),
        tiers_(make_tiers(cluster)),
        dispatcher_(Dispatcher::create(cache_.get(), &copies_, tiers_.get(), &clock_,
                                       {.default_deadline_ms = 1000,
                                        .search = cluster ? cluster->search : SearchOptions()})
                        .value()) {
    domain_ = *cache_->add_domain("uid:1");
    layout_ = *cache_->layouts().add(dispatcher_layout());
  }
  ~DispatcherRig() {
    cache_->check_invariants();
    for (const auto& client : clients_) {
      if (!client->attachment().ended) end(*client);
    }
    for (const auto& session : sessions_) {
      if (session->cached.root.valid()) cache_->close_session(session->cached);
    }
  }

  cache::Cache& cache() { return *cache_; }
  Dispatcher& dispatcher() { return *dispatcher_; }
  tiering::TierSet& tiers() { return *tiers_; }
  // Precondition: chosen.
  tests::MemoryTier& cluster() {
    return static_cast<tests::MemoryTier&>(*tiers_->members().front().tier);
  }
  tests::ManualClock& clock() { return clock_; }
  tests::Inspector inspect() { return tests::Inspector(*cache_); }
  tests::Meddler meddle() { return tests::Meddler(*cache_); }
  uint64_t slots() { return inspect().usage(domain_).slots; }

  Session& open() {
    auto session = std::make_unique<Session>();
    session->domain = domain_;
    session->layout = layout_;
    cache::RootKey key;
    key.domain = domain_;
    key.namespace_name = "model";
    key.layout = layout_;
    QUIRE_CHECK(cache_->open_session(key, 1, session->cached).ok());
    session->progress =
        SharedRegion::create(model::kProgressBytes, ClientAccess::kReadOnly).value();
    session->turn = TurnMeter::first_turn(*cache_->layouts().find(layout_));
    sessions_.push_back(std::move(session));
    return *sessions_.back();
  }
  RigClient& attach(Session& session, uint64_t context) {
    clients_.push_back(std::make_unique<RigClient>(&session, context));
    clients_.back()->attachment().active_list = &active_;
    ++session.member_count;
    return *clients_.back();
  }
  // As the registry does it, until nothing is left of the attachment.
  void end(RigClient& client) {
    Attachment& attachment = client.attachment();
    attachment.active_list = nullptr;
    std::erase(active_, &attachment);
    dispatcher_->end(attachment);
    --attachment.session().member_count;
    uint32_t budget = 64;
    while (!dispatcher_->step_end(attachment, budget)) {
      dispatcher_->finish_copies();
      budget = 64;
    }
  }
  // A turn of the core for every attachment. True when anything was done.
  bool turn() {
    bool worked = dispatcher_->finish_copies() > 0;
    if (tiers_ != nullptr) worked = tiers_->step() || worked;
    worked = dispatcher_->finish_loads() > 0 || worked;
    for (const auto& client : clients_) {
      if (client->attachment().ended) continue;
      uint32_t steps = 1024;
      const auto served = dispatcher_->serve(client->attachment(), steps);
      QUIRE_CHECK(served != Dispatcher::Served::kScribbled);
      worked = served == Dispatcher::Served::kSome || worked;
    }
    return worked;
  }
  void turns() {
    while (turn()) {
    }
  }
  // The completion of the only request under way.
  model::Completion answer(RigClient& client) {
    std::vector<model::Completion> done;
    while (done.empty()) {
      turn();  // the first segment is being made by the supply's thread
      done = client.completed();
    }
    QUIRE_CHECK(done.size() == 1);
    return done[0];
  }
  // Begins and commits a span; its fill must be granted.
  void write(RigClient& client, uint32_t end_units) {
    client.begin(end_units);
    const model::Completion begun = answer(client);
    QUIRE_CHECK(begun.code == 0 && begun.result.begin_fill.duplicate == 0);
    client.commit(begun.result.begin_fill.fill);
    QUIRE_CHECK(answer(client).result.commit.visible == 1);
  }
  // A lease on the first `units` whose pages stay in RAM.
  uint64_t hold(RigClient& client, uint32_t units) {
    model::Submission match{};
    match.args.match.unit_count = units;
    match.args.match.prompt_tokens = units * 4 + 1;
    client.submit(model::Verb::kMatch, match);
    const uint64_t lease = answer(client).result.match.lease;
    model::Submission load{};
    load.args.load.lease = lease;
    load.args.load.descriptor_capacity = units;
    client.submit(model::Verb::kLoad, load);
    QUIRE_CHECK(answer(client).result.load.descriptor_count == units);
    return lease;
  }

 private:
  std::unique_ptr<tiering::TierSet> make_tiers(const std::optional<RigCluster>& cluster) {
    if (!cluster) return nullptr;
    auto tiers = std::make_unique<tiering::TierSet>(cache_.get(), &clock_);
    tests::MemoryTierOptions options = cluster->tier;
    options.id = model::TierId::kCluster;
    tiers->add(std::make_unique<tests::MemoryTier>(cache_.get(), options),
               {.delay_ms = 0, .ram_bytes = kRigPages * kRigPageBytes});
    return tiers;
  }

  tests::ManualClock clock_;
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  tiering::InlineCopyEngine copies_;
  std::unique_ptr<tiering::TierSet> tiers_;
  std::unique_ptr<Dispatcher> dispatcher_;
  model::DomainId domain_;
  model::LayoutId layout_;
  std::vector<Attachment*> active_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<RigClient>> clients_;
};

}  // namespace quire::server
