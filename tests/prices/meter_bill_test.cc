// `quirectl meter bill` and `whatif` over a ledger's saved stream.
#include "client/quirectl/meter/meter_bill.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/quirectl/daemon_command.h"
#include "model/receipts/ledger_stream.h"

namespace quire::client::meter_bill_test {

namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int64_t kNow = 1'790'000'000'000'000 / kDayUs * kDayUs;  // 2026-09-21T00:00:00Z

std::string book_text(const std::string& hit) {
  return "vendor = \"v\"\n[[price]]\nmodel = \"m\"\ncurrency = \"USD\"\n"
         "from = 2026-01-01T00:00:00Z\nhit = \"" +
         hit + "\"\nmiss = \"10\"\noutput = \"20\"\n";
}

// A day, and a tenant, each of: 1,000 tokens, 600 of them hit, and 100 of an answer.
class MeterBill : public testing::Test {
 protected:
  MeterBill() {
    std::filesystem::create_directory(directory_);
    write("cheap.toml", book_text("1"));
    write("dear.toml", book_text("5"));
    options_.book = directory_ + "/cheap.toml";
    options_.place.file = directory_ + "/ledger";
    add(kNow, "a", "m");
    add(kNow + kDayUs, "a", "m");
    add(kNow + kDayUs, "b", "m");
    save();
  }
  ~MeterBill() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
  }
  void add(int64_t opened_us, std::string_view payer, std::string_view model) {
    model::ReceiptRecord record;
    record.turn = 1;
    record.opened_us = opened_us;
    record.closed_us = opened_us + 1;
    record.prompt_tokens = 1000;
    record.resumed_tokens = record.hit_tokens = 600;
    record.missed_tokens = 400;
    record.output_tokens = 100;
    builder_.add(record, {payer, payer, "space", model, "", ""});
  }
  void save() {
    blocks_.push_back(builder_.finish(head_, 1, kNow));
    std::string stream;
    for (const std::string& block : blocks_) {
      model::append_frame(stream, model::StreamKind::kBlock, block);
    }
    model::append_end(stream, head_, {});
    write("ledger", stream);
  }
  int bill() {
    out_.str("");
    err_.str("");
    return run_meter_bill(options_, out_, err_);
  }
  bool says(const std::string& text) const { return out_.str().find(text) != std::string::npos; }

  const std::string directory_ =
      testing::TempDir() + "quire-meter-bill-" + std::to_string(::getpid());
  model::BlockBuilder builder_;
  model::LedgerHead head_;
  std::vector<std::string> blocks_;
  MeterOptions options_;
  std::ostringstream out_, err_;
};

}  // namespace

// A bill that lacks something says so, of the time that it is for alone.
TEST_F(MeterBill, WhatHasNoReceiptIsSaid) {
  builder_.add(model::StartRecord{.unknown_from_us = kNow, .unknown_to_us = kNow + 1'500'000});
  builder_.add(
      model::StartRecord{.unknown_from_us = kNow + kDayUs, .unknown_to_us = kNow + kDayUs});
  builder_.add(
      model::LostRecord{.from_us = kNow + kDayUs, .to_us = kNow + kDayUs + 7, .receipts = 12});
  save();
  EXPECT_EQ(bill(), kExitOk) << err_.str();
  EXPECT_TRUE(
      says("3 requests; 12 more were lost, of all tenants; some may be missing of 1 span "
           "of time, together 1 s\n"))
      << out_.str();
  options_.to = "2026-09-22T00:00:00Z";
  EXPECT_EQ(bill(), kExitOk) << err_.str();
  EXPECT_TRUE(says("1 request before 2026-09-22T00:00:00Z; some may be missing of 1 span"))
      << out_.str();
  options_.json = true;
  EXPECT_EQ(bill(), kExitOk) << err_.str();
  EXPECT_TRUE(says(R"("lost_receipts":0,"unknown_spans":1,"unknown_us":1500000,)")) << out_.str();
}

TEST_F(MeterBill, ABillNamesItsRulesAndWhatHitsSaved) {
  EXPECT_EQ(bill(), kExitOk) << err_.str();
  EXPECT_TRUE(says("3 requests\n")) << out_.str();
  EXPECT_TRUE(says("1800 tokens")) << out_.str();
  EXPECT_TRUE(says("total USD 0.019800 for 3 requests; all missed: 0.036000, saved: 0.016200"))
      << out_.str();
}

TEST_F(MeterBill, TimeAndTenantLeaveWhatWasAskedFor) {
  options_.from = "2026-09-22T00:00:00Z";
  EXPECT_EQ(bill(), kExitOk);
  EXPECT_TRUE(says("total USD 0.013200 for 2 requests")) << out_.str();
  options_.tenant = "b";
  options_.of_tenant = true;
  EXPECT_EQ(bill(), kExitOk);
  EXPECT_TRUE(says("total USD 0.006600 for 1 request;")) << out_.str();
  options_.from.clear();
  options_.to = "2026-09-22T00:00:00Z";
  EXPECT_EQ(bill(), kExitOk);
  EXPECT_TRUE(says("0 requests before 2026-09-22T00:00:00Z of b")) << out_.str();
}

TEST_F(MeterBill, IsSplitByDaysOfAZone) {
  options_.split = {"day", "tenant"};
  options_.json = true;
  EXPECT_EQ(bill(), kExitOk);
  EXPECT_TRUE(says(R"("schema":"quire.meter.bill.v1")"));
  EXPECT_TRUE(says(R"("day":"2026-09-21","tenant":"a")")) << out_.str();
  EXPECT_TRUE(says(R"("day":"2026-09-22","tenant":"b")")) << out_.str();
  options_.zone = "America/New_York";
  EXPECT_EQ(bill(), kExitOk);
  EXPECT_TRUE(says(R"("day":"2026-09-20","tenant":"a")")) << out_.str();
}

TEST_F(MeterBill, WhatHasNoPriceIsSaidAndNotGuessed) {
  add(kNow, "a", "unknown");
  save();
  EXPECT_EQ(bill(), kExitFailed);
  EXPECT_TRUE(says("no price for 1 request of unknown")) << out_.str();
}

TEST_F(MeterBill, OfALedgerThatIsNotWholeTheBillMayNotBeEither) {
  blocks_[0][200] = static_cast<char>(blocks_[0][200] ^ 1);
  add(kNow, "a", "m");
  save();
  EXPECT_EQ(bill(), kExitDegraded);
  EXPECT_NE(err_.str().find("changed 1."), std::string::npos) << err_.str();
}

TEST_F(MeterBill, WrongOptionsAreNamed) {
  options_.split = {"colour"};
  EXPECT_EQ(bill(), kExitUsage);
  options_.split.clear();
  options_.book = directory_ + "/none.toml";
  EXPECT_NE(bill(), kExitOk);
  options_.book = directory_ + "/cheap.toml";
  options_.zone = "Nowhere/Town";
  options_.split = {"day"};
  EXPECT_EQ(bill(), kExitNotFound);
  EXPECT_NE(err_.str().find("Nowhere/Town"), std::string::npos) << err_.str();
}

TEST_F(MeterBill, WhatIfSaysWhatAnotherBookWouldChange) {
  options_.with_book = directory_ + "/dear.toml";
  EXPECT_EQ(run_meter_whatif(options_, out_, err_), kExitOk) << err_.str();
  EXPECT_TRUE(says("difference USD +0.0072\n")) << out_.str();
  std::swap(options_.book, options_.with_book);
  out_.str("");
  EXPECT_EQ(run_meter_whatif(options_, out_, err_), kExitOk);
  EXPECT_TRUE(says("difference USD -0.0072\n")) << out_.str();
}

}  // namespace quire::client::meter_bill_test
