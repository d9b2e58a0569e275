// The C ABI against a fake daemon. That C compiles it is c_client.c's to show.
#include "client/quire_c.h"

#include <cstring>

#include "model/checkpoint_policy.h"
#include "model/layout_toml.h"
#include "tests/client/client_fixture.h"

namespace quire::client::quire_c_test {
namespace {

class QuireC : public ClientFixture {
 protected:
  void SetUp() override {
    start();
    const std::string toml = model::layout_to_toml(test_layout());
    ASSERT_EQ(quire_layout_parse(toml.data(), toml.size(), &layout_, text_), QUIRE_OK) << buffer_;
    quire_client_options options;
    quire_client_options_init(&options);
    options.socket_path = path_.c_str();
    ASSERT_EQ(quire_connect(&options, &handle_, text_), QUIRE_OK) << buffer_;
  }
  void TearDown() override {
    quire_close_session(session_handle_);
    quire_disconnect(handle_);
    quire_layout_free(layout_);
  }
  void open_handle() {
    quire_session_options options;
    quire_session_options_init(&options);
    options.layout = layout_;
    options.max_tokens = 4096;
    options.staging_bytes = 64 << 10;
    options.load_class = load_class_;
    ASSERT_EQ(quire_open_session(handle_, &options, &session_handle_), QUIRE_OK);
    const std::vector<uint32_t> tokens(256, 7);
    ASSERT_EQ(quire_append_tokens(session_handle_, tokens.data(), tokens.size()), QUIRE_OK);
  }

  // As open_handle(), by a daemon that lets it wait first.
  quire_ticket* request_handle(uint32_t queued_answers) {
    quire_disconnect(handle_);
    start({.queued_answers = queued_answers});
    quire_client_options client_options;
    quire_client_options_init(&client_options);
    client_options.socket_path = path_.c_str();
    EXPECT_EQ(quire_connect(&client_options, &handle_, text_), QUIRE_OK) << buffer_;
    quire_session_options options;
    quire_session_options_init(&options);
    options.layout = layout_;
    options.max_tokens = 4096;
    options.staging_bytes = 64 << 10;
    options.reserve_bytes = 1 << 20;
    options.admission_wait_ms = 5000;
    quire_ticket* ticket = nullptr;
    EXPECT_EQ(quire_request_session(handle_, &options, &ticket), QUIRE_OK);
    return ticket;
  }

  void store_spans(uint32_t blocks) {
    for (uint32_t end = 32; end <= 32 * blocks; end += 32) {
      quire_fill fill = {.size = sizeof fill};
      ASSERT_EQ(quire_begin_fill(session_handle_, QUIRE_FILL_SPAN, end, nullptr, &fill), QUIRE_OK);
      for (uint32_t i = 0; i < fill.page_count; ++i) {
        std::memset(fill.pages[i].data, static_cast<int>(i), fill.pages[i].bytes);
      }
      ASSERT_EQ(quire_commit(session_handle_, &fill, nullptr), QUIRE_OK);
    }
  }

  uint32_t load_class_ = QUIRE_INTERACTIVE;
  char buffer_[128] = "";
  quire_text_buffer text_{buffer_, sizeof buffer_};
  quire_layout* layout_ = nullptr;
  quire_client* handle_ = nullptr;
  quire_session* session_handle_ = nullptr;
};

TEST_F(QuireC, ATicketTellsItsPlaceAndGivesItsSession) {
  quire_ticket* ticket = request_handle(2);
  ASSERT_NE(ticket, nullptr);
  EXPECT_EQ(daemon_->last_open().reserve_bytes, 1u << 20);
  EXPECT_EQ(daemon_->last_open().admission_wait_ms, 5000u);
  quire_queue_place place = {.size = sizeof place};
  ASSERT_EQ(quire_ticket_place(ticket, &place), QUIRE_OK);
  EXPECT_EQ(place.position, 2u);
  EXPECT_EQ(place.estimate_known, 0u);
  EXPECT_EQ(quire_poll_ticket(ticket, 0, nullptr), QUIRE_INVALID_ARGUMENT);
  ASSERT_EQ(quire_poll_ticket(ticket, 0, &session_handle_), QUIRE_OK);
  EXPECT_EQ(session_handle_, nullptr) << "it is queued";
  ASSERT_EQ(quire_ticket_place(ticket, &place), QUIRE_OK);
  EXPECT_EQ(place.position, 1u);
  EXPECT_EQ(place.estimate_known, 1u);
  EXPECT_EQ(place.estimate_ms, 40u);
  ASSERT_EQ(quire_poll_ticket(ticket, 0, &session_handle_), QUIRE_OK);
  EXPECT_NE(session_handle_, nullptr);
  quire_session* none = nullptr;
  EXPECT_EQ(quire_poll_ticket(ticket, 0, &none), QUIRE_CLOSED);
  EXPECT_STRNE(quire_ticket_error(ticket), "");
  quire_ticket_free(ticket);
}

TEST_F(QuireC, AShorterOptionStructIsAnOlderCallers) {
  quire_client_options options;
  quire_client_options_init(&options);
  options.socket_path = path_.c_str();
  options.size = offsetof(quire_client_options, connect_timeout_ms);
  quire_client* second = nullptr;
  EXPECT_EQ(quire_connect(&options, &second, text_), QUIRE_OK) << buffer_;
  quire_disconnect(second);
}

TEST_F(QuireC, ClientOptionsGrewByTheWaitForADaemonOnly) {
  EXPECT_EQ(offsetof(quire_client_options, daemon_wait_ms), 40u) << "where the first version ended";
}

TEST_F(QuireC, ALongerOrUnsetOptionStructIsRefused) {
  quire_client_options options;
  quire_client_options_init(&options);
  quire_client* none = nullptr;
  for (const size_t size : {size_t{0}, sizeof options + 8}) {
    options.size = size;
    EXPECT_EQ(quire_connect(&options, &none, text_), QUIRE_INVALID_ARGUMENT);
    EXPECT_EQ(none, nullptr);
  }
}

TEST_F(QuireC, AFailureLeavesItsTextInTheHandle) {
  open_handle();
  EXPECT_EQ(quire_release(session_handle_, 1), QUIRE_NOT_FOUND);
  EXPECT_NE(std::strlen(quire_session_error(session_handle_)), 0u);
  EXPECT_STREQ(quire_status_name(QUIRE_NOT_FOUND), "not_found");
}

TEST_F(QuireC, WhatWasCommittedIsLoaded) {
  open_handle();
  quire_fill fill = {.size = sizeof fill};
  ASSERT_EQ(quire_begin_fill(session_handle_, QUIRE_FILL_SPAN, 32, nullptr, &fill), QUIRE_OK);
  ASSERT_EQ(fill.page_count, 2u);
  for (uint32_t i = 0; i < fill.page_count; ++i) {
    std::memset(fill.pages[i].data, static_cast<int>(i) + 1, fill.pages[i].bytes);
  }
  quire_commit_result committed = {.size = sizeof committed};
  ASSERT_EQ(quire_commit(session_handle_, &fill, &committed), QUIRE_OK);
  EXPECT_EQ(committed.visible, 1);
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  EXPECT_EQ(hit.span_tokens, 32u);
  quire_pages pages = {.size = sizeof pages};
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  ASSERT_EQ(pages.page_count, 2u);
  EXPECT_EQ(static_cast<const char*>(pages.pages[1].data)[999], 2);
  EXPECT_EQ(quire_verify_page(&pages.pages[1]), 1);
  EXPECT_EQ(quire_release(session_handle_, hit.lease), QUIRE_OK);
}

TEST_F(QuireC, ALoadIsToldAsRunsToo) {
  open_handle();
  store_spans(2);
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  quire_pages pages = {.size = sizeof pages};
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  const quire_load_options options{.size = sizeof options, .first_block = 1};
  quire_runs runs = {.size = sizeof runs};
  ASSERT_EQ(quire_load_runs(session_handle_, hit.lease, &options, 0, &runs), QUIRE_OK);
  EXPECT_EQ(runs.block_count, 1u);
  EXPECT_EQ(runs.page_count, 2u);
  ASSERT_EQ(runs.run_count, 2u);
  EXPECT_EQ(runs.runs[1].data, pages.pages[3].data);
  EXPECT_EQ(runs.runs[1].page_bytes, pages.pages[3].bytes);
  EXPECT_EQ(runs.runs[1].first_block, 1u);
  EXPECT_EQ(runs.runs[1].group, pages.pages[3].group);

  EXPECT_EQ(quire_load_runs(session_handle_, hit.lease, nullptr, 1, &runs),
            QUIRE_RESOURCE_EXHAUSTED);
  uint64_t request = 0;
  ASSERT_EQ(quire_submit_load_runs(session_handle_, hit.lease, nullptr, 0, &request), QUIRE_OK);
  quire_flush(session_handle_);
  ASSERT_EQ(quire_wait(session_handle_, 10'000), QUIRE_OK);
  quire_completion completion = {.size = sizeof completion};
  size_t count = 0;
  ASSERT_EQ(quire_poll(session_handle_, &completion, 1, &count), QUIRE_OK);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(completion.request, request);
  EXPECT_EQ(quire_take_pages(session_handle_, &completion, &pages), QUIRE_NOT_FOUND);
  EXPECT_EQ(quire_take_runs(session_handle_, &completion, &runs), QUIRE_OK);
  EXPECT_EQ(runs.page_count, 4u);
}

TEST_F(QuireC, TakingOfNoCompletionIsRefused) {
  open_handle();
  quire_fill fill = {.size = sizeof fill};
  quire_pages pages = {.size = sizeof pages};
  quire_runs runs = {.size = sizeof runs};
  quire_position position{};
  quire_positions_result found = {.size = sizeof found};
  EXPECT_EQ(quire_take_fill(session_handle_, nullptr, &fill), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(quire_take_pages(session_handle_, nullptr, &pages), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(quire_take_runs(session_handle_, nullptr, &runs), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(quire_take_positions(session_handle_, nullptr, &position, 1, &found),
            QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireC, ACutLoadGivesItsHeadAndWhy) {
  open_handle();
  store_spans(2);
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  daemon_->cut_next_load({.code = model::Errc::kIoError, .blocks = 1, .checkpoint = false});
  quire_pages pages = {.size = sizeof pages};
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  EXPECT_EQ(pages.limited_by, QUIRE_IO_ERROR);
  EXPECT_EQ(pages.block_count, 1u);
  EXPECT_EQ(pages.page_count, 2u);
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  EXPECT_EQ(pages.limited_by, QUIRE_OK);
  daemon_->cut_next_load({.code = model::Errc::kCorrupt, .blocks = 0, .checkpoint = false});
  EXPECT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_CORRUPT);
}

TEST_F(QuireC, PagesOfALoadInFlightAreSeenBeforeItsCompletion) {
  open_handle();
  store_spans(2);
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  quire_load_options options{.size = sizeof options, .progress = 1};
  daemon_->hold_loads(true);
  uint64_t load = 0;
  ASSERT_EQ(quire_submit_load(session_handle_, hit.lease, &options, &load), QUIRE_OK);
  ASSERT_EQ(quire_noop(session_handle_), QUIRE_OK);
  daemon_->advance_loads(3);
  quire_pages pages = {.size = sizeof pages};
  ASSERT_EQ(quire_pages_so_far(session_handle_, load, &pages), QUIRE_OK);
  ASSERT_EQ(pages.page_count, 3u);
  EXPECT_EQ(pages.block_count, 0u);
  EXPECT_EQ(quire_verify_page(&pages.pages[2]), 1);
  daemon_->hold_loads(false);
  ASSERT_EQ(quire_wait(session_handle_, 5000), QUIRE_OK);
  quire_completion completion = {.size = sizeof completion};
  size_t count = 0;
  ASSERT_EQ(quire_poll(session_handle_, &completion, 1, &count), QUIRE_OK);
  ASSERT_EQ(quire_take_pages(session_handle_, &completion, &pages), QUIRE_OK);
  EXPECT_EQ(pages.page_count, 4u);
  EXPECT_EQ(quire_pages_so_far(session_handle_, load, &pages), QUIRE_NOT_FOUND);
}

TEST_F(QuireC, ClassAndCostCurveGoOut) {
  load_class_ = QUIRE_BATCH;
  open_handle();
  EXPECT_EQ(daemon_->last_open().load_class, 1);
  store_spans(1);
  quire_match_options options{.size = sizeof options,
                              .have_tokens = 16,
                              .prefill_us_per_ktoken = 700,
                              .prefill_us_per_ktoken_per_mtoken = 8};
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match_with(session_handle_, 100, &options, &hit), QUIRE_OK);
  EXPECT_EQ(daemon_->last_match().have_tokens, 16u);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken, 700u);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken_per_mtoken, 8u);
  uint64_t request = 0;
  ASSERT_EQ(quire_submit_match_with(session_handle_, 100, nullptr, &request), QUIRE_OK);
  ASSERT_EQ(quire_noop(session_handle_), QUIRE_OK);
  EXPECT_EQ(daemon_->last_match().prefill_us_per_ktoken, 0u);
}

TEST_F(QuireC, StagingFollowsTheLayoutByDefault) {
  quire_session_options options;
  quire_session_options_init(&options);
  options.layout = layout_;
  options.max_tokens = 4096;
  EXPECT_EQ(options.staging_bytes, 0u);
  ASSERT_EQ(quire_open_session(handle_, &options, &session_handle_), QUIRE_OK);
  EXPECT_EQ(daemon_->staging_bytes().back(), 32u << 20);
}

// What a session asks of the daemon for its conversation; a caller built before the field was there
// gets the default.
TEST_F(QuireC, TheTailIsAnOptionOfTheSession) {
  quire_session_options options;
  quire_session_options_init(&options);
  options.layout = layout_;
  options.max_tokens = 4096;
  options.staging_bytes = 64 << 10;
  const auto asked = [&](uint32_t tail_tokens, size_t size) {
    options.tail_tokens = tail_tokens;
    options.size = size;
    EXPECT_EQ(quire_open_session(handle_, &options, &session_handle_), QUIRE_OK);
    const Frame frame = daemon_->last_frame();
    EXPECT_EQ(frame.header.type, static_cast<uint16_t>(model::FrameType::kOpenSession));
    quire_close_session(session_handle_);
    session_handle_ = nullptr;
    return model::read_struct<model::OpenSessionRequest>(frame.payload)->tail_tokens;
  };
  EXPECT_EQ(asked(0, sizeof(options)), model::kLearntTail);
  EXPECT_EQ(asked(1024, sizeof(options)), 1024u);
  EXPECT_EQ(asked(QUIRE_NO_TAIL, sizeof(options)), 0u);
  EXPECT_EQ(asked(77, offsetof(quire_session_options, tail_tokens)), model::kLearntTail);
}

TEST_F(QuireC, AnUnknownClassIsRefused) {
  quire_session_options options;
  quire_session_options_init(&options);
  options.layout = layout_;
  options.load_class = 256;  // would be interactive in a byte
  EXPECT_EQ(quire_open_session(handle_, &options, &session_handle_), QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireC, CompletionsArePolledBeyondOnePiece) {
  open_handle();
  uint64_t request = 0;
  for (int i = 0; i < 40; ++i) ASSERT_EQ(quire_submit_noop(session_handle_, &request), QUIRE_OK);
  ASSERT_EQ(quire_noop(session_handle_), QUIRE_OK);
  quire_completion completions[64];
  completions[0].size = sizeof completions[0];
  size_t count = 0;
  ASSERT_EQ(quire_poll(session_handle_, completions, 64, &count), QUIRE_OK);
  EXPECT_EQ(count, 40u);
  EXPECT_EQ(completions[39].request, request);
}

// Sizes of callers built with an older and with a later header.
TEST_F(QuireC, AResultIsAsLongAsItsCallerSays) {
  open_handle();
  store_spans(2);
  struct {
    quire_match_result hit;
    uint8_t later[64];
  } caller;
  std::memset(&caller, 0xee, sizeof caller);
  caller.hit.size = offsetof(quire_match_result, span_tokens);
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &caller.hit), QUIRE_OK);
  EXPECT_NE(caller.hit.lease, 0xeeeeeeeeeeeeeeeeu);
  EXPECT_EQ(caller.hit.span_tokens, 0xeeeeeeeeu) << "beyond an older caller's struct";
  caller.hit.size = sizeof caller;
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &caller.hit), QUIRE_OK);
  EXPECT_EQ(caller.hit.span_tokens, 64u);
  EXPECT_EQ(caller.hit.size, sizeof caller);
  for (const uint8_t byte : caller.later) EXPECT_EQ(byte, 0);
}

TEST_F(QuireC, AResultWithoutASizeIsRefusedBeforeTheCall) {
  open_handle();
  store_spans(1);
  quire_match_result hit = {};
  EXPECT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_INVALID_ARGUMENT);
  std::memset(&hit, 0xee, sizeof hit);
  EXPECT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_INVALID_ARGUMENT);
  EXPECT_EQ(daemon_->lease_count(), 0u) << "no lease was made that nobody knows";
}

TEST_F(QuireC, CompletionsLieAsFarApartAsTheFirstOneSays) {
  open_handle();
  struct Later {
    quire_completion completion;
    uint64_t later[3];
  };
  Later completions[4];
  std::memset(completions, 0xee, sizeof completions);
  completions[0].completion.size = sizeof(Later);
  uint64_t requests[3];
  for (uint64_t& request : requests) ASSERT_EQ(quire_submit_noop(session_handle_, &request), 0);
  ASSERT_EQ(quire_noop(session_handle_), QUIRE_OK);
  size_t count = 0;
  ASSERT_EQ(quire_poll(session_handle_, &completions[0].completion, 4, &count), QUIRE_OK);
  ASSERT_EQ(count, 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(completions[i].completion.request, requests[i]);
  EXPECT_EQ(completions[2].later[2], 0u);
  EXPECT_EQ(completions[3].completion.size, 0xeeeeeeeeeeeeeeeeu) << "not touched";
}

TEST_F(QuireC, TiersRequestIdAndPlacesOfPagesComeThrough) {
  open_handle();
  store_spans(2);
  quire_match_options options{.size = sizeof options, .request_id = 77};
  quire_match_result hit = {.size = sizeof hit};
  ASSERT_EQ(quire_match_with(session_handle_, 100, &options, &hit), QUIRE_OK);
  EXPECT_EQ(daemon_->last_match().request_id, 77u);
  EXPECT_EQ(hit.tier_tokens[QUIRE_TIER_SSD], 11u);
  EXPECT_EQ(hit.tier_tokens[QUIRE_TIER_CLUSTER], 12u);
  quire_pages pages = {.size = sizeof pages};
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  ASSERT_EQ(pages.page_count, 4u);
  const char* segment = static_cast<const char*>(pages.pages[0].data) - pages.pages[0].offset;
  for (size_t i = 1; i < pages.page_count; ++i) {
    EXPECT_EQ(pages.pages[i].segment, pages.pages[0].segment);
    EXPECT_EQ(static_cast<const char*>(pages.pages[i].data) - pages.pages[i].offset, segment);
  }
}

TEST_F(QuireC, SessionTellsWhatTheDaemonAsksFor) {
  open_handle();
  quire_checkpoint_policy policy{.size = sizeof policy};
  ASSERT_EQ(quire_session_checkpoint_policy(session_handle_, &policy), QUIRE_OK);
  EXPECT_EQ(policy.word, static_cast<uint32_t>(QUIRE_CHECKPOINTS_TURN_ENDS));
  daemon_->ask_for_checkpoints(model::to_shared_word({model::CheckpointWord::kEvery, 64}));
  ASSERT_EQ(quire_session_checkpoint_policy(session_handle_, &policy), QUIRE_OK);
  EXPECT_EQ(policy.word, static_cast<uint32_t>(QUIRE_CHECKPOINTS_EVERY));
  EXPECT_EQ(policy.every_tokens, 64u);
  // What the options say of a policy is not looked at.
  const quire_wanted_options options{
      .size = sizeof options, .end_tokens = 200, .policy = QUIRE_CHECKPOINTS_NONE};
  quire_wanted_checkpoint wanted[8];
  size_t count = 0;
  ASSERT_EQ(quire_session_wanted_checkpoints(session_handle_, &options, wanted, 8, &count),
            QUIRE_OK);
  ASSERT_EQ(count, 3u);
  EXPECT_EQ(wanted[0].tokens, 64u);
  EXPECT_EQ(wanted[2].tokens, 192u);
  policy.size = 3;
  EXPECT_EQ(quire_session_checkpoint_policy(session_handle_, &policy), QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireC, PositionsLocateAndTheWordOnTheResume) {
  open_handle();
  store_spans(2);
  for (const uint32_t end : {16u, 64u}) {
    quire_fill fill = {.size = sizeof fill};
    ASSERT_EQ(quire_begin_fill(session_handle_, QUIRE_FILL_CHECKPOINT, end, nullptr, &fill), 0);
    ASSERT_EQ(quire_commit(session_handle_, &fill, nullptr), QUIRE_OK);
  }
  quire_position positions[4];
  quire_positions_result found = {.size = sizeof found};
  ASSERT_EQ(quire_positions(session_handle_, 100, nullptr, positions, 4, &found), QUIRE_OK);
  ASSERT_EQ(found.count, 2u);
  EXPECT_EQ(found.complete, 1u);
  EXPECT_EQ(positions[0].tokens, 64u);
  EXPECT_EQ(positions[1].tier_tokens[QUIRE_TIER_RAM], 16u);
  EXPECT_EQ(positions[0].how, uint8_t{QUIRE_RESUMED_EXACT});
  EXPECT_EQ(quire_positions(session_handle_, 100, nullptr, positions, 0, &found),
            QUIRE_INVALID_ARGUMENT);
  quire_locate_result located = {.size = sizeof located};
  ASSERT_EQ(quire_locate(session_handle_, 64, &located), QUIRE_OK);
  EXPECT_EQ(located.span_tokens, 64u);
  EXPECT_EQ(located.tier_tokens[QUIRE_TIER_RAM], 64u);
  quire_resumed_word word = {.size = sizeof word, .request_id = 5, .resumed_tokens = 64};
  word.how = QUIRE_RESUMED_CUT;
  ASSERT_EQ(quire_resumed(session_handle_, &word), QUIRE_OK);
  EXPECT_EQ(daemon_->last_resumed().request_id, 5u);
  EXPECT_EQ(daemon_->last_resumed().how, QUIRE_RESUMED_CUT);
  word.how = 300;
  EXPECT_EQ(quire_resumed(session_handle_, &word), QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireC, KeyedChainsAreTheSameWithAndWithoutASession) {
  open_handle();
  uint8_t root[QUIRE_HASH_BYTES];
  quire_session_root(session_handle_, root);
  const std::vector<uint32_t> tokens(64, 9);
  const quire_unit_key key = {"picture", 7, 260, 20};
  // The session holds 256 tokens.
  ASSERT_EQ(quire_append_keyed_tokens(session_handle_, tokens.data(), 64, &key, 1), QUIRE_OK);
  size_t count = 0;
  uint8_t chain[20][QUIRE_HASH_BYTES];
  ASSERT_EQ(quire_session_chain(session_handle_, 15, chain[0], 20, &count), QUIRE_OK);
  ASSERT_EQ(count, 5u);
  quire_keyed_tokens from = {.size = sizeof from, .tokens = tokens.data(), .count = 64};
  from.keys = &key;
  from.key_count = 1;
  from.first_token = 256;
  from.unit_tokens = 16;
  uint8_t hashes[4][QUIRE_HASH_BYTES];
  ASSERT_EQ(quire_chain_hashes(chain[0], &from, hashes[0], 4, &count), QUIRE_OK);
  ASSERT_EQ(count, 4u);
  EXPECT_EQ(std::memcmp(hashes, chain[1], sizeof hashes), 0);
  from.first_token = 250;
  EXPECT_EQ(quire_chain_hashes(chain[0], &from, hashes[0], 4, &count), QUIRE_INVALID_ARGUMENT);
  const quire_unit_key late = {"x", 1, 3, 1};
  EXPECT_EQ(quire_append_keyed_tokens(session_handle_, nullptr, 0, &late, 1),
            QUIRE_INVALID_ARGUMENT);
}

TEST_F(QuireC, AnObserverHearsOfSegmentsUntilTheLastHandleIsGone) {
  int live = 0;
  const quire_segment_observer observer = {
      .size = sizeof observer,
      .context = &live,
      .mapped = [](void* context, const quire_segment*) { ++*static_cast<int*>(context); },
      .unmapping = [](void* context, const quire_segment*) { --*static_cast<int*>(context); }};
  open_handle();
  store_spans(1);  // the daemon has a segment from here on
  quire_client_options options;
  quire_client_options_init(&options);
  options.socket_path = path_.c_str();
  options.observer = &observer;
  quire_client* second = nullptr;
  ASSERT_EQ(quire_connect(&options, &second, text_), QUIRE_OK);
  EXPECT_EQ(live, 1);
  quire_session_options session;
  quire_session_options_init(&session);
  session.layout = layout_;
  session.max_tokens = 4096;
  quire_session* outlives = nullptr;
  ASSERT_EQ(quire_open_session(second, &session, &outlives), QUIRE_OK);
  quire_disconnect(second);
  EXPECT_EQ(live, 1) << "the session has it mapped";
  void* staging = nullptr;
  uint64_t bytes = 0;
  quire_session_staging(outlives, &staging, &bytes);
  EXPECT_NE(staging, nullptr);
  EXPECT_EQ(bytes, 32u << 20);
  EXPECT_EQ(quire_close_session(outlives), QUIRE_OK);
  EXPECT_EQ(live, 0);
}

TEST_F(QuireC, StatusIsTextToBeFreed) {
  char* text = nullptr;
  ASSERT_EQ(quire_status_json(handle_, &text), QUIRE_OK);
  EXPECT_STREQ(text, R"({"schema":"quire.status.1"})");
  quire_text_free(text);
}

}  // namespace
}  // namespace quire::client::quire_c_test
