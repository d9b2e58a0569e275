// Loads that take time: the usable head, the count of ready pages, and what goes with them on the
// wire.
#include "tests/client/client_fixture.h"
#include "tests/support/patience.h"

namespace quire::client::partial_load_test {
namespace {

using model::Completion;
using model::Errc;
using model::FillKind;

class PartialLoad : public ClientFixture {
 protected:
  void SetUp() override {
    start_all();
    for (uint32_t end = 32; end <= 96; end += 32) store(FillKind::kSpan, end);
    store(FillKind::kCheckpoint, 112);  // cuts a block: 3 pages
    lease_ = session_->match(120)->lease;
  }

  Completion poll_one() {
    session_->flush();
    EXPECT_TRUE(session_->wait(tests::kPatienceMs).ok());
    Completion completion{};
    EXPECT_EQ(*session_->poll_completions(std::span(&completion, 1)), 1u);
    return completion;
  }
  // The daemon has taken it when this returns: a later request is answered.
  RequestId submit_held(const LoadOptions& options = {.progress = true}) {
    daemon_->hold_loads(true);
    const auto id = session_->submit_load(lease_, options);
    EXPECT_TRUE(id.ok());
    EXPECT_TRUE(session_->noop().ok());
    return *id;
  }
  static void expect_blocks(std::span<const PageView> pages) {
    for (uint32_t i = 0; i < pages.size(); ++i) {
      expect_page(pages[i], FillKind::kSpan, 32 * (i / 2 + 1));
    }
  }

  uint64_t lease_ = 0;
};

TEST_F(PartialLoad, Law15_AHeadIsDeliveredAndSaysWhatCutIt) {
  for (const Errc code : {Errc::kDeadlineExceeded, Errc::kIoError, Errc::kCorrupt}) {
    daemon_->cut_next_load({.code = code, .blocks = 2, .checkpoint = false});
    const auto head = session_->load(lease_);
    ASSERT_TRUE(head.ok()) << head.error().text;
    EXPECT_EQ(head->limited_by, code);
    EXPECT_EQ(head->block_count, 2u);
    EXPECT_EQ(head->checkpoint_count, 0u);
    ASSERT_EQ(head->pages.size(), 4u);
    expect_blocks(head->pages);
  }
  const auto all = session_->load(lease_);
  EXPECT_EQ(all->limited_by, Errc::kOk);
  EXPECT_EQ(all->pages.size(), 9u);
}

TEST_F(PartialLoad, ACheckpointAloneIsAHeadToo) {
  daemon_->cut_next_load({.code = Errc::kDeadlineExceeded, .blocks = 0, .checkpoint = true});
  const auto head = session_->load(lease_, {.first_block = 3});
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->checkpoint_count, 3u);
  EXPECT_TRUE(head->pages[0].of_checkpoint);
}

TEST_F(PartialLoad, NothingDeliveredIsTheError) {
  for (const Errc code : {Errc::kDeadlineExceeded, Errc::kIoError, Errc::kCorrupt}) {
    daemon_->cut_next_load({.code = code, .blocks = 0, .checkpoint = false});
    EXPECT_EQ(session_->load(lease_).code(), code);
  }
  EXPECT_TRUE(session_->load(lease_).ok()) << "the lease is as it was";
}

TEST_F(PartialLoad, AnotherCodeDeliversNothingWhateverTheCounts) {
  daemon_->cut_next_load({.code = Errc::kInternal, .blocks = 2, .checkpoint = false});
  EXPECT_EQ(session_->load(lease_).code(), Errc::kInternal);
}

TEST_F(PartialLoad, ACutLoadIsTakenOnceBehindItsCompletion) {
  daemon_->cut_next_load({.code = Errc::kIoError, .blocks = 1, .checkpoint = false});
  const auto id = session_->submit_load(lease_);
  const Completion completion = poll_one();
  EXPECT_EQ(completion.code, static_cast<int32_t>(Errc::kIoError));
  const auto head = session_->take_pages(*id, completion);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->limited_by, Errc::kIoError);
  EXPECT_EQ(head->pages.size(), 2u);
  EXPECT_EQ(session_->take_pages(*id, completion).code(), Errc::kNotFound);
}

// The descriptor area holds 256 entries, a load here 9: forgetting one in 30 shows.
TEST_F(PartialLoad, CutAndFailedLoadsGiveTheirDescriptorsBack) {
  for (int i = 0; i < 100; ++i) {
    const uint32_t blocks = static_cast<uint32_t>(i % 3);
    daemon_->cut_next_load(
        {.code = Errc::kDeadlineExceeded, .blocks = blocks, .checkpoint = false});
    EXPECT_EQ(session_->load(lease_).ok(), blocks > 0);
  }
}

TEST_F(PartialLoad, PagesNobodyTookGoWithTheirLease) {
  for (int i = 0; i < 100; ++i) {
    const uint64_t lease = session_->match(120)->lease;
    daemon_->cut_next_load({.code = Errc::kCorrupt, .blocks = 2, .checkpoint = false});
    const auto polled = session_->submit_load(lease);
    ASSERT_TRUE(polled.ok()) << i << ": " << polled.error().text;
    const Completion completion = poll_one();
    ASSERT_TRUE(session_->submit_load(lease).ok());
    ASSERT_TRUE(session_->noop().ok());  // takes in the second load's completion, unpolled
    ASSERT_TRUE(session_->release(lease).ok());
    poll_one();
    if (i == 99) {
      EXPECT_EQ(session_->take_pages(*polled, completion).code(), Errc::kNotFound);
    }
  }
}

TEST_F(PartialLoad, CountsReadyPagesAndShowsThemBeforeTheCompletion) {
  const RequestId load = submit_held();
  EXPECT_EQ(*session_->loaded_so_far(load), 0u);
  EXPECT_TRUE(session_->pages_so_far(load)->empty());
  daemon_->advance_loads(3);
  EXPECT_EQ(*session_->loaded_so_far(load), 3u);
  const auto first = session_->pages_so_far(load);
  ASSERT_EQ(first->size(), 3u);
  expect_blocks(*first);
  daemon_->advance_loads(6);
  const auto second = session_->pages_so_far(load);
  ASSERT_EQ(second->size(), 6u);
  EXPECT_EQ(second->data(), first->data()) << "views handed out stay where they are";
  daemon_->hold_loads(false);
  const auto all = session_->take_pages(load, poll_one());
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->pages.data(), first->data());
  ASSERT_EQ(all->pages.size(), 9u);
  expect_blocks(all->pages.first(6));
  expect_page(all->pages[8], FillKind::kCheckpoint, 112);
  EXPECT_EQ(session_->loaded_so_far(load).code(), Errc::kNotFound);
}

TEST_F(PartialLoad, ACutBehindMoreReadyPagesDeliversWholeBlocks) {
  const RequestId load = submit_held();
  daemon_->advance_loads(5);
  EXPECT_EQ(session_->pages_so_far(load)->size(), 5u);
  daemon_->cut_next_load({.code = Errc::kDeadlineExceeded, .blocks = 2, .checkpoint = false});
  daemon_->hold_loads(false);
  const Completion completion = poll_one();
  EXPECT_EQ(*session_->loaded_so_far(load), 4u);
  const auto head = session_->take_pages(load, completion);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->pages.size(), 4u);
  expect_blocks(head->pages);
}

TEST_F(PartialLoad, SeesTheCompletionWithoutAPoll) {
  const RequestId load = submit_held();
  daemon_->hold_loads(false);
  while (*session_->loaded_so_far(load) < 9) {
  }
  EXPECT_EQ(session_->pages_so_far(load)->size(), 9u);
  EXPECT_TRUE(session_->take_pages(load, poll_one()).ok());
}

TEST_F(PartialLoad, ALoadThatDeliveredNothingHasNoPagesSoFar) {
  const RequestId load = submit_held();
  daemon_->cut_next_load({.code = Errc::kIoError, .blocks = 0, .checkpoint = false});
  daemon_->hold_loads(false);
  ASSERT_TRUE(session_->wait(tests::kPatienceMs).ok());
  EXPECT_EQ(session_->loaded_so_far(load).code(), Errc::kNotFound);
  EXPECT_EQ(session_->pages_so_far(load).code(), Errc::kNotFound);
  EXPECT_EQ(session_->loaded_so_far(12345).code(), Errc::kNotFound);
}

TEST_F(PartialLoad, ACountBeyondTheLoadIsCut) {
  const RequestId load = submit_held();
  daemon_->scribble_load_ready(1u << 30);
  EXPECT_EQ(*session_->loaded_so_far(load), 9u);
}

TEST_F(PartialLoad, WithoutProgressNothingIsCounted) {
  const RequestId load = submit_held({});
  EXPECT_EQ(daemon_->last_load().progress_slot, 0);
  daemon_->advance_loads(9);
  EXPECT_EQ(*session_->loaded_so_far(load), 0u);
}

TEST_F(PartialLoad, ASlotIsUsedAgainAndStartsAtNothing) {
  for (int i = 0; i < 40; ++i) {
    const RequestId load = submit_held();
    EXPECT_EQ(*session_->loaded_so_far(load), 0u) << i;
    daemon_->advance_loads(9);
    EXPECT_EQ(*session_->loaded_so_far(load), 9u);
    daemon_->hold_loads(false);
    ASSERT_TRUE(session_->take_pages(load, poll_one()).ok());
    EXPECT_EQ(daemon_->last_load().progress_slot, 1);
  }
}

TEST_F(PartialLoad, ASeventeenthLoadWithProgressIsBusy) {
  SessionOptions wide = session_options();
  wide.ring_entries = 32;
  session_ = client_->open_session(wide).value();
  ASSERT_TRUE(session_->append_tokens(std::vector<uint32_t>(1024)).ok());
  const uint64_t lease = session_->match(120)->lease;
  daemon_->hold_loads(true);
  const LoadOptions options{.block_count = 1, .include_checkpoint = false, .progress = true};
  std::vector<RequestId> loads;
  for (uint32_t i = 0; i < model::kLoadProgressSlots; ++i) {
    const auto id = session_->submit_load(lease, options);
    ASSERT_TRUE(id.ok()) << i;
    loads.push_back(*id);
  }
  EXPECT_EQ(session_->submit_load(lease, options).code(), Errc::kBusy);
  daemon_->hold_loads(false);
  for (const RequestId load : loads) EXPECT_TRUE(session_->take_pages(load, poll_one()).ok());
  EXPECT_EQ(daemon_->last_load().progress_slot, model::kLoadProgressSlots);
  EXPECT_TRUE(session_->load(lease, options).ok());
}

TEST_F(PartialLoad, DaemonDeathEndsTheCountAndLeavesThePages) {
  const RequestId load = submit_held();
  daemon_->advance_loads(4);
  const auto pages = session_->pages_so_far(load);
  ASSERT_EQ(pages->size(), 4u);
  daemon_.reset();
  auto count = session_->loaded_so_far(load);
  while (count.ok()) count = session_->loaded_so_far(load);
  EXPECT_EQ(count.code(), Errc::kUnavailable);
  expect_blocks(*pages);
}

TEST_F(PartialLoad, TheOrderGoesWithTheLoad) {
  ASSERT_TRUE(session_->load(lease_, {.order = model::LoadOrder::kLayerMajor}).ok());
  EXPECT_EQ(daemon_->last_load().order, static_cast<uint8_t>(model::LoadOrder::kLayerMajor));
}

TEST_F(PartialLoad, TheSessionsClassIsOnTheWire) {
  EXPECT_EQ(daemon_->last_open().load_class, static_cast<uint8_t>(model::LoadClass::kInteractive));
  SessionOptions options = session_options();
  options.load_class = model::LoadClass::kBatch;
  ASSERT_TRUE(client_->open_session(options).ok());
  EXPECT_EQ(daemon_->last_open().load_class, static_cast<uint8_t>(model::LoadClass::kBatch));
}

TEST_F(PartialLoad, TheCostCurveGoesOutAndTheCutComesBack) {
  const auto without = session_->match(120, 32);
  EXPECT_EQ(without->cut_tokens, without->exact_tokens);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken, 0u);
  const auto with = session_->match(120, 32, {.us_per_ktoken = 500, .us_per_ktoken_per_mtoken = 9});
  EXPECT_EQ(with->cut_tokens, 56u);
  EXPECT_EQ(daemon_->last_match().have_tokens, 32u);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken, 500u);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken_per_mtoken, 9u);
}

}  // namespace
}  // namespace quire::client::partial_load_test
