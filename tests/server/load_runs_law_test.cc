// Loads told as runs, by a real daemon to the real library: the same pages as in the page form.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "tests/support/raw_writer.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::load_runs_law_test {

using client::PageView;
using client::RunView;
using client::Session;
using model::Errc;

namespace {

constexpr uint32_t kBlocks = 40;
constexpr uint32_t kTokens = 8 * kBlocks + 1;

// Where each page lies, by checkpoint, block or place, and group.
using Pages = std::map<std::tuple<bool, uint32_t, uint8_t>, const std::byte*>;

Pages of_views(const client::LoadedPages& loaded, uint32_t groups) {
  Pages pages;
  uint32_t index = 0;
  for (const PageView& page : loaded.pages) {
    const uint32_t span_pages = loaded.block_count * groups;
    const uint32_t place = page.of_checkpoint ? index - span_pages : index / groups;
    pages[{page.of_checkpoint, place, page.group}] = page.data;
    ++index;
  }
  return pages;
}

Pages of_runs(const client::LoadedRuns& loaded) {
  Pages pages;
  for (const RunView& run : loaded.runs) {
    for (uint32_t i = 0; i < run.page_count; ++i) {
      pages[{run.of_checkpoint, run.first_block + i, run.group}] = run.data + i * run.stride;
    }
  }
  return pages;
}

std::unique_ptr<Session> written(client::Client& client, uint64_t context) {
  auto session = open_session(client, session_options(small_hybrid_layout()));
  QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
  QUIRE_CHECK(commit_context(*session, kTokens).ok());
  return session;
}

void expect_same(Session& session) {
  const auto match = session.match(kTokens);
  ASSERT_TRUE(match.ok());
  const auto pages = session.load(match->lease);
  const auto runs = session.load_runs(match->lease);
  ASSERT_TRUE(pages.ok() && runs.ok());
  EXPECT_EQ(runs->block_count, kBlocks);
  EXPECT_EQ(runs->checkpoint_count, 2u);
  EXPECT_EQ(runs->page_count, pages->pages.size());
  EXPECT_LE(runs->runs.size(), kBlocks / 8 + 2u) << "chunks of 16, written one after the other";
  EXPECT_EQ(of_runs(*runs), of_views(*pages, 1));
  EXPECT_TRUE(session.release(match->lease).ok());
}

}  // namespace

TEST(LoadRuns, TellWhereThePagesOfTheOtherFormLie) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  expect_same(*written(*client, 1));
}

TEST(LoadRuns, AreVerifiedBeforeTheyAreDelivered) {
  server::Options options = small_options();
  options.verify_hits = true;
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  const auto session = written(*client, 1);
  expect_same(*session);
  const model::Hash256 key = session->chain()[2 * 12 - 1];  // of the twelfth block
  daemon.on_core([&](server::Daemon& d) {
    meddle(d).corrupt(*inspect(d).find(model::FillKind::kSpan, key), 5);
  });
  const auto match = session->match(kTokens);
  const auto head = session->load_runs(match->lease);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->limited_by, Errc::kCorrupt);
  EXPECT_EQ(head->block_count, 11u);
  EXPECT_EQ(head->page_count, 11u) << "none of the bad block, none of the checkpoint";
}

TEST(LoadRuns, AreRefusedOnTheWireWithAProgressSlotAndInNoKnownForm) {
  TestDaemon daemon;
  RawClient client(daemon.socket_path());
  RawWriter writer(client, small_append_layout(), {}, 1);
  writer.submit_commit(writer.granted(1));
  ASSERT_EQ(code_of(writer.session().wait_completion()), Errc::kOk);
  writer.submit_match(1, 5);
  const uint64_t lease = writer.session().wait_completion().result.match.lease;
  model::Submission load{};
  load.verb = static_cast<uint16_t>(model::Verb::kLoad);
  load.args.load.lease = lease;
  load.args.load.descriptor_capacity = 4;
  load.args.load.form = 2;
  writer.session().submit(load);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kInvalidArgument);
  load.args.load.form = static_cast<uint8_t>(model::LoadForm::kRuns);
  load.args.load.progress_slot = 1;
  writer.session().submit(load);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kInvalidArgument);
  load.args.load.progress_slot = 0;
  writer.session().submit(load);
  const model::Completion told = writer.session().wait_completion();
  EXPECT_EQ(code_of(told), Errc::kOk);
  EXPECT_EQ(told.result.load.run_count, 1u);
  EXPECT_EQ(told.result.load.first_run, 3u);
  load.args.load.descriptor_capacity = 0;
  writer.session().submit(load);
  EXPECT_EQ(code_of(writer.session().wait_completion()), Errc::kResourceExhausted);
}

}  // namespace quire::tests::load_runs_law_test
