// What the daemon itself refuses, whatever the client library would have said before: prefill that
// is too far ahead of decode, and a reset of a session that holds something.
#include <gtest/gtest.h>

#include "tests/server/dispatcher_rig.h"

namespace quire::server::session_rules_test {
namespace {

using model::Errc;
using model::SessionRole;
using model::Verb;

constexpr uint32_t kBlock = 4;  // tokens, and one unit

class SessionRules : public testing::Test {
 protected:
  RigClient& attach(SessionRole role) {
    RigClient& client = rig_.attach(session_, 1);
    client.attachment().role = role;
    session_.handover.joined(client.attachment(), session_.progress_header());
    return client;
  }
  Errc begin(RigClient& client, uint32_t end_units) {
    client.begin(end_units);
    const model::Completion begun = rig_.answer(client);
    if (begun.code == 0 && begun.result.begin_fill.fill != 0) {
      model::Submission abort{};
      abort.args.abort_fill.fill = begun.result.begin_fill.fill;
      client.submit(Verb::kAbortFill, abort);
      QUIRE_CHECK(rig_.answer(client).code == 0);
    }
    return static_cast<Errc>(begun.code);
  }
  uint64_t match(RigClient& client, uint32_t units) {
    model::Submission match{};
    match.args.match.unit_count = units;
    match.args.match.prompt_tokens = units * kBlock + 1;
    client.submit(Verb::kMatch, match);
    return rig_.answer(client).result.match.lease;
  }
  void load(RigClient& client, uint64_t lease, uint32_t first_block, uint32_t count) {
    model::Submission load{};
    load.args.load.lease = lease;
    load.args.load.first_block = first_block;
    load.args.load.block_count = count;
    load.args.load.descriptor_capacity = count;
    client.submit(Verb::kLoad, load);
    QUIRE_CHECK(rig_.answer(client).result.load.block_count == count);
  }
  Errc reset(RigClient& client) {
    client.submit(Verb::kReset);
    return static_cast<Errc>(rig_.answer(client).code);
  }
  Errc release(RigClient& client, uint64_t lease) {
    model::Submission release{};
    release.args.release.lease = lease;
    client.submit(Verb::kRelease, release);
    return static_cast<Errc>(rig_.answer(client).code);
  }
  uint32_t taken() { return session_.progress_header().taken_tokens.load(); }

  DispatcherRig rig_;
  Session& session_ = rig_.open();
};

TEST_F(SessionRules, PrefillTooFarAheadIsRefusedUntilDecodeHasTakenMore) {
  session_.handover.bound(2 * kBlock, session_.progress_header());
  RigClient& prefill = attach(SessionRole::kPrefill);
  RigClient& decode = attach(SessionRole::kDecode);
  rig_.write(prefill, 1);
  rig_.write(prefill, 2);
  EXPECT_EQ(begin(prefill, 3), Errc::kBusy);
  EXPECT_EQ(begin(decode, 3), Errc::kOk) << "decode computes what it likes";
  const uint64_t lease = match(decode, 2);
  load(decode, lease, 0, 1);
  EXPECT_EQ(taken(), kBlock);
  EXPECT_EQ(begin(prefill, 3), Errc::kOk);
}

TEST_F(SessionRules, WhatLiesBehindAGapIsNotTaken) {
  session_.handover.bound(2 * kBlock, session_.progress_header());
  RigClient& prefill = attach(SessionRole::kPrefill);
  RigClient& decode = attach(SessionRole::kDecode);
  rig_.write(prefill, 1);
  rig_.write(prefill, 2);
  const uint64_t lease = match(decode, 2);
  load(decode, lease, 1, 1);
  EXPECT_EQ(taken(), 0u);
  load(decode, lease, 0, 2);
  EXPECT_EQ(taken(), 2 * kBlock);
}

TEST_F(SessionRules, LoadsOfPrefillItselfTakeNothing) {
  session_.handover.bound(2 * kBlock, session_.progress_header());
  RigClient& prefill = attach(SessionRole::kPrefill);
  attach(SessionRole::kDecode);
  rig_.write(prefill, 1);
  load(prefill, match(prefill, 1), 0, 1);
  EXPECT_EQ(taken(), 0u);
}

TEST_F(SessionRules, AResetNeedsASessionThatHoldsNothing) {
  RigClient& client = attach(SessionRole::kBoth);
  rig_.write(client, 1);
  const uint64_t lease = match(client, 1);
  EXPECT_EQ(reset(client), Errc::kBusy) << "a lease";
  ASSERT_EQ(release(client, lease), Errc::kOk);
  client.begin(2);
  const uint64_t fill = rig_.answer(client).result.begin_fill.fill;
  EXPECT_EQ(reset(client), Errc::kBusy) << "a fill";
  model::Submission abort{};
  abort.args.abort_fill.fill = fill;
  client.submit(Verb::kAbortFill, abort);
  ASSERT_EQ(rig_.answer(client).code, 0);
  EXPECT_EQ(reset(client), Errc::kOk);
  EXPECT_EQ(session_.progress_header().committed_tokens.load(), 0u);
}

TEST_F(SessionRules, AResetNeedsASessionOfOneProcess) {
  RigClient& client = attach(SessionRole::kBoth);
  RigClient& other = attach(SessionRole::kBoth);
  EXPECT_EQ(reset(client), Errc::kBusy);
  rig_.end(other);
  EXPECT_EQ(reset(client), Errc::kOk);
}

}  // namespace
}  // namespace quire::server::session_rules_test
