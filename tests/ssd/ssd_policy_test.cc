// What goes to the SSD and when: write-through and write-back, admission, budget, a full device.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/ssd/ssd_rig.h"
#include "tests/ssd/stepped_ssd.h"

namespace quire::tests::ssd_policy_test {

namespace {

constexpr uint32_t kTokens = 400;  // 50 blocks of 8

// Pages of 64 KiB: 64 MiB of RAM hold some 1,000 of them.
model::Layout large_pages() {
  model::Layout layout = small_append_layout();
  layout.name = "large-pages";
  layout.groups[0].page_bytes = 64 << 10;
  layout.groups[0].layers.clear();
  return layout;
}

}  // namespace

TEST(SsdPolicy, WriteBackWritesNothingWhileRamIsWide) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_write = "back"; });
  const auto client = rig.daemon().connect();
  rig.commit(*client, 1, kTokens);
  rig.daemon().on_core([](server::Daemon& d) {
    for (int i = 0; i < 100; ++i) d.tiers()->step();
    EXPECT_EQ(inspect(d).counters().ssd_spans, 0u);
    EXPECT_TRUE(d.tiers()->idle());
  });
}

// The spans of a prefill come one after the other, and are written together.
TEST(SsdPolicy, SpansThatComeWithinTheDelayShareTheirOperations) {
  constexpr uint32_t kDelayMs = 500;
  SteppedSsd ssd([](server::Options& options) { options.ssd_write_delay_ms = kDelayMs; });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(rig.daemon());
  const model::Layout layout = small_append_layout();
  rig.commit(*client, 1, kTokens, layout);  // makes a region
  ASSERT_TRUE(ssd.settle());
  const auto writes = [&] {
    uint64_t count = 0;
    ssd.with_engine([&](FaultyEngine& engine) { count = engine.count(tiering::IoKind::kWrite); });
    return count;
  };
  const uint64_t before = writes();
  constexpr uint32_t kSpans = 48;
  const auto session = rig.session(*client, 2, kSpans * layout.block_tokens, layout);
  for (uint32_t span = 1; span <= kSpans; ++span) {
    ASSERT_TRUE(commit_object(*session, model::FillKind::kSpan, span * layout.block_tokens).ok());
    ssd.pass(std::chrono::milliseconds(kDelayMs) / (kSpans + 1));
  }
  EXPECT_EQ(writes(), before) << "the first of them has not waited long enough";
  ASSERT_TRUE(ssd.settle());
  // Headers and pages of as many runs as so many spans need, or of one more: a region may end.
  EXPECT_LE(writes() - before, 2 * (kSpans / tiering::kMaxRunObjects + 1));
}

// Half as much again as RAM holds, in turns that fit below the low watermark: demoted ahead of
// need, and every byte is still a hit.
TEST(SsdPolicy, WriteBackKeepsWhatRamHasNoRoomFor) {
  SsdRig rig({}, [](server::Options& options) {
    options.ssd_write = "back";
    options.ssd_bytes = 512ull << 20;
    options.ssd_region_bytes = 4ull << 20;
  });
  const auto client = rig.daemon().connect();
  const model::Layout layout = large_pages();
  constexpr uint64_t kContexts = 30;
  constexpr uint32_t kTurnTokens = 200;  // 50 pages
  for (uint64_t context = 1; context <= kContexts; ++context) {
    rig.commit(*client, context, kTurnTokens, layout);
    // Demotion keeps ahead of a writer who pauses between turns.
    ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) { return d.tiers()->idle(); }));
  }
  EXPECT_GT(rig.counters().left_ram, 400u);
  EXPECT_EQ(rig.counters().evicted_spans, 0u) << "nothing was lost for want of RAM";
  for (uint64_t context = 1; context <= kContexts; ++context) {
    EXPECT_EQ(rig.hit_tokens(*client, context, kTurnTokens, layout), static_cast<int>(kTurnTokens))
        << context;
  }
}

// The SSD is smaller than what is written: the least recently used contexts go, leaf first.
TEST(SsdPolicy, FullDeviceDropsTheLeastUseful) {
  SsdRig rig({}, [](server::Options& options) {
    options.ssd_bytes = 32ull << 20;
    options.ssd_region_bytes = 4ull << 20;
  });
  const auto client = rig.daemon().connect();
  const model::Layout layout = large_pages();
  constexpr uint64_t kContexts = 12;  // 6.25 MiB each, 75 MiB in all
  for (uint64_t context = 1; context <= kContexts; ++context) {
    rig.commit(*client, context, kTokens, layout);
    ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) { return d.tiers()->idle(); }))
        << rig.status().blocked_by;
  }
  EXPECT_GT(rig.counters().ssd_evicted, 0u);
  EXPECT_LE(rig.status().space.used_bytes, 32ull << 20);
  rig.empty_ram();
  EXPECT_EQ(rig.hit_tokens(*client, kContexts, kTokens, layout), static_cast<int>(kTokens));
  EXPECT_LT(rig.hit_tokens(*client, 1, kTokens, layout), static_cast<int>(kTokens));
}

TEST(SsdPolicy, InteractiveRuleLeavesBatchSessionsOut) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_admission = "interactive"; });
  const auto client = rig.daemon().connect();
  auto options = session_options(small_append_layout());
  options.load_class = model::LoadClass::kBatch;
  const auto batch = open_session(*client, options);
  ASSERT_TRUE(batch->append_tokens(context_tokens(kTokens, 1)).ok());
  ASSERT_TRUE(commit_context(*batch, kTokens).ok());
  rig.commit(*client, 2, kTokens, small_append_layout());
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && inspect(d).counters().ssd_spans == 100;
  }));
  EXPECT_EQ(rig.counters().spans, 200u);
  EXPECT_GT(rig.status().admission.refused_by_rule, 0u);
}

TEST(SsdPolicy, SecondUseRuleWaitsForTheSecondTurn) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_admission = "second-use"; });
  const auto client = rig.daemon().connect();
  const auto session = rig.session(*client, 1, kTokens, small_append_layout());
  ASSERT_TRUE(session->match(kTokens).ok());  // the first turn asks, and misses
  ASSERT_TRUE(commit_context(*session, kTokens / 2).ok());
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && ssd_status(d).admission.refused_by_rule > 0;
  }));
  EXPECT_EQ(rig.counters().ssd_spans, 0u);
  ASSERT_TRUE(session->match(kTokens).ok());  // the second turn
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  EXPECT_TRUE(rig.settle()) << "the first turn's spans go with the second's";
  EXPECT_EQ(rig.counters().ssd_spans, 100u);
}

// What a policy says to that is its own (GittinsTest): one that only orders takes everything.
TEST(SsdPolicy, PolicyRuleAsksOnceTheDeviceIsFullAndNotBefore) {
  const auto run = [](const std::string& rule, uint64_t contexts) {
    SsdRig rig({}, [&](server::Options& options) {
      options.ssd_bytes = 8ull << 20;
      options.ssd_admission = rule;
    });
    const auto client = rig.daemon().connect();
    constexpr uint32_t kContextTokens = 96;  // 24 pages, 1.5 MiB
    for (uint64_t context = 1; context <= contexts; ++context) {
      rig.commit(*client, context, kContextTokens, large_pages());
      EXPECT_TRUE(rig.daemon().eventually([](server::Daemon& d) { return d.tiers()->idle(); }));
    }
    return rig.status().admission;
  };
  EXPECT_EQ(run("policy", 4).policy_asked, 0u);
  const auto full = run("policy", 10);
  EXPECT_GT(full.policy_asked, 0u);
  EXPECT_EQ(full.refused_by_rule, 0u);
  EXPECT_EQ(run("all", 10).policy_asked, 0u);
}

TEST(SsdPolicy, WriteBudgetBoundsWhatIsWritten) {
  // One hour's worth of the day's budget is what a burst may spend.
  SsdRig rig(
      {}, [](server::Options& options) { options.ssd_write_bytes_per_day = 24ull * (256 << 10); });
  const auto client = rig.daemon().connect();
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && ssd_status(d).admission.refused_by_budget > 0;
  }));
  const SsdStatus status = rig.status();
  EXPECT_GT(status.admission.admitted, 0u);
  EXPECT_LT(status.mover.written_bytes, 512u << 10);
  EXPECT_EQ(rig.hit_tokens(*client, 1, kTokens), static_cast<int>(kTokens))
      << "RAM is not rationed";
}

TEST(SsdPolicy, SupersededCheckpointGivesItsSlotBack) {
  SsdRig rig;
  const auto client = rig.daemon().connect();
  auto options = session_options(small_hybrid_layout());
  options.conversation = 7;
  const auto session = open_session(*client, options);
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens + 1, 1)).ok());
  ASSERT_TRUE(commit_context(*session, kTokens / 2 + 1).ok());
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.counters().ssd_checkpoints, 1u);
  ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.counters().ssd_checkpoints, 1u);
  EXPECT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    const tiering::SsdSpaceUsage usage = ssd_status(d).space;
    return usage.freeing_slots == 0 && usage.used_slots == 51;
  })) << "its slot is free once its entry is durably gone";
}

// Older epochs of a namespace are dead on SSD too, also after a restart (law 1).
TEST(SsdPolicy, Law01_NamespaceEpochSurvivesARestart) {
  SsdRig rig;
  {
    const auto client = rig.daemon().connect();
    rig.commit(*client, 1, kTokens);
    ASSERT_TRUE(rig.settle());
    auto options = session_options(small_hybrid_layout());
    options.weights_epoch = 2;
    const auto later = open_session(*client, options);
    ASSERT_TRUE(later->append_tokens(context_tokens(kTokens + 1, 1)).ok());
    ASSERT_TRUE(commit_context(*later, 81).ok());
    ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
      return d.tiers()->idle() && inspect(d).counters().spans == 10;
    })) << "what belongs to the older epoch is reclaimed";
  }
  rig.daemon().restart();
  const auto client = rig.daemon().connect();
  EXPECT_EQ(rig.status().restored.spans, 10u);
  EXPECT_FALSE(client->open_session(session_options(small_hybrid_layout())).ok())
      << "the older epoch may not be opened again";
}

}  // namespace quire::tests::ssd_policy_test
