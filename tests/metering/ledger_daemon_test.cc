// Receipts of a real daemon and the real client: whose they are, how turns end, and how the ledger
// is read while it is written.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "server/metering/ledger.h"
#include "tests/support/ledger_reading.h"
#include "tests/support/manual_clock.h"
#include "tests/support/patience.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::ledger_daemon_test {

using client::Session;
using model::Errc;
using model::ReceiptEnd;
using model::ReceiptText;
using model::ResumedHow;

namespace {

constexpr uint32_t kTokens = 40;  // five blocks of 8

std::string fresh_directory() {
  static int number = 0;
  const std::string path = testing::TempDir() + "quire-ledger-daemon-" +
                           std::to_string(::getpid()) + "-" + std::to_string(++number);
  std::filesystem::remove_all(path);
  return path;
}

server::Options options_with(const std::string& ledger) {
  server::Options options = small_options();
  options.ledger_path = ledger;
  options.shared_namespaces = "shared";
  return options;
}

// Looks again until it is so, or nobody would wait any longer.
bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class LedgerDaemon : public testing::Test {
 protected:
  std::unique_ptr<Session> open(client::SessionOptions options) {
    auto session = open_session(*client_, std::move(options));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens + 8, 1)).ok());
    return session;
  }
  // A turn that resumes from all that is there.
  void run_turn(Session& session, uint64_t request) {
    const auto found = session.match(kTokens + 1, 0, {}, request);
    QUIRE_CHECK(found.ok());
    QUIRE_CHECK(session.load(found->lease).ok());
    const auto said = session.resumed({.how = ResumedHow::kExact,
                                       .resumed_tokens = kTokens,
                                       .output_tokens = 7,
                                       .request_id = request});
    QUIRE_CHECK(said.ok());
    said_ = *said;
  }
  // Reads until the receipt of the request is there.
  ReadReceipt receipt_of(uint64_t request) {
    ReadReceipt found{{}, {}, std::vector<std::string>(model::kReceiptTexts)};
    EXPECT_TRUE(eventually([&] {
      for (const ReadReceipt& receipt : read_ledger(path_).receipts) {
        if (receipt.record.request_id == request) found = receipt;
      }
      return found.record.request_id == request;
    })) << "no receipt of request "
        << request;
    return found;
  }
  static ReceiptEnd end_of(const ReadReceipt& receipt) {
    return static_cast<ReceiptEnd>(receipt.record.end);
  }

  struct Directory {
    std::string path = fresh_directory();
    ~Directory() { std::filesystem::remove_all(path); }
  };
  model::TurnTokens said_{};     // of the last turn, when the engine said where it resumed
  const Directory directory_{};  // goes last
  const std::string& path_ = directory_.path;
  TestDaemon daemon_{options_with(path_)};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
  model::Layout layout_ = small_hybrid_layout();
};

}  // namespace

TEST_F(LedgerDaemon, AReceiptSaysWhoAskedForWhatAndWhatWasDelivered) {
  client::SessionOptions options = session_options(layout_);
  QUIRE_CHECK(commit_context(*open(options), kTokens + 1).ok());
  options.conversation = 99;
  options.model = "deepseek-flash";
  options.service_tier = "batch";
  options.retention = "5m";
  options.explicit_caching = true;
  const auto session = open(options);
  run_turn(*session, 11);
  ASSERT_TRUE(session->close().ok());
  const ReadReceipt receipt = receipt_of(11);
  EXPECT_EQ(receipt.text(ReceiptText::kTenant), "tenant");
  EXPECT_EQ(receipt.text(ReceiptText::kPayer), "tenant");
  EXPECT_EQ(receipt.text(ReceiptText::kNamespace), "model");
  EXPECT_EQ(receipt.text(ReceiptText::kModel), "deepseek-flash");
  EXPECT_EQ(receipt.text(ReceiptText::kServiceTier), "batch");
  EXPECT_EQ(receipt.text(ReceiptText::kRetention), "5m");
  const model::ReceiptRecord& record = receipt.record;
  EXPECT_EQ(record.conversation, 99u);
  EXPECT_EQ(record.uid, ::getuid());
  EXPECT_EQ(record.prompt_tokens, kTokens + 1);
  EXPECT_EQ(record.hit_tokens, kTokens);
  EXPECT_EQ(record.missed_tokens, 1u);
  EXPECT_EQ(record.output_tokens, 7u);
  // What the engine may tell its customer is what the receipt says.
  EXPECT_EQ(said_.prompt, record.prompt_tokens);
  EXPECT_EQ(said_.hit, record.hit_tokens);
  EXPECT_EQ(said_.missed, record.missed_tokens);
  EXPECT_EQ(said_.output, record.output_tokens);
  EXPECT_EQ(record.delivered_tokens[0], kTokens);
  // Five spans of 10,002 bytes, and the checkpoint at a block end.
  EXPECT_EQ(record.moved_bytes[0], 5u * 10'002 + 5'000 + 1'234);
  EXPECT_EQ(record.flags & model::kReceiptExplicit, model::kReceiptExplicit);
  EXPECT_EQ(end_of(receipt), ReceiptEnd::kClosed);
  EXPECT_GE(record.closed_us, record.opened_us);
  EXPECT_LT(server::wall_clock_us() - record.closed_us, 3600ll * 1'000'000);
}

TEST_F(LedgerDaemon, WhatWasWrittenIsOfTheTurnThatWroteIt) {
  const auto session = open(session_options(layout_));
  ASSERT_TRUE(session->match(kTokens + 1, 0, {}, 21).ok());
  ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
  ASSERT_TRUE(session->close().ok());
  const model::ReceiptRecord record = receipt_of(21).record;
  EXPECT_EQ(record.written_spans, 5u);
  EXPECT_EQ(record.written_tokens, kTokens);
  EXPECT_EQ(record.written_checkpoints, 1u);
  EXPECT_EQ(record.written_bytes[0], 5u * 10'002);
  EXPECT_EQ(record.missed_tokens, kTokens + 1);
}

TEST_F(LedgerDaemon, TheEndOfATurnIsNamed) {
  QUIRE_CHECK(commit_context(*open(session_options(layout_)), kTokens + 1).ok());
  const auto session = open(session_options(layout_));
  run_turn(*session, 31);
  run_turn(*session, 32);
  EXPECT_EQ(end_of(receipt_of(31)), ReceiptEnd::kNextTurn);
  ASSERT_TRUE(session->close().ok());
  EXPECT_EQ(end_of(receipt_of(32)), ReceiptEnd::kClosed);
  const auto last = open(session_options(layout_));
  run_turn(*last, 34);
  daemon_.stop();
  EXPECT_EQ(end_of(receipt_of(34)), ReceiptEnd::kDaemonStopped);
  EXPECT_EQ(read_ledger(path_).stops.size(), 1u);
}

// The bill is the payer's, also where hits are everybody's.
TEST_F(LedgerDaemon, InASharedNamespaceTheOneWhoAsksPays) {
  client::SessionOptions options = session_options(layout_);
  options.namespace_name = "shared";
  const auto session = open(options);
  ASSERT_TRUE(session->match(kTokens + 1, 0, {}, 41).ok());
  ASSERT_TRUE(session->close().ok());
  const ReadReceipt receipt = receipt_of(41);
  EXPECT_EQ(receipt.text(ReceiptText::kTenant), "");
  EXPECT_EQ(receipt.text(ReceiptText::kPayer), "tenant");
}

TEST_F(LedgerDaemon, TheChainGoesOnThroughRestarts) {
  for (uint64_t request = 51; request <= 53; ++request) {
    const auto session = open(session_options(layout_));
    ASSERT_TRUE(session->match(kTokens + 1, 0, {}, request).ok());
    ASSERT_TRUE(session->close().ok());
    client_.reset();
    daemon_.restart();
    client_ = daemon_.connect();
  }
  const ReadLedger ledger = read_ledger(path_);
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  EXPECT_EQ(ledger.starts.size(), 4u);
  EXPECT_EQ(ledger.stops.size(), 3u);
}

TEST_F(LedgerDaemon, TheVerbGivesWhatTheDirectoryHolds) {
  const auto session = open(session_options(layout_));
  ASSERT_TRUE(session->match(kTokens + 1, 0, {}, 61).ok());
  ASSERT_TRUE(session->close().ok());
  receipt_of(61);
  const auto pipe = client_->read_ledger({});
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  std::string stream;
  std::array<char, 4096> part;
  for (ssize_t got; (got = ::read(pipe->get(), part.data(), part.size())) > 0;) {
    stream.append(part.data(), static_cast<size_t>(got));
  }
  const ReadLedger ledger = parse_ledger(stream);
  EXPECT_TRUE(ledger.ended);
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  ASSERT_EQ(ledger.receipts.size(), 1u);
  EXPECT_EQ(ledger.receipts[0].record.request_id, 61u);
}

// The oracle is a clock that stands still but where the test moves it.
TEST(LedgerStorage, WhatIsHeldIsIntegratedToTheMicrosecond) {
  const std::string path = fresh_directory();
  ManualClock clock;
  TestDaemon daemon(options_with(path), {.clock = &clock});
  const auto client = daemon.connect();
  const model::Layout layout = small_hybrid_layout();
  {
    const auto session = open_session(*client, session_options(layout));
    ASSERT_TRUE(session->append_tokens(context_tokens(kTokens + 8, 1)).ok());
    ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
    ASSERT_TRUE(session->close().ok());
  }
  constexpr std::chrono::seconds kHeld{30};
  clock.advance(kHeld);
  daemon.stop();
  const ReadLedger ledger = read_ledger(path);
  ASSERT_EQ(ledger.storage.size(), 2u);
  const ReadStorage& held = ledger.storage[0];
  EXPECT_EQ(ledger.storage[1].record.tier, model::kAnyTier) << "each object once";
  EXPECT_EQ(ledger.storage[1].record.byte_us.low, held.record.byte_us.low);
  constexpr uint64_t kBytes = 5 * 10'002 + 5'000 + 1'234;
  EXPECT_EQ(held.record.byte_us.low, kBytes * std::chrono::microseconds(kHeld).count());
  EXPECT_EQ(held.record.token_us.low, kTokens * std::chrono::microseconds(kHeld).count());
  EXPECT_EQ(held.record.to_us - held.record.from_us, std::chrono::microseconds(kHeld).count());
  EXPECT_EQ(held.record.uid, ::getuid());
  EXPECT_EQ(held.tenant, "tenant");
  EXPECT_EQ(held.record.most_bytes, kBytes);
  EXPECT_EQ(held.record.tier, static_cast<uint8_t>(model::TierId::kRam));
  std::filesystem::remove_all(path);
}

TEST(LedgerStorage, IsTheClassOfWhoWroteItFirst) {
  const std::string path = fresh_directory();
  ManualClock clock;
  TestDaemon daemon(options_with(path), {.clock = &clock});
  const auto client = daemon.connect();
  const auto write = [&](const std::string& retention, uint32_t tokens) {
    client::SessionOptions options = session_options(small_append_layout());
    options.retention = retention;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, 1)).ok());
    ASSERT_TRUE(commit_context(*session, tokens).ok());
    ASSERT_TRUE(session->close().ok());
  };
  write("5m", kTokens / 2);
  write("1h", kTokens);  // half of it is there
  clock.advance(std::chrono::seconds(30));
  daemon.stop();
  std::map<std::string, uint64_t> token_us;
  for (const ReadStorage& held : read_ledger(path).storage) {
    if (held.record.tier == model::kAnyTier) token_us[held.retention] += held.record.token_us.low;
  }
  constexpr uint64_t kHalf = kTokens / 2 * 30'000'000ull;
  EXPECT_EQ(token_us, (std::map<std::string, uint64_t>{{"1h", kHalf}, {"5m", kHalf}}));
  std::filesystem::remove_all(path);
}

TEST_F(LedgerDaemon, AFourthRetentionClassAtATimeIsRefused) {
  std::vector<std::unique_ptr<Session>> sessions;
  client::SessionOptions options = session_options(layout_);
  for (const char* name : {"5m", "1h", "24h"}) {
    options.retention = name;
    sessions.push_back(open_session(*client_, options));
  }
  options.retention = "7d";
  const auto refused = client_->open_session(options);
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("5m, 1h, 24h"), std::string::npos) << refused.error().text;
  options.retention = std::string(model::kMaxRetentionBytes + 1, 'x');
  EXPECT_EQ(client_->open_session(options).code(), Errc::kInvalidArgument);
  sessions.pop_back();
  options.retention = "7d";
  EXPECT_TRUE(client_->open_session(options).ok());
}

// A reader that never reads holds its pipe and one of few places, and nobody up.
TEST_F(LedgerDaemon, MoreReadersThanPlacesAreRefused) {
  std::vector<model::FdGuard> readers;
  // One place is for who reads to the end and goes.
  for (size_t i = 0; i + 1 < server::Ledger::kMaxExports; ++i) {
    auto reader = client_->read_ledger({.follow = 1});
    ASSERT_TRUE(reader.ok());
    readers.push_back(std::move(reader).value());
  }
  EXPECT_EQ(client_->read_ledger({.follow = 1}).code(), Errc::kBusy);
  EXPECT_TRUE(client_->read_ledger({}).ok());
  readers.clear();
  EXPECT_TRUE(eventually([&] { return client_->read_ledger({.follow = 1}).ok(); }));
}

TEST_F(LedgerDaemon, AReaderThatFollowsGetsWhatComesLater) {
  const auto pipe = client_->read_ledger({.follow = 1});
  ASSERT_TRUE(pipe.ok());
  const auto session = open(session_options(layout_));
  ASSERT_TRUE(session->match(kTokens + 1, 0, {}, 71).ok());
  ASSERT_TRUE(session->close().ok());
  std::string stream;
  std::array<char, 4096> part;
  while (parse_ledger(stream).receipts.empty()) {
    const ssize_t got = ::read(pipe->get(), part.data(), part.size());
    ASSERT_GT(got, 0);
    stream.append(part.data(), static_cast<size_t>(got));
  }
  EXPECT_EQ(parse_ledger(stream).receipts[0].record.request_id, 71u);
}

TEST(LedgerOff, WithoutAPlaceForReceiptsTheVerbSaysWhatToDo) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto refused = client->read_ledger({});
  EXPECT_EQ(refused.code(), Errc::kNotFound);
  EXPECT_NE(refused.error().text.find("--ledger_path"), std::string::npos);
}

// Law 9: receipts wait, what waits no longer is counted, and service goes on.
TEST(LedgerOff, ADirectoryThatCannotBeMadeStopsTheLedgerAlone) {
  const std::string file = fresh_directory();
  std::ofstream(file) << "in the way";
  TestDaemon daemon(options_with(file + "/ledger"));
  const auto client = daemon.connect();
  EXPECT_TRUE(client->ping().ok());
  const auto status = client->status_json();
  ASSERT_TRUE(status.ok());
  EXPECT_NE(status->find("\"ledger\":{\"state\":\"failed\""), std::string::npos) << *status;
  EXPECT_NE(status->find("\"state\":\"degraded\""), std::string::npos);
  std::filesystem::remove(file);
}

}  // namespace quire::tests::ledger_daemon_test
