#include "model/checkpoint_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/model/model_fixtures.h"

namespace quire::model::checkpoint_policy_test {
namespace {

using enum CheckpointReason;
using Wanted = std::vector<WantedCheckpoint>;

Layout with_rules(CheckpointRule window, CheckpointRule state, uint32_t every_tokens = 0) {
  Layout layout = hybrid_layout(128, 256);
  layout.groups[1].checkpoints = window;
  layout.groups[2].checkpoints = state;
  for (Group& group : layout.groups) {
    if (group.checkpoints == CheckpointRule::kEvery) group.checkpoint_every_tokens = every_tokens;
  }
  return layout;
}

// Under the policy that nobody has changed.
Wanted wanted_at(const Layout& layout, uint32_t from, uint32_t end, uint32_t branch,
                 uint32_t tail = kTailTokens) {
  return wanted_checkpoints(layout, {from, end, branch, tail});
}

CheckpointPolicy policy(std::string_view text) { return parse_checkpoint_policy(text).value(); }

TEST(WantedCheckpoints, NothingIsWantedWithoutCheckpointGroups) {
  EXPECT_TRUE(wanted_at(append_layout(128, 256), 0, 10'000, 512).empty());
  EXPECT_TRUE(
      wanted_at(with_rules(CheckpointRule::kNone, CheckpointRule::kNone), 0, 10'000, 512).empty());
}

TEST(WantedCheckpoints, TurnEndLiesAtTheLastResumePoint) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_at(layout, 0, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 0, 1024, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 0, 1025, 0, 0), (Wanted{{1024, kTurnEnd}}));
}

TEST(WantedCheckpoints, AColdPromptWantsOneMoreBeforeItsTail) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_at(layout, 0, 1000, 0), (Wanted{{640, kBeforeTail}, {896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 0, 1000, 0, 512), (Wanted{{384, kBeforeTail}, {896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 0, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 0, 300, 0), (Wanted{{256, kTurnEnd}})) << "a tail alone";
  EXPECT_EQ(wanted_at(layout, 0, 1000, 0, 1), (Wanted{{896, kTurnEnd}})) << "one position";
  EXPECT_EQ(wanted_at(layout, 0, 1000, 640), (Wanted{{640, kBranch}, {896, kTurnEnd}}));
}

// The checkpoint that a turn resumed from is the one before its tail, when it lies near.
TEST(WantedCheckpoints, AWarmTurnWantsOneBeforeItsTailOnlyFarFromWhereItResumed) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(wanted_at(layout, 1024, 1024 + 8000, 0), (Wanted{{8960, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 1024, 1024 + 20'000, 0),
            (Wanted{{20'736, kBeforeTail}, {20'992, kTurnEnd}}));
}

TEST(WantedCheckpoints, ATurnEndNearerThanATailToWhereTheTurnResumedIsNotWanted) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_TRUE(wanted_at(layout, 768, 1000, 0).empty()) << "128 tokens further";
  EXPECT_EQ(wanted_at(layout, 640, 1000, 0), (Wanted{{896, kTurnEnd}}));
  EXPECT_EQ(wanted_at(layout, 768, 1000, 0, 0), (Wanted{{896, kTurnEnd}}));
}

TEST(WantedCheckpoints, PositionsUpToFromAreNotWantedAgain) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_TRUE(wanted_at(layout, 896, 1000, 0).empty());
  EXPECT_TRUE(wanted_at(layout, 896, 1000, 512).empty());
  EXPECT_TRUE(wanted_at(layout, 1000, 900, 0).empty());
}

TEST(WantedCheckpoints, AllWantsEveryUnit) {
  const Layout layout = with_rules(CheckpointRule::kAll, CheckpointRule::kTurnEnds);
  EXPECT_EQ(wanted_at(layout, 100, 520, 0, 0),
            (Wanted{{128, kInterval}, {256, kInterval}, {384, kInterval}, {512, kInterval}}));
}

TEST(WantedCheckpoints, EveryWantsMultiplesAndTurnEnds) {
  const Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kNone, 512);
  EXPECT_EQ(wanted_at(layout, 512, 1700, 0, 0),
            (Wanted{{1024, kInterval}, {1536, kInterval}, {1664, kTurnEnd}}));
}

TEST(WantedCheckpoints, BranchOutranksIntervalOutranksTurnEnd) {
  const Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kTurnEnds, 512);
  EXPECT_EQ(wanted_at(layout, 0, 1025, 512, 0), (Wanted{{512, kBranch}, {1024, kInterval}}));
  EXPECT_EQ(wanted_at(hybrid_layout(128, 256), 0, 1000, 896, 0), (Wanted{{896, kBranch}}));
}

TEST(WantedCheckpoints, IntervalsOfSeveralGroupsAreJoined) {
  Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kEvery, 384);
  layout.groups[2].checkpoint_every_tokens = 512;
  EXPECT_EQ(wanted_at(layout, 0, 1100, 0, 0),
            (Wanted{{384, kInterval}, {512, kInterval}, {768, kInterval}, {1024, kInterval}}));
}

TEST(WantedCheckpoints, EndOfThe32BitRangeDoesNotWrap) {
  const Layout layout = with_rules(CheckpointRule::kAll, CheckpointRule::kAll);
  const auto wanted = wanted_at(layout, 0xffffff00u, 0xffffffffu, 0, 0);
  EXPECT_EQ(wanted, (Wanted{{0xffffff80u, kInterval}}));
}

TEST(WantedCheckpoints, WantedAreAscendingUnitsInsideTheRangeAndHoldTheTurnEnd) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const auto from = *rc::gen::inRange<uint32_t>(0, 5000);
    const auto end = *rc::gen::inRange<uint32_t>(0, 10'000);
    const auto branch = unit_floor(layout, *rc::gen::inRange<uint32_t>(0, 10'000));
    const auto tail = *rc::gen::element<uint32_t>(0, 1, kTailTokens, 2000);
    const Wanted wanted = wanted_at(layout, from, end, branch, tail);
    uint32_t before = from;
    bool has_turn_end = false;
    for (const WantedCheckpoint& checkpoint : wanted) {
      RC_ASSERT(checkpoint.tokens > before);
      RC_ASSERT(checkpoint.tokens <= end);
      RC_ASSERT(checkpoint.tokens % layout.unit_tokens == 0u);
      has_turn_end |= checkpoint.tokens == last_resume_point(layout, end);
      before = checkpoint.tokens;
    }
    const uint32_t turn_end = last_resume_point(layout, end);
    const bool worth_it = turn_end > from && (from == 0 || turn_end - from >= tail);
    RC_ASSERT(has_turn_end || !needs_checkpoint(layout) || !worth_it);
    RC_ASSERT(needs_checkpoint(layout) || wanted.empty());
  }));
}

TEST(CheckpointPolicy, TextComesBack) {
  for (const std::string text :
       {"none", "branch", "turn_ends", "every:1", "every:1024", "every:268435455", "all"}) {
    const auto parsed = parse_checkpoint_policy(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(checkpoint_policy_text(*parsed), text);
    EXPECT_EQ(from_shared_word(to_shared_word(*parsed)), *parsed) << text;
  }
  EXPECT_EQ(policy("turn_ends"), CheckpointPolicy{}) << "what there is without a word";
}

TEST(CheckpointPolicy, SlipIsRefusedWithTheWordsThatThereAre) {
  for (const std::string text : {"", "every", "every:", "every:0", "every:-1", "every:1k",
                                 "every:268435456", "every:99999999999", "All", "turn_ends "}) {
    const auto parsed = parse_checkpoint_policy(text);
    ASSERT_EQ(parsed.code(), Errc::kInvalidArgument) << text;
    EXPECT_NE(parsed.error().text.find("none, branch, turn_ends, every:N"), std::string::npos);
  }
}

// The word lies in memory that another process writes: whatever stands there means something.
TEST(CheckpointPolicy, SharedWordThatIsNoPolicyIsTheDefault) {
  for (const uint32_t word : {0u, 5u, 0x10000001u, 0x40000000u, 0x60000000u, 0xffffffffu}) {
    EXPECT_EQ(from_shared_word(word), CheckpointPolicy{}) << word;
  }
  EXPECT_EQ(from_shared_word(0x40000400u), policy("every:1024"));
}

TEST(CheckpointPolicy, IntervalsAreWholeUnits) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(interval_tokens(layout, policy("every:1000")), 1024u);
  EXPECT_EQ(interval_tokens(layout, policy("every:1024")), 1024u);
  EXPECT_EQ(interval_tokens(layout, policy("every:1")), 128u);
  EXPECT_EQ(interval_tokens(layout, policy("all")), 128u);
  EXPECT_EQ(interval_tokens(layout, policy("turn_ends")), 0u);
  EXPECT_EQ(interval_tokens(append_layout(128, 256), policy("all")), 0u);
  EXPECT_GE(interval_tokens(layout, {CheckpointWord::kEvery, kMaxEveryTokens}), kMaxEveryTokens);
}

TEST(CheckpointPolicy, LastIntervalIsThePolicysOrTheLayouts) {
  const Layout plain = hybrid_layout(128, 256);
  EXPECT_EQ(last_interval(plain, 5000, policy("every:1000")), 4096u);
  EXPECT_EQ(last_interval(plain, 1024, policy("every:1024")), 1024u);
  EXPECT_EQ(last_interval(plain, 1023, policy("every:1024")), 0u);
  EXPECT_EQ(last_interval(plain, 5000, policy("turn_ends")), 0u);
  const Layout own = with_rules(CheckpointRule::kEvery, CheckpointRule::kTurnEnds, 384);
  EXPECT_EQ(last_interval(own, 5000, policy("turn_ends")), 4992u);
  EXPECT_EQ(last_interval(own, 5000, policy("branch")), 0u);
  EXPECT_EQ(last_interval(append_layout(128, 256), 5000, policy("all")), 0u);
}

TEST(OfferTokens, AreTheLeastDistanceThatAnybodyNamesInWholeUnits) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(offer_tokens(layout, policy("turn_ends"), 0), 0u) << "nobody names one";
  EXPECT_EQ(offer_tokens(layout, policy("turn_ends"), 1000), 1024u);
  EXPECT_EQ(offer_tokens(layout, policy("every:500"), 0), 512u);
  EXPECT_EQ(offer_tokens(layout, policy("every:500"), 256), 256u);
  EXPECT_EQ(offer_tokens(layout, policy("every:500"), 4096), 512u);
  EXPECT_EQ(offer_tokens(layout, policy("all"), 4096), 128u);
  const Layout declared = with_rules(CheckpointRule::kEvery, CheckpointRule::kTurnEnds, 2048);
  EXPECT_EQ(offer_tokens(declared, policy("turn_ends"), 0), 2048u);
}

TEST(OfferTokens, AreNoneWhereTheWordAsksForLessThanTurnEnds) {
  const Layout layout = hybrid_layout(128, 256);
  EXPECT_EQ(offer_tokens(layout, policy("none"), 1024), 0u);
  EXPECT_EQ(offer_tokens(layout, policy("branch"), 1024), 0u);
  EXPECT_EQ(offer_tokens(append_layout(128, 256), policy("all"), 1024), 0u);
}

TEST(WantedCheckpoints, EachWordAddsToTheOneBefore) {
  const Layout layout = hybrid_layout(128, 256);
  const ComputedRange range{.from_tokens = 0, .end_tokens = 2000, .branch_tokens = 768};
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("none")), Wanted{});
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("branch")), (Wanted{{768, kBranch}}));
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("turn_ends")),
            (Wanted{{768, kBranch}, {1664, kBeforeTail}, {1920, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("every:1000")),
            (Wanted{{768, kBranch}, {1024, kInterval}, {1664, kBeforeTail}, {1920, kTurnEnd}}));
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("all")).size(), 15u);
}

TEST(WantedCheckpoints, LayoutsOwnIntervalsGoWithTurnEnds) {
  const Layout layout = with_rules(CheckpointRule::kEvery, CheckpointRule::kTurnEnds, 512);
  const ComputedRange range{.end_tokens = 1200, .tail_tokens = 0};
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("branch")), Wanted{});
  EXPECT_EQ(wanted_checkpoints(layout, range, policy("every:384")), (Wanted{{384, kInterval},
                                                                            {512, kInterval},
                                                                            {768, kInterval},
                                                                            {1024, kInterval},
                                                                            {1152, kInterval}}));
}

TEST(WantedCheckpoints, NoWordAsksALayoutWithoutCheckpoints) {
  const ComputedRange range{.end_tokens = 5000, .branch_tokens = 512};
  for (const auto text : {"none", "branch", "turn_ends", "every:1024", "all"}) {
    EXPECT_TRUE(wanted_checkpoints(append_layout(128, 256), range, policy(text)).empty()) << text;
  }
}

TEST(WantedCheckpoints, WordsAreNestedWhateverTheLayoutAndRange) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const ComputedRange range{.from_tokens = *rc::gen::inRange<uint32_t>(0, 5000),
                              .end_tokens = *rc::gen::inRange<uint32_t>(0, 10'000),
                              .branch_tokens = *rc::gen::inRange<uint32_t>(0, 10'000),
                              .tail_tokens = *rc::gen::element<uint32_t>(0, kTailTokens, 2000)};
    const auto every = *rc::gen::inRange<uint32_t>(1, 3000);
    Wanted before;
    for (const CheckpointPolicy& one :
         {policy("none"), policy("branch"), policy("turn_ends"),
          CheckpointPolicy{CheckpointWord::kEvery, every}, policy("all")}) {
      const Wanted wanted = wanted_checkpoints(layout, range, one);
      const auto asked_at = [&](uint32_t tokens) {
        return std::any_of(wanted.begin(), wanted.end(),
                           [&](const auto& checkpoint) { return checkpoint.tokens == tokens; });
      };
      for (const WantedCheckpoint& checkpoint : before) RC_ASSERT(asked_at(checkpoint.tokens));
      for (const WantedCheckpoint& checkpoint : wanted) {
        RC_ASSERT(checkpoint.tokens > range.from_tokens && checkpoint.tokens <= range.end_tokens);
        RC_ASSERT(checkpoint.tokens % layout.unit_tokens == 0u);
      }
      before = wanted;
    }
  }));
}

}  // namespace
}  // namespace quire::model::checkpoint_policy_test
