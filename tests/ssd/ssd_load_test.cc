// Loads from the device: memory, order, sharing, progress, and when to recompute instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "tests/ssd/ssd_faults.h"
#include "tests/support/object_maker.h"
#include "tiering/io/crc_copy.h"

namespace quire::tests::ssd_load_test {

using model::Errc;

namespace {

constexpr uint32_t kTokens = 400;
constexpr uint32_t kBlocks = kTokens / 8;
constexpr uint64_t kBigPage = 255 * 4096;  // of the big layout: 64 of them fill RAM

// A = B = 4; a page is nearly 1 MiB.
model::Layout big_layout() {
  model::Layout layout = small_append_layout();
  layout.name = "big-append";
  layout.groups[0].page_bytes = kBigPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kBigPage}};
  return layout;
}

void big_objects(server::Options& options) {
  options.ssd_region_bytes = 16ull << 20;
  options.ssd_bytes = 256ull << 20;
}

bool whole(const Hit& hit) {
  return hit.announced_tokens == kTokens && hit.code == Errc::kOk && hit.wrong.empty();
}

// A load on its way.
struct PendingLoad {
  std::unique_ptr<client::Session> session;
  model::MatchResult match{};
  client::RequestId request = 0;
  model::Completion completion{};
  bool done = false;

  PendingLoad(client::Client& client, uint64_t context, uint32_t tokens,
              const model::Layout& layout, const client::LoadOptions& options = {},
              model::LoadClass load_class = model::LoadClass::kInteractive) {
    client::SessionOptions opened = session_options(layout);
    opened.load_class = load_class;
    session = open_session(client, opened);
    QUIRE_CHECK(session->append_tokens(context_tokens(tokens + 1, context)).ok());
    match = *session->match(tokens + 1);
    submit(options);
  }
  void submit(const client::LoadOptions& options = {}) {
    done = false;
    request = *session->submit_load(match.lease, options);
    session->flush();
  }
  // True once its completion is there.
  bool poll() {
    std::array<model::Completion, 1> completions{};
    if (done || *session->poll_completions(completions) == 0) return done;
    completion = completions[0];
    done = true;
    return true;
  }
  Errc code() const { return static_cast<Errc>(completion.code); }
  // What is wrong with what came; empty when nothing is.
  std::string judge() {
    const auto pages = session->take_pages(request, completion);
    return pages.ok() ? judge_pages(*session, match, *pages) : "";
  }
};

bool wait_all(SsdRig& rig, std::span<PendingLoad* const> loads) {
  return rig.daemon().eventually([&](server::Daemon&) {
    bool all = true;
    for (PendingLoad* load : loads) all = load->poll() && all;
    return all;
  });
}

void settle_and_empty(SsdRig& rig) {
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  ASSERT_EQ(rig.counters().ram_spans, 0u);
}

// Commits `blocks` blocks of the big layout, and has them on the device only.
void demote_big(SsdRig& rig, client::Client& client, uint64_t context, uint32_t blocks) {
  constexpr uint32_t kAtOnce = 35;
  for (uint32_t done = 0; done < blocks; done += kAtOnce) {
    // A session keeps the end of its path in RAM: gone before that is emptied.
    auto session = rig.session(client, context, blocks * 4, big_layout());
    for (uint32_t block = done + 1; block <= std::min(blocks, done + kAtOnce); ++block) {
      ASSERT_TRUE(commit_object(*session, model::FillKind::kSpan, block * 4).ok()) << block;
    }
    session.reset();
    settle_and_empty(rig);
  }
}

constexpr uint32_t kForeverMs = 0xffffffff;  // 49 days

// A user who knows no client library: a session and one span of a registered layout.
struct OtherUser {
  cache::CacheSession session;
  model::NodeId node;

  // On the core thread; false while there is no segment yet.
  bool add(server::Daemon& daemon) {
    cache::Cache& cache = daemon.cache();
    cache::RootKey key;
    key.domain = *cache.add_domain("uid:another");
    key.namespace_name = "model";
    key.layout = model::LayoutId{0};
    if (!session.root.valid()) QUIRE_CHECK(cache.open_session(key, 1, session).ok());
    NewObject span{.root = session.root, .parent = cache.names().root(session.root).node};
    span.hash.bytes[0] = 1;
    span.units = 1;
    if (ObjectMaker(cache).make(span, node) != Room::kHave) return false;
    const auto pages = inspect(daemon).pages(node);
    QUIRE_CHECK(pages.size() == 1 && pages[0].bytes.size() == kBigPage);
    meddle(daemon).set_checksum(node, tiering::crc32c(pages[0].bytes.data(), kBigPage));
    return true;
  }
  void load(server::Daemon& daemon) {
    QUIRE_CHECK(daemon.tiers()
                    ->loads()
                    .start({.tag = 1ull << 62,
                            .deadline_ns = std::numeric_limits<int64_t>::max(),
                            .nodes = std::span(&node, 1)})
                    .ok());
  }
  void leave(server::Daemon& daemon) { daemon.cache().close_session(session); }
};

}  // namespace

TEST(SsdLoad, LoadLargerThanRamIsRefusedAndEvictsNothing) {
  SsdRig rig({}, big_objects);
  const auto client = connect_lazily(rig.daemon());
  demote_big(rig, *client, 1, 70);
  const auto bystander = rig.session(*client, 2, 8, big_layout());
  ASSERT_TRUE(commit_object(*bystander, model::FillKind::kSpan, 4).ok());
  const uint64_t left_ram = rig.counters().left_ram;
  {
    PendingLoad load(*client, 1, 70 * 4, big_layout(), {.deadline_ms = kForeverMs});
    EXPECT_EQ(load.match.exact_tokens, 70u * 4);
    std::array<PendingLoad*, 1> all{&load};
    ASSERT_TRUE(wait_all(rig, all));
    EXPECT_EQ(load.code(), Errc::kResourceExhausted);
    EXPECT_EQ(load.judge(), "");
  }
  EXPECT_EQ(rig.counters().left_ram, left_ram);
  EXPECT_EQ(audit(rig), "");
  EXPECT_TRUE(serves_ram(rig, *client, 50));
}

// The one that comes second would wait for what the first one's client holds; that may be for ever.
TEST(SsdLoad, OfTwoLoadsOfWhichRamHoldsOneTheSecondIsRefused) {
  SsdRig rig({}, big_objects);
  const auto client = connect_lazily(rig.daemon());
  demote_big(rig, *client, 1, 35);
  demote_big(rig, *client, 2, 35);
  {
    PendingLoad one(*client, 1, 140, big_layout(), {.deadline_ms = kForeverMs});
    PendingLoad two(*client, 2, 140, big_layout(), {.deadline_ms = kForeverMs});
    std::array<PendingLoad*, 2> all{&one, &two};
    ASSERT_TRUE(wait_all(rig, all));
    EXPECT_EQ(one.code(), Errc::kOk);
    EXPECT_EQ(one.judge(), "");
    EXPECT_EQ(two.code(), Errc::kResourceExhausted);
    EXPECT_TRUE(one.session->release(one.match.lease).ok());
    // With the memory of the first the other one goes through.
    two.submit();
    std::array<PendingLoad*, 1> again{&two};
    ASSERT_TRUE(wait_all(rig, again));
    EXPECT_EQ(two.code(), Errc::kOk);
    EXPECT_EQ(two.judge(), "");
  }
  EXPECT_EQ(audit(rig), "");
}

// The first user has two loads, of which its RAM holds one, whose pages the device holds back: so
// the other one waits, with a deadline of 49 days. The second user's load starts all the same.
TEST(SsdLoad, LoadThatWaitsForMemoryKeepsNoOtherUserFromLoading) {
  FaultySsd ssd([](server::Options& options) {
    big_objects(options);
    options.ram_bytes = 128ull << 20;  // a segment for each
  });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  const auto registered = rig.session(*client, 9, 4, big_layout());
  OtherUser other;
  ASSERT_TRUE(rig.daemon().eventually([&](server::Daemon& daemon) { return other.add(daemon); }));
  demote_big(rig, *client, 1, 35);
  demote_big(rig, *client, 2, 35);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  {
    PendingLoad one(*client, 1, 140, big_layout(), {.deadline_ms = kForeverMs});
    ASSERT_TRUE(ssd.wait_for_held(1));
    PendingLoad two(*client, 2, 140, big_layout(), {.deadline_ms = kForeverMs});
    const auto two_waits = [](server::Daemon& daemon) {
      return daemon.tiers()->loads().count() == 2;
    };
    ASSERT_TRUE(rig.daemon().eventually(two_waits));
    rig.daemon().on_core([&](server::Daemon& daemon) { other.load(daemon); });
    EXPECT_TRUE(rig.daemon().eventually([&](server::Daemon& daemon) {
      return inspect(daemon).object(other.node).moving;
    })) << "it is being read";
    EXPECT_FALSE(two.poll());
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
    ssd.release_held();
    std::array<PendingLoad*, 2> all{&one, &two};
    ASSERT_TRUE(wait_all(rig, all));
    EXPECT_EQ(one.code(), Errc::kOk);
    EXPECT_EQ(two.code(), Errc::kResourceExhausted);
    EXPECT_TRUE(rig.daemon().eventually(
        [&](server::Daemon& daemon) { return inspect(daemon).in_ram(other.node); }));
  }
  rig.daemon().on_core([&](server::Daemon& daemon) { other.leave(daemon); });
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdLoad, LoadsOfAUserAreBoundedAndItsEndLetsThemGo) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  settle_and_empty(rig);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  uint32_t refused = 0;
  {
    std::vector<std::unique_ptr<PendingLoad>> loads;
    const auto leaver = connect_lazily(ssd.daemon());
    while (loads.size() < tiering::kMaxLoadsOfDomain + 8) {
      loads.push_back(std::make_unique<PendingLoad>(*leaver, 1, kTokens, small_hybrid_layout()));
    }
    ASSERT_TRUE(rig.daemon().eventually([&](server::Daemon& daemon) {
      refused = 0;
      for (const auto& load : loads) refused += load->poll() && load->code() == Errc::kBusy;
      return refused == 8 && daemon.tiers()->loads().count() == tiering::kMaxLoadsOfDomain;
    }));
  }
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
  ssd.release_held();
  EXPECT_TRUE(ssd.daemon().eventually([](server::Daemon& daemon) {
    return inspect(daemon).pin_count() == 0 && daemon.tiers()->loads().idle();
  }));
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdLoad, WhatTwoSessionsLoadIsReadOnce) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  settle_and_empty(rig);
  const uint64_t read = rig.status().mover.read_bytes;
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  const uint64_t once = rig.status().mover.read_bytes - read;
  rig.empty_ram();
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  {
    PendingLoad one(*client, 1, kTokens, small_hybrid_layout());
    PendingLoad two(*client, 1, kTokens, small_hybrid_layout());
    ASSERT_TRUE(ssd.daemon().eventually(
        [](server::Daemon& daemon) { return ssd_status(daemon).loader.shared > 0; }));
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
    ssd.release_held();
    std::array<PendingLoad*, 2> all{&one, &two};
    ASSERT_TRUE(wait_all(rig, all));
    for (PendingLoad* load : all) {
      EXPECT_EQ(load->code(), Errc::kOk);
      EXPECT_EQ(load->judge(), "");
    }
  }
  EXPECT_EQ(rig.status().mover.read_bytes - read, 2 * once);
  EXPECT_EQ(rig.status().loader.shared, kBlocks + 1);
  EXPECT_EQ(audit(rig), "");
}

// The device takes four operations at a time, so that their order is that of the mover.
TEST(SsdLoad, InteractiveLoadOvertakesABatchLoad) {
  FaultySsd ssd([](server::Options& options) {
    options.ssd_queue_depth = 4;
    options.ssd_write_delay_ms = 5;
  });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  constexpr uint32_t kManyTokens = 4 * kTokens;
  rig.commit(*client, 1, kManyTokens);
  rig.commit(*client, 2, kTokens);
  settle_and_empty(rig);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  {
    PendingLoad batch(*client, 1, kManyTokens, small_hybrid_layout(), {}, model::LoadClass::kBatch);
    ASSERT_TRUE(ssd.wait_for_held(1));
    PendingLoad interactive(*client, 2, kTokens, small_hybrid_layout());
    ASSERT_TRUE(ssd.daemon().eventually([&](server::Daemon& daemon) {
      if (daemon.tiers()->loads().count() < 2 && !interactive.done) return interactive.poll();
      // What came is checked before more comes: the worker must not be what loads wait for.
      if (ssd_status(daemon).checks == 0) ssd.release_oldest_on_core();
      return interactive.poll();
    }));
    EXPECT_FALSE(batch.poll());
    EXPECT_EQ(interactive.code(), Errc::kOk);
    EXPECT_EQ(interactive.judge(), "");
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
    ssd.release_held();
    std::array<PendingLoad*, 1> rest{&batch};
    ASSERT_TRUE(wait_all(rig, rest));
    EXPECT_EQ(batch.judge(), "");
  }
  EXPECT_EQ(audit(rig), "");
}

// What is under way is counted while nothing comes back.
TEST(SsdLoad, LongBatchLoadKeepsNobodyFromStarting) {
  FaultySsd ssd([](server::Options& options) { options.ssd_write_delay_ms = 5; });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  constexpr uint32_t kManyTokens = 8 * kTokens;  // 800 spans: 50 runs or more
  const model::Layout layout = small_append_layout();
  rig.commit(*client, 1, kManyTokens, layout);
  rig.commit(*client, 2, kTokens, layout);
  settle_and_empty(rig);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  const auto under_way = [&](uint64_t count) {
    return rig.daemon().eventually(
        [&](server::Daemon& daemon) { return ssd_status(daemon).transfers >= count; });
  };
  {
    constexpr auto kBatch = static_cast<size_t>(tiering::TransferClass::kBatch);
    PendingLoad batch(*client, 1, kManyTokens, layout, {}, model::LoadClass::kBatch);
    constexpr uint32_t kOwn = tiering::kRecords[kBatch];
    ASSERT_TRUE(under_way(kOwn));
    EXPECT_EQ(rig.status().transfers, kOwn) << "of its runs no more";
    PendingLoad interactive(*client, 2, kTokens, layout);
    ASSERT_TRUE(under_way(kOwn + 1));
    const uint64_t loading = rig.status().transfers;
    rig.commit(*client, 3, kTokens, layout);
    ASSERT_TRUE(under_way(loading + 1)) << "a demotion starts";
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
    ssd.release_held();
    std::array<PendingLoad*, 2> loads{&batch, &interactive};
    ASSERT_TRUE(wait_all(rig, loads));
    EXPECT_EQ(batch.judge(), "");
    EXPECT_EQ(interactive.judge(), "");
  }
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(audit(rig), "");
}

// An interactive load has so much under way and no more; another one starts beside it, and whoever
// asks what a load would take is told of both.
TEST(SsdLoad, LongLoadKeepsNobodyFromStarting) {
  constexpr uint32_t kLong = 120;
  constexpr uint32_t kRun = (16ull << 20) / kBigPage;  // blocks that one transfer may bring
  constexpr uint32_t kShare = ((64ull << 20) + kBigPage - 1) / kBigPage;
  FaultySsd ssd([](server::Options& options) {
    big_objects(options);
    options.ram_bytes = 256ull << 20;
  });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  demote_big(rig, *client, 1, kLong);
  demote_big(rig, *client, 2, kRun);
  const auto estimate_us = [&](uint64_t context) {
    return rig.session(*client, context, kRun * 4, big_layout())
        ->match(kRun * 4 + 1)
        ->load_estimate_us;
  };
  const uint64_t alone_us = estimate_us(2);
  EXPECT_GT(alone_us, 0u);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  uint64_t moving = 0;
  const auto eventually_moving = [&](uint64_t least) {
    return rig.daemon().eventually([&](server::Daemon& daemon) {
      moving = inspect(daemon).moving_count();
      return moving >= least;
    });
  };
  {
    PendingLoad one(*client, 1, kLong * 4, big_layout());
    ASSERT_TRUE(eventually_moving(kShare));
    EXPECT_LT(moving, kShare + kRun);
    EXPECT_GT(estimate_us(2), 2 * alone_us);
    const uint64_t of_one = moving;
    PendingLoad two(*client, 2, kRun * 4, big_layout());
    ASSERT_TRUE(eventually_moving(of_one + kRun));
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
    ssd.release_held();
    std::array<PendingLoad*, 2> loads{&one, &two};
    ASSERT_TRUE(wait_all(rig, loads));
    for (PendingLoad* load : loads) EXPECT_EQ(load->judge(), "");
  }
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdLoad, PrefetchBringsPagesToRam) {
  SsdRig rig;
  const auto client = connect_lazily(rig.daemon());
  rig.commit(*client, 1, kTokens);
  settle_and_empty(rig);
  const auto session = rig.session(*client, 1, kTokens);
  ASSERT_TRUE(session->advise(model::Advice::kPrefetch, kTokens).ok());
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& daemon) {
    return inspect(daemon).counters().ssd_only == 0 && daemon.tiers()->idle();
  }));
  const uint64_t read = rig.status().mover.read_bytes;
  const Hit hit = try_hit(rig, *client, 1, kTokens);
  EXPECT_TRUE(whole(hit));
  EXPECT_EQ(hit.tokens_ssd, 0u);
  EXPECT_EQ(rig.status().mover.read_bytes, read);
  EXPECT_EQ(audit(rig), "");
}

// Operations are told in the order in which they came, each when what the one before it set off is
// over.
TEST(SsdLoad, ProgressGrowsInOrderAndItsViewsAreRight) {
  FaultySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  settle_and_empty(rig);
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  uint32_t steps = 0;
  {
    PendingLoad load(*client, 1, kTokens, small_hybrid_layout(), {.progress = true});
    uint32_t seen = 0;
    for (int turn = 0; turn < 100'000 && !load.poll(); ++turn) {
      ssd.with_engine([](FaultyEngine& engine) { engine.release_oldest(); });
      ASSERT_TRUE(ssd.daemon().eventually([&](server::Daemon& daemon) {
        return ssd.all_held_on_core() && ssd_status(daemon).checks == 0;
      }));
      // Not on the core thread: a view may need a segment of the daemon first.
      const auto count = load.session->loaded_so_far(load.request);
      const auto views = load.session->pages_so_far(load.request);
      if (!count.ok() || !views.ok()) continue;
      EXPECT_GE(*count, seen);
      for (uint32_t i = seen; i < *count && i < kBlocks; ++i) {
        const uint64_t key = object_key(*load.session, (i + 1) * 8, model::FillKind::kSpan);
        EXPECT_TRUE(check_page({(*views)[i].data, (*views)[i].bytes}, key, (*views)[i].group));
      }
      steps += *count > seen ? 1 : 0;
      seen = *count;
    }
    ASSERT_TRUE(load.done);
    EXPECT_EQ(load.code(), Errc::kOk);
    EXPECT_EQ(*load.session->loaded_so_far(load.request), kBlocks + 2);
    EXPECT_EQ(load.judge(), "");
    ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
  }
  EXPECT_GE(steps, kBlocks / tiering::kMaxRunObjects) << "a transfer brings no more";
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdLoad, CutFollowsThePriceOfPrefill) {
  SsdRig rig;
  const auto client = connect_lazily(rig.daemon());
  rig.commit(*client, 1, kTokens, small_append_layout());
  settle_and_empty(rig);
  const auto session = rig.session(*client, 1, kTokens, small_append_layout());
  const auto cheap = session->match(kTokens + 1, 0, {.us_per_ktoken = 1});
  ASSERT_TRUE(cheap.ok());
  EXPECT_EQ(cheap->exact_tokens, kTokens);
  EXPECT_LT(cheap->cut_tokens, cheap->exact_tokens);
  const auto dear = session->match(kTokens + 1, 0, {.us_per_ktoken = 1'000'000'000});
  ASSERT_TRUE(dear.ok());
  EXPECT_EQ(dear->cut_tokens, dear->exact_tokens);
  // In RAM nothing has to be loaded: whatever it costs, computing costs more.
  EXPECT_GE(check_hit(*session, *dear), 0);
  const auto resident = session->match(kTokens + 1, 0, {.us_per_ktoken = 1});
  ASSERT_TRUE(resident.ok());
  EXPECT_EQ(resident->tokens[model::TierId::kSsd], 0u);
  EXPECT_EQ(resident->cut_tokens, resident->exact_tokens);
}

}  // namespace quire::tests::ssd_load_test
