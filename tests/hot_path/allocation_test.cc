// After warm-up the core allocates nothing per request. This executable replaces operator new, so
// it stands alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace {
thread_local uint64_t allocations_of_this_thread = 0;
}

// Not for the sanitizers' sake: they see malloc and free as before.
void* operator new(size_t bytes) {
  ++allocations_of_this_thread;
  if (void* memory = std::malloc(bytes)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace quire::tests::allocation_test {

namespace {

constexpr uint32_t kTokens = 41;

uint64_t core_allocations(TestDaemon& daemon) {
  uint64_t count = 0;
  daemon.on_core([&](server::Daemon&) { count = allocations_of_this_thread; });
  return count;
}

void resume_once(client::Session& session) {
  const auto match = session.match(kTokens);
  ASSERT_TRUE(match.ok());
  ASSERT_TRUE(session.load(match->lease).ok());
  ASSERT_TRUE(session.release(match->lease).ok());
}

// One more block of a long context, and a checkpoint that supersedes the one before.
void commit_once(client::Session& session, uint32_t block) {
  ASSERT_TRUE(commit_object(session, model::FillKind::kSpan, block * 8).ok());
  ASSERT_TRUE(commit_object(session, model::FillKind::kCheckpoint, block * 8).ok());
}

// By the core, once it is warm.
uint64_t allocations_of_requests(TestDaemon& daemon, client::Client& client) {
  const auto reader = open_session(client, session_options(small_hybrid_layout()));
  QUIRE_CHECK(reader->append_tokens(context_tokens(kTokens, 1)).ok());
  QUIRE_CHECK(commit_context(*reader, kTokens).ok());
  const auto writer = open_session(client, session_options(small_hybrid_layout()));
  QUIRE_CHECK(writer->append_tokens(context_tokens(4000, 2)).ok());
  uint32_t block = 0;
  for (int i = 0; i < 50; ++i) {
    resume_once(*reader);
    commit_once(*writer, ++block);
  }
  const uint64_t before = core_allocations(daemon);
  for (int i = 0; i < 200; ++i) {
    resume_once(*reader);
    commit_once(*writer, ++block);
  }
  return core_allocations(daemon) - before;
}

}  // namespace

TEST(HotPath, CoreAllocatesNothingPerRequest) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  EXPECT_EQ(allocations_of_requests(daemon, *client), 0u);
}

TEST(HotPath, CoreAllocatesNothingPerRequestThatIsRecorded) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto pipe = client->record_trace();
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  EXPECT_EQ(allocations_of_requests(daemon, *client), 0u);
}

TEST(HotPath, TheCounterCounts) {
  TestDaemon daemon;
  const uint64_t before = core_allocations(daemon);
  daemon.on_core([](server::Daemon&) { delete new std::string(100, 'x'); });
  EXPECT_GT(core_allocations(daemon) - before, 0u);
}

}  // namespace quire::tests::allocation_test
