// Verbs that hold nothing in the daemon, and what an engine is told of memory, against a fake one.
#include <array>
#include <string_view>

#include "model/chain_hash.h"
#include "tests/client/client_fixture.h"

namespace quire::client::session_queries_test {
namespace {

using model::Errc;
using model::FillKind;
using model::ResumedHow;
using model::TierId;

class SessionQueries : public ClientFixture {
 protected:
  void SetUp() override { start_all(); }
  // Spans to 64, checkpoints at 16, 48 and 64.
  void store_context() {
    for (const uint32_t end : {32u, 64u}) store(FillKind::kSpan, end);
    for (const uint32_t end : {16u, 48u, 64u}) store(FillKind::kCheckpoint, end);
  }
};

TEST_F(SessionQueries, PositionsComeWithWhatEachWouldDeliver) {
  store_context();
  const auto found = session_->positions(100, {.have_tokens = 33});
  ASSERT_TRUE(found.ok()) << found.error().text;
  ASSERT_EQ(found->positions.size(), 3u);
  EXPECT_TRUE(found->complete);
  EXPECT_EQ(found->span_tokens, 64u);
  const uint32_t expected[] = {64, 48, 16};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found->positions[i].tokens, expected[i]);
    EXPECT_EQ(found->positions[i].tier_tokens[TierId::kRam], expected[i]);
    EXPECT_EQ(found->positions[i].load_estimate_us, 33u) << "have_tokens went out";
  }
  EXPECT_FALSE(session_->positions(100, {.max_positions = 2})->complete);
}

// Entries share the descriptor area with page descriptors, 256 entries here.
TEST_F(SessionQueries, PositionsAndLoadsHaveThePartsOfOneAreaToThemselves) {
  store_context();
  const auto hit = session_->match(100);
  ASSERT_TRUE(hit.ok());
  const auto load = session_->submit_load(hit->lease);
  const auto query = session_->submit_positions(100, {.max_positions = 200});
  ASSERT_TRUE(load.ok() && query.ok());
  EXPECT_EQ(session_->submit_positions(100, {.max_positions = 200}).code(), Errc::kBusy);
  EXPECT_EQ(session_->submit_positions(100, {.max_positions = 257}).code(), Errc::kInvalidArgument);
  session_->flush();
  std::array<model::Completion, 2> completions;
  size_t count = 0;
  while (count < 2) {
    ASSERT_TRUE(session_->wait(30'000).ok());
    count += *session_->poll_completions(std::span(completions).subspan(count));
  }
  EXPECT_EQ(session_->take_positions(*query, completions[1])->positions.size(), 3u);
  const auto pages = session_->take_pages(*load, completions[0]);
  ASSERT_TRUE(pages.ok());
  for (const PageView& page : pages->pages) EXPECT_TRUE(verify_page(page));
  EXPECT_EQ(session_->take_positions(*load, completions[0]).code(), Errc::kNotFound);
  EXPECT_TRUE(session_->positions(100, {.max_positions = 200}).ok()) << "the room is back";
}

TEST_F(SessionQueries, WhatTheEngineSaysGoesOutAsItIs) {
  ASSERT_TRUE(session_
                  ->resumed({.how = ResumedHow::kSpan,
                             .resumed_tokens = 64,
                             .replayed_tokens = 16,
                             .output_tokens = 5,
                             .request_id = 9})
                  .ok());
  const model::ResumedArgs sent = daemon_->last_resumed();
  EXPECT_EQ(sent.request_id, 9u);
  EXPECT_EQ(sent.resumed_tokens, 64u);
  EXPECT_EQ(sent.replayed_tokens, 16u);
  EXPECT_EQ(sent.output_tokens, 5u);
  EXPECT_EQ(sent.how, static_cast<uint8_t>(ResumedHow::kSpan));
}

TEST_F(SessionQueries, LocateNeedsHashesAndNoLease) {
  store_context();
  EXPECT_EQ(session_->locate(64)->span_tokens, 64u);
  EXPECT_EQ(session_->locate(33)->span_tokens, 32u);
  EXPECT_EQ(session_->locate(2048).code(), Errc::kInvalidArgument);
  EXPECT_EQ(daemon_->lease_count(), 0u);
}

TEST_F(SessionQueries, UnlessBegunGoesOut) {
  const auto fill = session_->begin_fill(FillKind::kSpan, 32, {.unless_begun = true});
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(daemon_->last_fill().unless_begun, 1);
  ASSERT_TRUE(session_->abort(*fill).ok());
  ASSERT_TRUE(session_->begin_fill(FillKind::kSpan, 32).ok());
  EXPECT_EQ(daemon_->last_fill().unless_begun, 0);
}

TEST_F(SessionQueries, KeysAreFoldedIntoTheSessionsChain) {
  const auto keyed = client_->open_session(session_options()).value();
  const std::vector<uint32_t> tokens(64, 7);
  const std::string_view image = "an image";
  const model::UnitKey key = model::unit_key(20, 10, std::as_bytes(std::span(image)));
  ASSERT_TRUE(keyed->append_tokens(tokens, {&key, 1}).ok());
  std::vector<model::Hash256> expected;
  model::extend_chain_with_keys(keyed->root(), {0, tokens, {&key, 1}}, 16, expected);
  EXPECT_EQ(keyed->chain(), expected);
  std::vector<model::Hash256> plain;
  model::extend_chain(keyed->root(), tokens, 16, plain);
  EXPECT_EQ(keyed->chain()[0], plain[0]) << "the key begins in the second unit";
  EXPECT_NE(keyed->chain()[1], plain[1]);
}

TEST_F(SessionQueries, StagingIsWhereFillsAreWritten) {
  const auto fill = session_->begin_fill(FillKind::kSpan, 32);
  ASSERT_TRUE(fill.ok());
  const std::span<std::byte> staging = session_->staging();
  EXPECT_EQ(staging.size(), 64u << 10);
  EXPECT_EQ(staging.data() + fill->staging_offset, fill->staging);
  ASSERT_TRUE(session_->close().ok());
  EXPECT_TRUE(session_->staging().empty());
}

std::vector<uint32_t> asked_at(const Session& session) {
  std::vector<uint32_t> positions;
  for (const auto& one : session.wanted_checkpoints(0, 100, 0)) positions.push_back(one.tokens);
  return positions;
}

TEST_F(SessionQueries, WantedCheckpointsAreThoseOfTheDaemonsPresentWord) {
  start_all();
  EXPECT_EQ(session_->checkpoint_policy(), model::CheckpointPolicy{}) << "a daemon that says none";
  EXPECT_EQ(asked_at(*session_), (std::vector<uint32_t>{96}));
  const model::CheckpointPolicy every{model::CheckpointWord::kEvery, 40};
  daemon_->ask_for_checkpoints(model::to_shared_word(every));
  EXPECT_EQ(session_->checkpoint_policy(), every);
  EXPECT_EQ(asked_at(*session_), (std::vector<uint32_t>{48, 96}));
  daemon_->ask_for_checkpoints(model::to_shared_word({model::CheckpointWord::kNone}));
  EXPECT_EQ(asked_at(*session_), std::vector<uint32_t>{});
  daemon_->ask_for_checkpoints(0xffffffff);
  EXPECT_EQ(asked_at(*session_), (std::vector<uint32_t>{96})) << "no word that there is";
  ASSERT_TRUE(session_->close().ok());
  EXPECT_EQ(session_->checkpoint_policy(), model::CheckpointPolicy{});
}

// Where memory is, by what the observer was told.
class Device final : public SegmentObserver {
 public:
  void mapped(const SegmentMemory& memory) override { memory_.push_back(memory); }
  void unmapping(const SegmentMemory& memory) override {
    std::erase_if(memory_, [&](const SegmentMemory& one) { return one.data == memory.data; });
  }
  const std::byte* address_of(const PageView& page) const {
    for (const SegmentMemory& one : memory_) {
      if (one.segment == page.segment) return one.data + page.offset;
    }
    return nullptr;
  }
  std::vector<SegmentMemory> memory_;
};

TEST_F(SessionQueries, PagesAreFoundByTheirSegmentAndOffset) {
  Device device;
  start({.epoch = 3});
  connect({.observer = &device});
  open();
  store_context();
  const auto hit = session_->match(100);
  const auto pages = session_->load(hit->lease);
  ASSERT_TRUE(pages.ok());
  EXPECT_GE(pages->pages.size(), 5u);
  for (const PageView& page : pages->pages) EXPECT_EQ(device.address_of(page), page.data);
  EXPECT_EQ(device.memory_[0].daemon_epoch, 3u);
  ASSERT_TRUE(session_->release(hit->lease).ok());
  session_.reset();
  EXPECT_FALSE(device.memory_.empty());
  client_.reset();
  EXPECT_TRUE(device.memory_.empty()) << "told before the last mapping went";
}

}  // namespace
}  // namespace quire::client::session_queries_test
