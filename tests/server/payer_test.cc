// Who pays for what a session has under way, where its hits are the namespace's.
#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::payer_test {

using model::FillKind;

namespace {

cache::Account account(TestDaemon& daemon, const std::string& tenant) {
  cache::Account account;
  daemon.on_core(
      [&](server::Daemon& d) { account = inspect(d).account(model::DomainId{0}, tenant); });
  return account;
}

constexpr uint64_t kSpanBytes = 4096;

}  // namespace

TEST(Payer, FillIsChargedToTheTenantAlsoInASharedNamespace) {
  auto options = small_options();
  options.shared_namespaces = "shared";
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  const auto session =
      open_session(*client, session_options(small_append_layout(), "shared", "payer"));
  ASSERT_TRUE(session->append_tokens(context_tokens(8, 1)).ok());
  const auto fill = session->begin_fill(FillKind::kSpan, 4);
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(account(daemon, "payer").reserved_bytes, kSpanBytes);
  EXPECT_EQ(account(daemon, "").reserved_bytes, 0u);
  ASSERT_TRUE(session->commit(*fill).ok());
  EXPECT_EQ(account(daemon, "payer").reserved_bytes, 0u) << "it is visible";
  EXPECT_EQ(account(daemon, "payer").used_bytes, 0u);
  EXPECT_EQ(account(daemon, "").used_bytes, kSpanBytes) << "whoever shares the namespace hits it";
}

TEST(Payer, EachSessionOfASharedNamespacePaysItsOwn) {
  auto options = small_options();
  options.shared_namespaces = "shared";
  TestDaemon daemon(options);
  const auto client = daemon.connect();
  std::vector<std::unique_ptr<client::Session>> sessions;
  for (const std::string tenant : {"one", "two", "two"}) {
    sessions.push_back(
        open_session(*client, session_options(small_append_layout(), "shared", tenant)));
    const uint64_t context = sessions.size();
    ASSERT_TRUE(sessions.back()->append_tokens(context_tokens(8, context)).ok());
    ASSERT_TRUE(sessions.back()->begin_fill(FillKind::kSpan, 4).ok());
  }
  EXPECT_EQ(account(daemon, "one").reserved_bytes, kSpanBytes);
  EXPECT_EQ(account(daemon, "two").reserved_bytes, 2 * kSpanBytes);
  sessions.pop_back();
  ASSERT_TRUE(daemon.eventually([](server::Daemon& d) { return d.cache().fill_count() == 2; }));
  EXPECT_EQ(account(daemon, "two").reserved_bytes, kSpanBytes) << "a death gives it back";
  sessions.clear();
  EXPECT_TRUE(daemon.is_quiet());
  EXPECT_EQ(account(daemon, "one").reserved_bytes, 0u);
}

TEST(Payer, InANamespaceOfItsOwnTheTenantIsBoth) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto session =
      open_session(*client, session_options(small_append_layout(), "model", "payer"));
  ASSERT_TRUE(session->append_tokens(context_tokens(8, 1)).ok());
  const auto fill = session->begin_fill(FillKind::kSpan, 4);
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(account(daemon, "payer").reserved_bytes, kSpanBytes);
  ASSERT_TRUE(session->commit(*fill).ok());
  EXPECT_EQ(account(daemon, "payer").reserved_bytes, 0u);
  EXPECT_EQ(account(daemon, "payer").used_bytes, kSpanBytes);
}

}  // namespace quire::tests::payer_test
