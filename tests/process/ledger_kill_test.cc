// Law 12: a receipt is written once, never counted twice, and survives a crash up to the last
// second. Billed clients of several tenants live on while their daemon is killed again and again;
// each keeps a log of its own, and the ledger has to say the same.
//
// QUIRE_KILLS sets how often (200).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/process/daemon_process.h"
#include "tests/process/metered_life.h"
#include "tests/support/ledger_reading.h"

namespace quire::tests::ledger_kill_test {

namespace json = boost::json;

namespace {

constexpr uint32_t kClients = 3;

// With digits enough that each figure would show a token too many.
constexpr const char* kBook = R"(vendor = "test"
[[price]]
model = "priced"
currency = "USD"
from = 2020-01-01T00:00:00Z
hit = "0.003625"
miss = "0.435001"
output = "0.870003"
)";
constexpr uint64_t kHitPrice = 3'625;
constexpr uint64_t kMissPrice = 435'001;
constexpr uint64_t kOutputPrice = 870'003;

// "0.000000012345" as 12345.
uint64_t picos(std::string_view text) {
  const size_t dot = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, dot));
  std::string fraction(text.substr(std::min(dot + 1, text.size())));
  EXPECT_LE(fraction.size(), 12u);
  fraction.resize(12, '0');
  return std::stoull(digits + fraction);
}

int kill_count() {
  const char* given = std::getenv("QUIRE_KILLS");
  return given == nullptr ? 200 : std::atoi(given);
}

// The ledger of a daemon that was killed again and again, beside what its clients wrote down.
class KilledLedger : public testing::Test {
 protected:
  KilledLedger() : directory_(testing::TempDir() + "quire-kills-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
  }
  ~KilledLedger() override { std::filesystem::remove_all(directory_); }

  std::string ledger_path() const { return directory_ + "/ledger"; }
  MeteredLife life(const DaemonProcess& daemon, uint32_t number) const {
    return {.socket_path = daemon.socket_path(),
            .log_path = directory_ + "/log-" + std::to_string(number),
            .tenant = "tenant-" + std::to_string(number),
            .number = number};
  }
  void live_through_kills(int kills) {
    DaemonProcess daemon({.flags = {"--ledger_path=" + ledger_path(), kNoGhosts}});
    named_.push_back(unknown_span(daemon.status_json()));
    std::vector<TestProcess> clients;
    for (uint32_t number = 1; number <= kClients; ++number) {
      clients.push_back(TestProcess::call(
          [life = life(daemon, number)](Channel& channel) { return life.run(channel); }));
    }
    std::mt19937 random(7);
    for (int i = 0; i < kills; ++i) {
      // As a rule amid its first groups of receipts; at times after it has told of open turns.
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % (i % 8 == 0 ? 1500 : 150)));
      daemon.crash();
      daemon.start();
      named_.push_back(unknown_span(daemon.status_json()));
    }
    for (TestProcess& client : clients) client.channel().send("q");
    for (TestProcess& client : clients) EXPECT_EQ(client.wait(), 0);
    for (uint32_t number = 1; number <= kClients; ++number) {
      turns_.merge(read_metered_log(life(daemon, number).log_path));
    }
  }

  // What a status says of the end before its start: turns that ended in between may be missing.
  struct UnknownSpan {
    int64_t from_us = 0;
    int64_t to_us = 0;
  };
  static UnknownSpan unknown_span(const std::string& status) {
    const json::value ledger = json::parse(status).at("ledger");
    return {ledger.at("unknown_from_us").to_number<int64_t>(),
            ledger.at("unknown_to_us").to_number<int64_t>()};
  }
  // Whether the status after the restart that came next says that this turn may be missing. What
  // the client waited for happened between two points in time, wherever the processor was given to
  // somebody else.
  bool is_named(const MeteredTurn& turn, int64_t known_us) const {
    const auto next = std::find_if(named_.begin(), named_.end(), [&](const UnknownSpan& span) {
      return span.to_us >= turn.asked_us;
    });
    return next != named_.end() && next->from_us < known_us;
  }
  // Each start's status says what its entry in the ledger says, and no span reaches back behind
  // the start before: a daemon that said it knows of nothing would not be believed.
  void expect_spans_of(const ReadLedger& ledger) const {
    ASSERT_EQ(named_.size(), ledger.starts.size());
    for (size_t i = 0; i < named_.size(); ++i) {
      EXPECT_EQ(named_[i].from_us, ledger.starts[i].unknown_from_us);
      EXPECT_EQ(named_[i].to_us, ledger.starts[i].unknown_to_us);
      EXPECT_LE(named_[i].from_us, named_[i].to_us);
      EXPECT_GE(named_[i].from_us, i == 0 ? 0 : named_[i - 1].to_us);
    }
  }
  // Of the clients' own figures; of a turn that was cut short, as far as its receipt came. In
  // 1e-12 of a currency unit: kBook's prices are micro-units of a million tokens.
  std::map<std::string, uint64_t> oracle_bill(
      const std::map<uint64_t, const ReadReceipt*>& receipts) const {
    std::map<std::string, uint64_t> amounts;
    for (const auto& [request, receipt] : receipts) {
      const MeteredTurn& turn = turns_.at(request);
      const auto end = static_cast<model::ReceiptEnd>(receipt->record.end);
      const bool closed = end == model::ReceiptEnd::kNextTurn || end == model::ReceiptEnd::kClosed;
      const uint64_t hit = closed ? turn.exact_tokens.value_or(0) : receipt->record.hit_tokens;
      const uint64_t output =
          closed ? turn.output_tokens.value_or(0) : receipt->record.output_tokens;
      amounts["tenant-" + std::to_string(request >> 32)] +=
          hit * kHitPrice + (turn.prompt_tokens - hit) * kMissPrice + output * kOutputPrice;
    }
    return amounts;
  }
  // By tenant, as quirectl prints it: exact amounts.
  json::value quirectl_bill() const {
    const std::string book = directory_ + "/book.toml";
    std::ofstream(book) << kBook;
    const Output output = run_program(
        "quirectl", {"-o", "json", "meter", "bill", "--ledger", ledger_path(), "--quired",
                     program_path("quired"), "--book", book, "--by", "tenant"});
    EXPECT_EQ(output.exit_code, 0) << output.text;
    return json::parse(output.text);
  }
  // For who looks for what went wrong: the starts around this time.
  static std::string nearest_starts(const ReadLedger& ledger, int64_t wall_us) {
    std::string text;
    for (const model::StartRecord& start : ledger.starts) {
      if (std::abs(start.started_us - wall_us) > 3'000'000) continue;
      text += "\nstarted " + std::to_string(start.started_us - wall_us) +
              " us later, unknown from " + std::to_string(start.unknown_from_us - wall_us) +
              " to " + std::to_string(start.unknown_to_us - wall_us) + ", recovered " +
              std::to_string(start.recovered_turns);
    }
    return text;
  }
  static void expect_receipt_of(const MeteredTurn& turn, const ReadReceipt& receipt) {
    const model::ReceiptRecord& record = receipt.record;
    EXPECT_EQ(record.prompt_tokens, turn.prompt_tokens);
    const uint32_t exact = turn.exact_tokens.value_or(0);
    const uint32_t output = turn.output_tokens.value_or(0);
    const auto end = static_cast<model::ReceiptEnd>(record.end);
    if (end == model::ReceiptEnd::kNextTurn || end == model::ReceiptEnd::kClosed) {
      // Its client had said all of it before.
      EXPECT_EQ(record.hit_tokens, exact);
      EXPECT_EQ(record.delivered_tokens[0], exact);
      EXPECT_EQ(record.output_tokens, output);
    } else {  // as far as it came
      EXPECT_TRUE(record.hit_tokens == 0 || record.hit_tokens == exact);
      EXPECT_TRUE(record.delivered_tokens[0] == 0 || record.delivered_tokens[0] == exact);
      EXPECT_TRUE(record.output_tokens == 0 || record.output_tokens == output);
    }
    EXPECT_EQ(receipt.text(model::ReceiptText::kPayer),
              "tenant-" + std::to_string(record.request_id >> 32));
  }

  const std::string directory_;
  std::vector<UnknownSpan> named_;  // by each start's status
  std::map<uint64_t, MeteredTurn> turns_;
};

}  // namespace

TEST_F(KilledLedger, Law12EveryTurnIsInItOnceOrOfATimeThatItSaysIsUnknown) {
  const int kills = kill_count();
  live_through_kills(kills);
  const ReadLedger ledger = read_ledger(ledger_path());
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  EXPECT_EQ(ledger.starts.size(), static_cast<size_t>(kills) + 1);
  std::map<uint64_t, const ReadReceipt*> receipts;
  size_t cut_short = 0;
  for (const ReadReceipt& receipt : ledger.receipts) {
    if (receipt.record.request_id == 0) continue;  // what was written before a first match
    SCOPED_TRACE(receipt.record.request_id);
    EXPECT_TRUE(receipts.emplace(receipt.record.request_id, &receipt).second) << "twice";
    ASSERT_TRUE(turns_.contains(receipt.record.request_id)) << "nobody asked for it";
    expect_receipt_of(turns_[receipt.record.request_id], receipt);
    if (receipt.record.end == static_cast<uint8_t>(model::ReceiptEnd::kDaemonDied)) ++cut_short;
  }
  size_t missing = 0;
  for (const auto& [request, turn] : turns_) {
    if (receipts.contains(request) || !turn.exact_tokens) continue;
    ++missing;
    const int64_t known_us = turn.closed_us != 0 ? turn.closed_us : turn.matched_us;
    EXPECT_TRUE(is_named(turn, known_us))
        << "request " << request << " is missing: matched " << turn.matched_us << ", closed "
        << turn.closed_us << nearest_starts(ledger, known_us);
  }
  expect_spans_of(ledger);
  EXPECT_GT(receipts.size(), 0u);
  const json::value bill = quirectl_bill();
  const auto expected = oracle_bill(receipts);
  const json::array& subtotals = bill.at("bill").at("subtotals").as_array();
  EXPECT_EQ(subtotals.size(), expected.size());
  for (const json::value& part : subtotals) {
    const std::string tenant(part.at("tenant").as_string());
    EXPECT_EQ(picos(std::string(part.at("amount_exact").as_string())), expected.at(tenant))
        << tenant;
  }
  std::printf("%d kills: %zu turns, %zu receipts (%zu of turns cut short), %zu missing\n", kills,
              turns_.size(), receipts.size(), cut_short, missing);
}

}  // namespace quire::tests::ledger_kill_test
