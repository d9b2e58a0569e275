// Loads told as runs: what the library makes of them, and of runs that cannot be.
#include <cstring>
#include <functional>

#include "client/quire_c.h"
#include "tests/client/client_fixture.h"
#include "tests/support/patience.h"

namespace quire::client::load_runs_test {
namespace {

using model::Completion;
using model::Errc;
using model::FillKind;
using model::PageRun;

class LoadRuns : public ClientFixture {
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
  Errc code_with(std::function<void(PageRun&)> change) {
    daemon_->change_next_runs(std::move(change));
    return session_->load_runs(lease_).code();
  }

  uint64_t lease_ = 0;
};

TEST_F(LoadRuns, AreThePagesOfTheOtherForm) {
  const auto pages = session_->load(lease_);
  const auto loaded = session_->load_runs(lease_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text;
  EXPECT_EQ(loaded->limited_by, Errc::kOk);
  EXPECT_EQ(loaded->block_count, 3u);
  EXPECT_EQ(loaded->checkpoint_count, 3u);
  EXPECT_EQ(loaded->page_count, 9u);
  ASSERT_EQ(loaded->runs.size(), pages->pages.size()) << "the fake daemon's have a page each";
  for (size_t i = 0; i < loaded->runs.size(); ++i) {
    const RunView& run = loaded->runs[i];
    const PageView& page = pages->pages[i];
    EXPECT_EQ(run.data, page.data);
    EXPECT_EQ(run.page_bytes, page.bytes);
    EXPECT_EQ(run.offset, page.offset);
    EXPECT_EQ(run.segment, page.segment);
    EXPECT_EQ(run.generation, page.generation);
    EXPECT_EQ(run.group, page.group);
    EXPECT_EQ(run.of_checkpoint, page.of_checkpoint);
    EXPECT_EQ(run.first_block, i < 6 ? i / 2 : i - 6);
  }
  EXPECT_TRUE(session_->release(lease_).ok());
}

TEST_F(LoadRuns, Law15_AreCutToTheUsableHead) {
  daemon_->cut_next_load({.code = Errc::kCorrupt, .blocks = 2, .checkpoint = false});
  // The last block's pages are told as if they followed in each run.
  daemon_->change_next_runs([](PageRun& run) { run.page_count = 3; });
  const auto head = session_->load_runs(lease_, {.first_block = 1});
  ASSERT_TRUE(head.ok()) << head.error().text;
  EXPECT_EQ(head->limited_by, Errc::kCorrupt);
  EXPECT_EQ(head->block_count, 2u);
  ASSERT_EQ(head->runs.size(), 4u);
  for (const RunView& run : head->runs) EXPECT_EQ(run.first_block + run.page_count, 3u);

  daemon_->cut_next_load({.code = Errc::kIoError, .blocks = 1, .checkpoint = false});
  daemon_->change_next_runs([](PageRun& run) { run.first_block += 5; });
  EXPECT_TRUE(session_->load_runs(lease_)->runs.empty()) << "all of them behind the head";

  daemon_->cut_next_load({.code = Errc::kIoError, .blocks = 2, .checkpoint = false});
  daemon_->change_next_runs([](PageRun& run) { run.flags = model::kRunOfCheckpoint; });
  EXPECT_TRUE(session_->load_runs(lease_)->runs.empty()) << "no checkpoint was delivered";
}

TEST_F(LoadRuns, ARunThatCannotBeIsCorruptNeverReadBeyondItsSegment) {
  EXPECT_EQ(code_with([](PageRun& run) { run.group = 64; }), Errc::kCorrupt);
  EXPECT_EQ(code_with([](PageRun& run) { run.page_count = 0; }), Errc::kCorrupt);
  EXPECT_EQ(code_with([](PageRun& run) { run.offset = 1ull << 40; }), Errc::kCorrupt);
  EXPECT_EQ(code_with([](PageRun& run) { run.offset = ~0ull - 4096; }), Errc::kCorrupt);
  const auto two_pages_with = [](uint32_t stride) {
    return [stride](PageRun& run) {
      run.first_block = 0;
      run.page_count = 2;
      run.stride = stride;
    };
  };
  EXPECT_EQ(code_with(two_pages_with(~0u)), Errc::kCorrupt);
  EXPECT_EQ(code_with(two_pages_with(16)), Errc::kCorrupt) << "pages that overlap";
  EXPECT_EQ(code_with({}), Errc::kOk) << "the lease is as it was";
}

TEST_F(LoadRuns, MoreRunsThanRoomSaysSo) {
  EXPECT_EQ(session_->load_runs(lease_, {.max_runs = 8}).code(), Errc::kResourceExhausted);
  EXPECT_EQ(daemon_->last_load().descriptor_capacity, 8u);
  EXPECT_TRUE(session_->load_runs(lease_, {.max_runs = 9}).ok());
  EXPECT_TRUE(session_->load_runs(lease_, {.max_runs = 1000}).ok());
  EXPECT_EQ(daemon_->last_load().descriptor_capacity, 9u) << "never more than pages";
}

TEST_F(LoadRuns, HaveNoProgress) {
  EXPECT_EQ(session_->load_runs(lease_, {.progress = true}).code(), Errc::kInvalidArgument);
  const auto id = session_->submit_load_runs(lease_);
  ASSERT_TRUE(id.ok());
  const Completion completion = poll_one();
  EXPECT_EQ(session_->loaded_so_far(*id).code(), Errc::kNotFound);
  EXPECT_TRUE(session_->take_runs(*id, completion).ok());
}

TEST_F(LoadRuns, AreTakenOnceAndAsWhatTheyWereAskedFor) {
  const auto runs = session_->submit_load_runs(lease_);
  const Completion of_runs = poll_one();
  EXPECT_EQ(session_->take_pages(*runs, of_runs).code(), Errc::kNotFound);
  EXPECT_TRUE(session_->take_runs(*runs, of_runs).ok());
  EXPECT_EQ(session_->take_runs(*runs, of_runs).code(), Errc::kNotFound);
  const auto pages = session_->submit_load(lease_);
  const Completion of_pages = poll_one();
  EXPECT_EQ(session_->take_runs(*pages, of_pages).code(), Errc::kNotFound);
  EXPECT_TRUE(session_->take_pages(*pages, of_pages).ok());
}

// The descriptor area holds 256 entries, a load here 9: forgetting one in 30 shows.
TEST_F(LoadRuns, GiveTheirRoomBackAlsoWhenNobodyTookThem) {
  for (int i = 0; i < 100; ++i) {
    const uint64_t lease = session_->match(120)->lease;
    const auto id = session_->submit_load_runs(lease);
    ASSERT_TRUE(id.ok()) << i << ": " << id.error().text;
    const Completion completion = poll_one();
    if (i % 3 == 0) {
      EXPECT_TRUE(session_->take_runs(*id, completion).ok());
    }
    EXPECT_TRUE(session_->release(lease).ok());
  }
}

}  // namespace
}  // namespace quire::client::load_runs_test
