// The policy of our own, and the parts it is made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "cache/eviction/age_profile.h"
#include "cache/eviction/class_heaps.h"
#include "cache/eviction/watch_list.h"
#include "tests/cache/policy_rig.h"

namespace quire::cache::gittins_test {
namespace {

constexpr uint64_t kSecondUs = 1'000'000;

TEST(AgeProfile, BinsAreHalfOctavesFromThirtyTwoMilliseconds) {
  EXPECT_EQ(AgeProfile::bin(0), 0u);
  EXPECT_EQ(AgeProfile::bin(32'767), 0u);
  for (uint32_t bin = 1; bin + 1 < AgeProfile::kBins; ++bin) {
    EXPECT_EQ(AgeProfile::bin(static_cast<uint64_t>(AgeProfile::begin_us(bin) * 1.001)), bin);
    EXPECT_EQ(AgeProfile::bin(static_cast<uint64_t>(AgeProfile::begin_us(bin + 1) * 0.995)), bin);
  }
  EXPECT_EQ(AgeProfile::bin(UINT64_MAX), AgeProfile::kBins - 1);
}

TEST(AgeProfile, LeastRecentlyUsedIsTheOrderWhereNothingIsKnown) {
  for (const auto score : {AgeProfile::Score::kGittins, AgeProfile::Score::kDensity}) {
    const AgeProfile profile(2, score);
    for (uint32_t bin = 1; bin + 3 < AgeProfile::kBins; ++bin) {
      EXPECT_GT(profile.score(0, static_cast<uint64_t>(AgeProfile::begin_us(bin) * 1.1)),
                profile.score(0, static_cast<uint64_t>(AgeProfile::begin_us(bin + 1) * 1.1)));
    }
  }
}

// Uses come at 100 s and never before: what is nearly there is worth more than what is new, and
// what is past it nothing.
TEST(AgeProfile, IndexRisesTowardsTheAgeAtWhichUsesCome) {
  AgeProfile profile(2, AgeProfile::Score::kGittins);
  for (int i = 0; i < 2000; ++i) {
    profile.hit(0, 100 * kSecondUs);
    profile.end(0, 400 * kSecondUs);
    profile.end(1, 400 * kSecondUs);
  }
  profile.recompute();
  EXPECT_GT(profile.score(0, 60 * kSecondUs), profile.score(0, kSecondUs));
  EXPECT_GT(profile.score(0, kSecondUs), profile.score(0, 200 * kSecondUs));
  EXPECT_GT(profile.score(0, kSecondUs), 5 * profile.score(1, kSecondUs));
}

// Watching that was cut short early says nothing of later: half of those still there are used.
TEST(AgeProfile, WhatWasWatchedShortlyDoesNotLowerLaterChances) {
  AgeProfile whole(2, AgeProfile::Score::kGittins);
  AgeProfile cut(2, AgeProfile::Score::kGittins);
  for (int i = 0; i < 4000; ++i) {
    for (AgeProfile* profile : {&whole, &cut}) {
      profile->hit(0, 100 * kSecondUs);
      profile->end(0, 1000 * kSecondUs);
    }
    cut.end(0, kSecondUs);
  }
  whole.recompute();
  cut.recompute();
  const uint64_t age = 50 * kSecondUs;
  EXPECT_NEAR(cut.score(0, age) / whole.score(0, age), 1, 0.05);
}

TEST(AgeProfile, WatchingBinByBinSaysWhatItsEndSays) {
  AgeProfile at_end(1, AgeProfile::Score::kGittins);
  AgeProfile by_bin(1, AgeProfile::Score::kGittins);
  const uint32_t passed = AgeProfile::passed_bins(400 * kSecondUs);
  for (int i = 0; i < 500; ++i) {
    at_end.hit(0, 100 * kSecondUs);
    at_end.end(0, 400 * kSecondUs);
    by_bin.watched(0, 0, 3, 1);
    by_bin.hit(0, 100 * kSecondUs, 1, 3);
    by_bin.watched(0, 0, passed / 2, 1);
    by_bin.watched(0, passed / 2, passed, 1);
  }
  at_end.recompute();
  by_bin.recompute();
  for (uint64_t age = kSecondUs; age < 400 * kSecondUs; age *= 2) {
    EXPECT_FLOAT_EQ(at_end.score(0, age), by_bin.score(0, age));
  }
}

TEST(AgeProfile, ScoresDoNotJumpWhereBinsMeet) {
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  for (int i = 0; i < 2000; ++i) profile.hit(0, 10 * kSecondUs);
  profile.recompute();
  for (uint32_t bin = 2; bin + 1 < AgeProfile::kBins; ++bin) {
    const auto border = static_cast<uint64_t>(AgeProfile::begin_us(bin));
    const float before = profile.score(0, border - border / 2000);
    EXPECT_NEAR(profile.score(0, border + border / 2000) / before, 1, 0.02) << bin;
  }
}

// A request that uses a hundred blocks is one sign that its class is used, not a hundred.
TEST(AgeProfile, EventsOfOneRequestAreBelievedAsOne) {
  AgeProfile apart(2, AgeProfile::Score::kGittins);
  AgeProfile together(2, AgeProfile::Score::kGittins);
  for (uint32_t i = 0; i < 2000; ++i) {
    apart.together(i + 1, 1);
    together.together(i / 100 + 1, 1);
    for (AgeProfile* profile : {&apart, &together}) {
      profile->hit(0, 100 * kSecondUs);
      for (int other = 0; other < 10; ++other) profile->end(1, 1000 * kSecondUs);
    }
  }
  apart.recompute();
  together.recompute();
  EXPECT_LT(together.score(0, 90 * kSecondUs), apart.score(0, 90 * kSecondUs) * 2 / 3);
}

TEST(AgeProfile, OldEventsFade) {
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  profile.set_interval(100);
  for (int i = 0; i < 1000; ++i) profile.hit(0, 10 * kSecondUs);
  profile.recompute();
  const float before = profile.score(0, kSecondUs);
  for (int i = 0; i < 3000; ++i) profile.end(0, 1000 * kSecondUs);
  profile.recompute();
  EXPECT_LT(profile.score(0, kSecondUs), before / 10);
}

TEST(ClassHeaps, EachIsInOrderWhateverTheOthersDo) {
  constexpr uint32_t kEntries = 3000;
  constexpr uint32_t kHeaps = 5;
  EntryTable entries = EntryTable::create(kEntries).value();
  ClassHeaps heaps = ClassHeaps::create(&entries, kEntries, kHeaps).value();
  std::array<std::set<std::pair<uint64_t, uint32_t>>, kHeaps> expected;
  std::vector<std::pair<uint32_t, uint64_t>> where(kEntries);
  std::mt19937_64 random(5);
  for (int i = 0; i < 60'000; ++i) {
    // Waves, so that chunks are given back and taken by other heaps.
    const bool growing = (i / 10'000) % 2 == 0;
    const auto entry = static_cast<uint32_t>(random() % kEntries);
    const EntryId id{entry};
    if (entries.place(id) == 0 && (growing || random() % 4 == 0)) {
      const auto heap = static_cast<uint32_t>(random() % (i < 30'000 ? 2 : kHeaps));
      where[entry] = {heap, random() % 500};
      heaps.insert(heap, id, where[entry].second);
      expected[heap].insert({where[entry].second, entry});
    } else if (entries.place(id) != 0 && (!growing || random() % 4 == 0)) {
      heaps.erase(id);
      expected[where[entry].first].erase({where[entry].second, entry});
    }
    for (uint32_t heap = 0; heap < kHeaps; ++heap) {
      ASSERT_EQ(heaps.size(heap), expected[heap].size());
      if (expected[heap].empty()) continue;
      ASSERT_EQ(heaps.least(heap).value, expected[heap].begin()->second);
      ASSERT_EQ(heaps.least_key(heap), expected[heap].begin()->first);
    }
    if (i % 5000 == 0) heaps.check_invariants();
  }
  EXPECT_LT(heaps.held_bytes(), 4u << 20);
}

TEST(WatchList, WhatComesBackIsKnownOnceAndCounts) {
  AgeProfile profile(2, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  profile.recompute();
  const float before = profile.score(1, 15 * kSecondUs);
  for (uint32_t print = 1; print <= 500; ++print) {
    list.add({.last_use = 10 * kSecondUs, .print = print * 7919, .of_class = 1}, 20 * kSecondUs);
  }
  uint32_t known = 0;
  for (uint32_t print = 1; print <= 500; ++print) {
    const auto found = list.take(print * 7919, 30 * kSecondUs);
    if (!found) continue;  // more than a bucket of the index holds
    EXPECT_EQ(found->last_use, 10 * kSecondUs);
    EXPECT_FALSE(list.take(print * 7919, 30 * kSecondUs));
    ++known;
  }
  EXPECT_GT(known, 490u);
  profile.recompute();
  EXPECT_GT(profile.score(1, 15 * kSecondUs), 2 * before) << "they came back at 20 s";
}

TEST(WatchList, RingIsBoundedAndSamplesWhenItForgetsTooSoon) {
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  list.set_held(4096);
  for (uint32_t i = 0; i < 200'000; ++i) {
    list.add({.last_use = i * 1000ull, .print = i * 2654435761u}, i * 1000ull + 1);
  }
  EXPECT_LT(list.held_bytes(), 512u << 10);
  uint32_t known = 0;
  for (uint32_t i = 0; i < 200'000; ++i) {
    known += list.take(i * 2654435761u, 200'000'000).has_value() ? 1 : 0;
  }
  EXPECT_LE(known, 16'384u);
  EXPECT_GT(known, 300u);
  // All of it would be of the last second if it did not sample.
  EXPECT_TRUE(list.take(0, 0) == std::nullopt);
}

TEST(WatchList, GrowsInPlaceAndForgetsNothingForIt) {
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  const auto add = [&](uint32_t first, uint32_t count) {
    for (uint32_t print = first; print < first + count; ++print) {
      list.add({.last_use = 1, .print = print * 2654435761u}, 2);
    }
  };
  add(0, 3000);
  list.set_held(8 * 32'768);
  add(3000, 3000);
  uint32_t known_before = 0;
  uint32_t known_after = 0;
  for (uint32_t print = 0; print < 6000; ++print) {
    if (list.take(print * 2654435761u, 3)) ++(print < 3000 ? known_before : known_after);
  }
  EXPECT_GT(known_before, 2500u) << "less those whose places of the index went to new ones";
  EXPECT_GT(known_after, 2900u);
  EXPECT_LE(list.held_bytes(), 32'768u * 24) << "pages that were never touched are not held";
}

// What comes back soon is known whole, and what comes back late still is, in a sample.
TEST(WatchList, KnowsFewerOfWhatLeftLongerAgo) {
  constexpr uint32_t kAdded = 100'000;
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  list.set_held(1);
  const auto print = [](uint32_t i) { return i * 2654435761u; };
  for (uint32_t i = 0; i < kAdded; ++i) list.add({.last_use = i, .print = print(i)}, i + 1);
  uint32_t lately = 0;
  for (uint32_t i = kAdded - 8000; i < kAdded; ++i) {
    lately += list.take(print(i), kAdded) ? 1 : 0;
  }
  EXPECT_GT(lately, 7800u);
  uint32_t long_ago = 0;
  uint32_t stand_for = 0;
  for (uint32_t i = 0; i < 50'000; ++i) {
    const auto found = list.take(print(i), kAdded);
    if (!found) continue;
    ++long_ago;
    stand_for += 1u << found->sample;
  }
  EXPECT_GT(long_ago, 300u);
  // A full bucket of the index loses the oldest: up to one in three of what was used so long ago.
  EXPECT_GT(stand_for, 30'000u);
  EXPECT_LT(stand_for, 60'000u);
}

// Entries leave as soon as they come, which is no reason to watch them for moments.
TEST(WatchList, ReachesFarBackAndKnowsAllThatLeftLately) {
  AgeProfile profile(1, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  list.set_held(4000);
  const auto print_of = [](uint32_t i) { return (i + 1) * 2654435761u; };
  const auto count_known = [&](uint32_t begin, uint32_t end) {
    uint32_t known = 0;
    for (uint32_t i = begin; i < end; ++i) known += list.take(print_of(i), 200'000'000) ? 1 : 0;
    return known;
  };
  for (uint32_t i = 0; i < 100'000; ++i) {
    list.add({.last_use = i * 1000ull, .print = print_of(i)}, i * 1000ull + 1);
  }
  EXPECT_GT(count_known(92'000, 100'000), 7900u);
  EXPECT_GT(count_known(0, 40'000), 300u);
}

// Its ring is far from full: what is told only when a ring comes round is told too late.
TEST(WatchList, WhatStaysAwayCountsBeforeItIsForgotten) {
  AgeProfile profile(2, AgeProfile::Score::kGittins);
  WatchList list = WatchList::create().value();
  list.tell(&profile);
  uint32_t print = 0;
  const auto add = [&](uint16_t of_class, uint64_t now) {
    list.add({.last_use = now - 1, .print = ++print * 2654435761u, .of_class = of_class}, now);
  };
  for (int i = 0; i < 2000; ++i) add(1, kSecondUs);
  profile.recompute();
  const float before = profile.score(1, 50 * kSecondUs);
  for (int i = 0; i < 6000; ++i) add(0, 200 * kSecondUs);
  profile.recompute();
  EXPECT_LT(profile.score(1, 50 * kSecondUs), before / 2);
}

// Sessions that go on every 20 s, and prompts that nobody asks for again.
struct Workload {
  static constexpr uint32_t kSessions = 40;
  static constexpr uint32_t kRoom = 60;
  uint32_t lost = 0;
  uint32_t refused = 0;
};

Workload run_sessions(std::string_view policy) {
  PolicyRig rig(policy, 4000);
  Workload result;
  std::set<uint32_t> present;
  uint32_t fresh = 0;
  int64_t now = 0;
  const auto make_room = [&](uint32_t entry) {
    if (present.size() < Workload::kRoom) return true;
    if (!rig.policy().admits({.fingerprint = rig.facts().fingerprint(EntryId{entry})}))
      return false;
    present.erase(*rig.evict());
    return true;
  };
  const auto touch = [&](uint32_t entry) {
    if (present.contains(entry)) {
      rig.use(entry);
      return true;
    }
    if (make_room(entry)) {
      rig.insert_and_offer(entry);
      present.insert(entry);
    } else {
      ++result.refused;
    }
    return false;
  };
  for (int round = 0; round < 400; ++round) {
    for (uint32_t session = 0; session < Workload::kSessions; ++session) {
      rig.advance_to(now += kSecondUs / 2);
      if (!touch(session) && round >= 200) ++result.lost;
      for (int i = 0; i < 3; ++i) touch(100 + fresh++ % 3000);
    }
  }
  rig.policy().check_invariants();
  return result;
}

TEST(Gittins, LearnsWhatGoesOnAndRefusesWhatDoesNot) {
  const Workload own = run_sessions("gittins");
  const Workload lru = run_sessions("lru");
  EXPECT_EQ(lru.lost, 200u * Workload::kSessions) << "a scan passes through LRU between two turns";
  EXPECT_LT(own.lost, lru.lost / 20);
  EXPECT_GT(own.refused, 10'000u);
}

TEST(Gittins, AdmitsEverythingWhereNothingMayGo) {
  PolicyRig rig("gittins");
  rig.insert(1);
  EXPECT_TRUE(rig.policy().admits({.fingerprint = 5}));
}

TEST(Gittins, OldestGoesFirstUntilItHasLearned) {
  PolicyRig rig("gittins");
  int64_t now = 0;
  for (const uint32_t entry : {4, 2, 3}) {
    rig.advance_to(now += 100 * kSecondUs);
    rig.insert_and_offer(entry);
  }
  EXPECT_EQ(rig.drain(), (std::vector<uint32_t>{4, 2, 3}));
}

// Turns come behind a conversation each second. Under a prompt that is used as often, new ones are
// asked once: they are not that prompt's next turn.
TEST(Gittins, WhatBeginsBehindASharedPromptIsNotItsNextTurn) {
  constexpr uint32_t kShared = 1;
  constexpr uint32_t kTalk = 2;
  PolicyRig rig("gittins", 4000);
  rig.facts().child_counts[kShared] = 9;
  rig.facts().child_counts[kTalk] = 1;
  int64_t now = 0;
  uint32_t next = 10;
  const auto add = [&](uint32_t parent) {
    rig.facts().parents[next] = parent;
    rig.insert_and_offer(next);
    return next++;
  };
  rig.insert(kShared);
  rig.insert(kTalk);
  for (int i = 0; i < 1500; ++i) {
    rig.advance_to(now += kSecondUs);
    rig.use(kShared);
    rig.use(kTalk);
    const uint32_t turn = add(kTalk);
    const uint32_t once = add(kShared);
    rig.advance_to(now += kSecondUs);
    rig.use(turn);
    rig.advance_to(now += 100 * kSecondUs);
    rig.remove(once, true);
    rig.remove(turn, true);
    rig.advance_to(now += kSecondUs);
    rig.use(kShared);
    rig.use(kTalk);
  }
  const uint32_t turn = add(kTalk);
  rig.advance_to(now += kSecondUs / 2);
  const uint32_t once = add(kShared);
  EXPECT_EQ(rig.evict(), once) << "though " << turn << " is older";
}

}  // namespace
}  // namespace quire::cache::gittins_test
