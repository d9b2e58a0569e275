// The C ABI against a fake daemon. That C compiles it is c_client.c's to show.
#include "client/quire_c.h"

#include <cstring>

#include "model/layout_toml.h"
#include "tests/client/client_fixture.h"

namespace quire::client {
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

  void store_spans(uint32_t blocks) {
    for (uint32_t end = 32; end <= 32 * blocks; end += 32) {
      quire_fill fill;
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

TEST_F(QuireC, LayoutTellsItsGroups) {
  EXPECT_EQ(quire_layout_unit_tokens(layout_), 16u);
  EXPECT_EQ(quire_layout_group_count(layout_), 3u);
  EXPECT_STREQ(quire_layout_group_name(layout_, 1), "index");
  EXPECT_EQ(quire_layout_group_page_bytes(layout_, 1), 1000u);
  EXPECT_EQ(quire_layout_group_name(layout_, 3), nullptr);
}

TEST_F(QuireC, BadTextOfALayoutIsExplainedAndCut) {
  quire_layout* none = nullptr;
  char small[8];
  EXPECT_NE(quire_layout_parse("x = ", 4, &none, {small, sizeof small}), QUIRE_OK);
  EXPECT_EQ(std::strlen(small), 7u);
  EXPECT_NE(quire_layout_parse("x = ", 4, &none, {nullptr, 0}), QUIRE_OK);
  EXPECT_EQ(none, nullptr);
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
  quire_fill fill;
  ASSERT_EQ(quire_begin_fill(session_handle_, QUIRE_FILL_SPAN, 32, nullptr, &fill), QUIRE_OK);
  ASSERT_EQ(fill.page_count, 2u);
  for (uint32_t i = 0; i < fill.page_count; ++i) {
    std::memset(fill.pages[i].data, static_cast<int>(i) + 1, fill.pages[i].bytes);
  }
  quire_commit_result committed;
  ASSERT_EQ(quire_commit(session_handle_, &fill, &committed), QUIRE_OK);
  EXPECT_EQ(committed.visible, 1);
  quire_match_result hit;
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  EXPECT_EQ(hit.span_tokens, 32u);
  quire_pages pages;
  ASSERT_EQ(quire_load(session_handle_, hit.lease, nullptr, &pages), QUIRE_OK);
  ASSERT_EQ(pages.page_count, 2u);
  EXPECT_EQ(static_cast<const char*>(pages.pages[1].data)[999], 2);
  EXPECT_EQ(quire_verify_page(&pages.pages[1]), 1);
  EXPECT_EQ(quire_release(session_handle_, hit.lease), QUIRE_OK);
}

TEST_F(QuireC, ACutLoadGivesItsHeadAndWhy) {
  open_handle();
  store_spans(2);
  quire_match_result hit;
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  daemon_->cut_next_load({.code = model::Errc::kIoError, .blocks = 1, .checkpoint = false});
  quire_pages pages;
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
  quire_match_result hit;
  ASSERT_EQ(quire_match(session_handle_, 100, 0, &hit), QUIRE_OK);
  quire_load_options options{.size = sizeof options, .progress = 1};
  daemon_->hold_loads(true);
  uint64_t load = 0;
  ASSERT_EQ(quire_submit_load(session_handle_, hit.lease, &options, &load), QUIRE_OK);
  ASSERT_EQ(quire_noop(session_handle_), QUIRE_OK);
  daemon_->advance_loads(3);
  quire_pages pages;
  ASSERT_EQ(quire_pages_so_far(session_handle_, load, &pages), QUIRE_OK);
  ASSERT_EQ(pages.page_count, 3u);
  EXPECT_EQ(pages.block_count, 0u);
  EXPECT_EQ(quire_verify_page(&pages.pages[2]), 1);
  daemon_->hold_loads(false);
  ASSERT_EQ(quire_wait(session_handle_, 5000), QUIRE_OK);
  quire_completion completion;
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
  quire_match_result hit;
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
  EXPECT_EQ(daemon_->last_open().staging_bytes, 16u << 20);
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
  EXPECT_EQ(asked(0, sizeof(options)), 256u);
  EXPECT_EQ(asked(1024, sizeof(options)), 1024u);
  EXPECT_EQ(asked(QUIRE_NO_TAIL, sizeof(options)), 0u);
  EXPECT_EQ(asked(77, offsetof(quire_session_options, tail_tokens)), 256u);
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
  size_t count = 0;
  ASSERT_EQ(quire_poll(session_handle_, completions, 64, &count), QUIRE_OK);
  EXPECT_EQ(count, 40u);
  EXPECT_EQ(completions[39].request, request);
}

TEST_F(QuireC, StatusIsTextToBeFreed) {
  char* text = nullptr;
  ASSERT_EQ(quire_status_json(handle_, &text), QUIRE_OK);
  EXPECT_STREQ(text, R"({"schema":"quire.status.1"})");
  quire_text_free(text);
}

}  // namespace
}  // namespace quire::client
