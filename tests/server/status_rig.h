// Every part that a status tells of, without a core: the test steps the desk itself.
#pragma once

#include <memory>
#include <string>

#include "cache/cache.h"
#include "model/check.h"
#include "server/events/event_feed.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/dispatcher.h"
#include "server/runtime/region_maker.h"
#include "server/sessions/closing_lines.h"
#include "server/sessions/connection_table.h"
#include "server/sessions/segment_share.h"
#include "server/sessions/session_registry.h"
#include "server/sessions/uid_shares.h"
#include "server/status/status.h"
#include "tests/support/manual_clock.h"

namespace quire::server {

class StatusRig {
 public:
  static constexpr uint64_t kMaxNodes = 1 << 10;

  StatusRig()
      : supply_({.budget_bytes = 4 << 20,
                 .segment_bytes = 4 << 20,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 10).value()),
        cache_(cache::Cache::create({.max_nodes = kMaxNodes}, pool_.get()).value()),
        copies_(kMaxCopyJobs),
        dispatcher_(Dispatcher::create(cache_.get(), &copies_, nullptr, &clock_, {}).value()),
        shares_({1000, 1000, 1 << 30, 1000, 1000}, 25),
        closing_(ClosingLines::create().value()),
        maker_(RegionMaker::create().value()),
        registry_(cache_.get(), dispatcher_.get(),
                  {.shares = &shares_, .closer = &closing_.sessions()}),
        segments_(cache_.get(), [](const std::byte*) {}),
        events_(EventFeed::create({.cache = cache_.get(), .clock = &clock_, .daemon_epoch = 42})
                    .value()) {}

  // Outlived by the rig.
  StatusSources sources() {
    return {.cache = cache_.get(),
            .supply = &supply_,
            .registry = &registry_,
            .dispatcher = dispatcher_.get(),
            .tiers = nullptr,
            .missing = {},
            .shares = &shares_,
            .segments = &segments_,
            .clients = &clients_,
            .connections = &connections_,
            .closing = &closing_,
            .maker = &maker_,
            .events = events_.get(),
            .options = &options_,
            .daemon_epoch = 42};
  }
  cache::Cache& cache() { return *cache_; }
  UidShares& shares() { return shares_; }
  EventFeed& events() { return *events_; }
  ClientCounters& clients() { return clients_; }
  tests::ManualClock& clock() { return clock_; }

  // A layout of so many append groups of one page size.
  static model::Layout layout(const std::string& name, uint32_t groups) {
    model::Layout layout;
    layout.name = name;
    layout.unit_tokens = 4;
    layout.block_tokens = 8;
    for (uint32_t g = 0; g < groups; ++g) {
      layout.groups.push_back({.name = "group" + std::to_string(g),
                               .kind = model::GroupKind::kAppend,
                               .page_bytes = 4096});
    }
    return layout;
  }

 private:
  tests::ManualClock clock_;
  Options options_;
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  tiering::InlineCopyEngine copies_;
  std::unique_ptr<Dispatcher> dispatcher_;
  UidShares shares_;
  ClientCounters clients_;
  ConnectionTable connections_{{}};
  ClosingLines closing_;
  RegionMaker maker_;
  SessionRegistry registry_;
  SegmentShare segments_;
  std::unique_ptr<EventFeed> events_;
};

}  // namespace quire::server
