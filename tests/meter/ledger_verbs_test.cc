// `quirectl meter` on saved ledgers: what is read, left out, resumed and refused.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/head_text.h"
#include "client/quirectl/meter/ledger_source.h"
#include "tests/meter/meter_rig.h"

namespace quire::client::ledger_verbs_test {

using namespace quire::tests;
namespace json = boost::json;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Ids of the receipts of JSON lines.
std::vector<std::string> ids_of(const std::string& rows) {
  std::vector<std::string> ids;
  for (const std::string& line : lines_of(rows)) {
    ids.emplace_back(json::parse(line).at("id").as_string());
  }
  return ids;
}

class LedgerVerbs : public testing::Test {
 protected:
  LedgerVerbs() { ::unsetenv("QUIRECTL_OUTPUT"); }
  void SetUp() override {
    ledger_.add_block(3);  // 1.1 .. 1.3, requests 1 to 3 at 10:01 to 10:03
    ledger_.add_block(2);
    ledger_.add_block(3, /*epoch=*/2);  // 2.1 .. 2.3, requests 6 to 8
    ledger_.save();
  }
  std::vector<std::string> exported(std::vector<std::string> arguments = {}) {
    const Quirectl ran = ledger_.run("export", std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
    EXPECT_EQ(ran.err, "");
    return ids_of(ran.out);
  }

  SavedLedger ledger_;
};

const std::vector<std::string> kAll{"1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3"};

}  // namespace

TEST_F(LedgerVerbs, ExportGivesEveryReceiptInOrder) { EXPECT_EQ(exported(), kAll); }

TEST_F(LedgerVerbs, AfterAnIdComesExactlyTheRest) {
  for (size_t seen = 0; seen < kAll.size(); ++seen) {
    EXPECT_EQ(
        exported({"--after", kAll[seen]}),
        std::vector<std::string>(kAll.begin() + static_cast<ptrdiff_t>(seen) + 1, kAll.end()));
  }
}

// Else a consumer would wait for ever, or lack what went between two exports.
TEST_F(LedgerVerbs, WhatCannotBeResumedIsSaid) {
  const Quirectl other = ledger_.run("export", {"--after", "7.1"});
  EXPECT_EQ(other.exit_code, kExitNotFound);
  EXPECT_TRUE(has(other.err, "the ledger ends with 2.3")) << other.err;
  SavedLedger pruned;
  pruned.add_block(3);
  pruned.builder().add(model::PrunedRecord{.last = pruned.head()});
  pruned.blocks().clear();
  pruned.add_block(2);
  pruned.save();
  const Quirectl ran = pruned.run("export", {"--after", "1.1"});
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_TRUE(has(ran.err, "missing 1.1: what followed, up to 1.3,")) << ran.err;
  EXPECT_EQ(ids_of(ran.out), (std::vector<std::string>{"1.5", "1.6"}));
  EXPECT_EQ(pruned.run("export", {"--after", "1.3"}).exit_code, kExitOk);
  EXPECT_EQ(pruned.run("verify").exit_code, kExitOk) << "the ledger itself is good";
}

TEST_F(LedgerVerbs, TheWindowIsOfWhenARequestBegan) {
  EXPECT_EQ(exported({"--from", "2026-11-30T10:02:00Z", "--to", "2026-11-30T18:04:00+08:00"}),
            (std::vector<std::string>{"1.2", "1.3"}));
}

TEST_F(LedgerVerbs, OfATenantIsWhatItPaysFor) {
  ledger_.add(full_receipt(), "other, \"one\"");
  ledger_.builder().add(full_storage().record, "other, \"one\"", "1h");
  ledger_.builder().add(model::LostRecord{.receipts = 1});
  ledger_.finish_block(2);
  ledger_.save();
  EXPECT_EQ(exported({"--tenant", "other, \"one\""}), (std::vector<std::string>{"2.4", "2.5"}));
  EXPECT_EQ(exported({"--tenant", ""}), std::vector<std::string>());
  EXPECT_EQ(exported().size(), kAll.size() + 3) << "storage and what was lost, too";
}

TEST_F(LedgerVerbs, ExportGoesIntoAFileWholeOrFails) {
  const std::string path = ledger_.path() + ".csv";
  EXPECT_EQ(ledger_.run("export", {"--format", "csv", "--out", path}).exit_code, kExitOk);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(lines_of(text.str()).size(), kAll.size() + 1);
  EXPECT_EQ(ledger_.run("export", {"--format", "csv"}).out, text.str());
  EXPECT_EQ(ledger_.run("export", {"--after", "7.1", "--out", path}).exit_code, kExitNotFound);
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  std::ostringstream still;
  still << std::ifstream(path).rdbuf();
  EXPECT_EQ(still.str(), text.str()) << "as it was before";
  std::filesystem::remove(path);
  EXPECT_EQ(ledger_.run("export", {"--out", "/nowhere/x"}).exit_code, kExitFailed);
  EXPECT_EQ(ledger_.run("export", {"--out", "/dev/full"}).exit_code, kExitFailed);
}

TEST_F(LedgerVerbs, RowsToBeAppendedComeWithoutAHeader) {
  const std::string whole = ledger_.run("export", {"--format", "csv"}).out;
  const std::string begin =
      ledger_.run("export", {"--format", "csv", "--to", "2026-11-30T10:06:00Z"}).out;
  EXPECT_EQ(begin + ledger_.run("export", {"--format", "csv", "--no-header", "--after", "1.5"}).out,
            whole);
}

TEST_F(LedgerVerbs, ARawExportIsTheSameLedger) {
  const std::string path = ledger_.path() + ".raw";
  EXPECT_EQ(ledger_.run("export", {"--raw", path}).exit_code, kExitOk);
  EXPECT_EQ(quirectl({"meter", "export", "--file", path}).out, ledger_.run("export").out);
  EXPECT_EQ(quirectl({"meter", "verify", "--file", path}).exit_code, kExitOk);
  std::filesystem::remove(path);
}

TEST_F(LedgerVerbs, WhatMakesNoSenseIsAWrongUsage) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{"--format", "xml"}, "jsonl"},
      {{"--from", "2026-11-30T10:00:00"}, "is no instant with its offset from UTC"},
      {{"--to", "yesterday"}, "is no instant"},
      {{"--from", "2026-11-30T10:00:00Z", "--to", "2026-11-30T10:00:00Z"}, "is not before --to"},
      {{"--from", "2026-11-30T10:00:00Z", "--to", "2026-11-30T17:00:00+08:00"}, "is not before"},
      {{"--after", "17"}, "like 3.17"},
      {{"--format", "focus", "--currency", "usd"}, "three capitals"},
      {{"--format", "cloudevents", "--source", "not a uri%%"}, "no URI reference"},
      {{"--raw", "x", "--format", "csv"}, "excludes"},
      {{"--raw", "x", "--from", "2026-11-30T10:00:00Z"}, "excludes"}};
  for (const auto& [arguments, text] : wrong) {
    const Quirectl ran = ledger_.run("export", arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << arguments[0] << " " << arguments[1];
    EXPECT_TRUE(has(ran.err, text)) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_EQ(quirectl({"meter"}).exit_code, kExitUsage);
  EXPECT_EQ(ledger_.run("tail", {"--follow"}).exit_code, kExitUsage);
  EXPECT_EQ(ledger_.run("show").exit_code, kExitUsage) << "a saved ledger holds no sums";
  EXPECT_EQ(ledger_.run("export", {"--ledger", "/tmp"}).exit_code, kExitUsage);
}

TEST_F(LedgerVerbs, APlaceWhereNothingIsIsNotFound) {
  EXPECT_EQ(quirectl({"meter", "verify", "--file", "/nowhere/x"}).exit_code, kExitNotFound);
  EXPECT_EQ(quirectl({"meter", "verify", "--ledger", "/nowhere/x"}).exit_code, kExitNotFound);
  EXPECT_EQ(quirectl({"meter", "head", "--socket", "/nowhere/x"}).exit_code, kExitCannotConnect);
}

TEST_F(LedgerVerbs, AStreamWithoutItsEndWasCutOff) {
  ledger_.save(/*with_end=*/false);
  const Quirectl ran = ledger_.run("export");
  EXPECT_EQ(ran.exit_code, kExitFailed);
  EXPECT_TRUE(has(ran.err, "cut off: the daemon or the reader's side ended")) << ran.err;
  const Quirectl verified = ledger_.run("verify");
  EXPECT_EQ(verified.exit_code, kExitDegraded);
  EXPECT_TRUE(has(verified.out, "cut_off 2.3: ")) << verified.out;
}

// Else the second month of two that were joined would be in no bill.
TEST_F(LedgerVerbs, WhatFollowsAStreamsEndIsNotPassedOver) {
  const auto append = [&](const std::string& bytes) {
    ledger_.save();
    std::ofstream(ledger_.path(), std::ios::app | std::ios::binary) << bytes;
  };
  std::ostringstream whole;
  whole << std::ifstream(ledger_.path(), std::ios::binary).rdbuf();
  for (const std::string& more : {std::string("x"), whole.str()}) {
    append(more);
    EXPECT_EQ(ledger_.run("verify").exit_code, kExitDegraded);
    const Quirectl ran = ledger_.run("export");
    EXPECT_EQ(ran.exit_code, kExitDegraded);
    EXPECT_TRUE(has(ran.err, "something follows the end")) << ran.err;
  }
}

TEST_F(LedgerVerbs, AnEndThatWasChangedIsNone) {
  std::fstream file(ledger_.path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end).put('!');
  file.close();
  EXPECT_EQ(ledger_.run("verify").exit_code, kExitDegraded);
}

TEST_F(LedgerVerbs, WhatIsNoStreamIsRefused) {
  std::ofstream(ledger_.path()) << "id,opened,closed and other things that are no ledger\n";
  const Quirectl ran = ledger_.run("export");
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_TRUE(has(ran.err, "no stream of a ledger")) << ran.err;
}

TEST_F(LedgerVerbs, TailGivesTheLastOnes) {
  const Quirectl ran = ledger_.run("tail", {"-n", "2"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  const auto lines = lines_of(ran.out);
  ASSERT_EQ(lines.size(), 3u) << ran.out;
  EXPECT_EQ(lines[2],
            "2.3           2026-11-30T10:08:00Z  payer             deepseek-flash          1000"
            "       742       128       130        77       136  closed");
  EXPECT_EQ(lines[0].find("prompt") + 6, lines[2].find("1000") + 4) << "numbers below their names";
  EXPECT_EQ(ids_of(ledger_.run("tail", {"-o", "json"}).out), kAll);
}

// As `quired --export_ledger=minutes` gives them: two epochs in one minute, and one later.
TEST_F(LedgerVerbs, ShowSumsWhatIsOfOneTimeAndOwner) {
  std::string stream;
  const auto add = [&](int64_t minute, const char* payer, uint64_t turns) {
    model::Rollup rollup;
    rollup.key = {
        .begin_us = kTenOClockUs + minute * 60'000'000, .length_us = 60'000'000, .uid = 7};
    rollup.sums.turns = turns;
    rollup.sums.prompt_tokens = 100 * turns;
    rollup.texts = {"tenant", payer, "space", ""};
    model::append_rollup(stream, rollup);
  };
  add(0, "payer", 1);
  add(0, "payer", 2);
  add(0, "other", 4);
  add(5, "payer", 8);
  model::append_end(stream, {}, {});
  std::ofstream(ledger_.path(), std::ios::binary) << stream;
  const Quirectl ran = ledger_.run("show", {"--by", "minute"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(
      ran.out,
      "begin                 uid  payer  model  turns  prompt  hit  replayed  missed  output  "
      "written\n"
      "2026-11-30T10:00:00Z  7    other  space      4     400    0         0       0       0  "
      "      0\n"
      "2026-11-30T10:00:00Z  7    payer  space      3     300    0         0       0       0  "
      "      0\n"
      "2026-11-30T10:05:00Z  7    payer  space      8     800    0         0       0       0  "
      "      0\n"
      "total                                       15    1500    0         0       0       0  "
      "      0\n");
  const json::value said = json::parse(
      ledger_.run("show", {"--by", "minute", "--from", "2026-11-30T10:01:00Z", "-o", "json"}).out);
  EXPECT_EQ(said.at("schema"), "quire.meter.rollups.v1");
  EXPECT_EQ(said.at("rollups").as_array().size(), 1u);
  EXPECT_EQ(said.at_pointer("/total/turns"), 8);
  EXPECT_EQ(ledger_.run("export").exit_code, kExitUsage) << "sums are no receipts";
}

TEST_F(LedgerVerbs, AGoodLedgerIsVerifiedAndItsHeadPrinted) {
  const Quirectl ran = ledger_.run("verify");
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.out;
  const std::string head = head_text(ledger_.head(), kTenOClockUs);
  EXPECT_EQ(ran.out,
            "entries   8\nreceipts  8\nstorage   0\nlost      0\nunknown   0\nepochs    2\n"
            "first     1.1\nlast      2.3\nfaults    0\nhead      " +
                head + "\n");
  EXPECT_EQ(ledger_.run("head").out, head + "\n");
  const json::value said = json::parse(ledger_.run("verify", {"-o", "json"}).out);
  EXPECT_EQ(said.at("schema"), "quire.meter.verify.v1");
  EXPECT_TRUE(said.at("faults").as_array().empty());
  EXPECT_EQ(said.at("entries"), 8);
  EXPECT_EQ(said.at("head"), json::string_view(head));
}

// However long ago its daemon died: the status of a later one tells of the last death alone.
TEST_F(LedgerVerbs, TimeOfWhichTurnsMayBeMissingIsToldForGood) {
  ledger_.builder().add(full_unknown().record);
  ledger_.finish_block(3);
  model::StartRecord in_order;
  in_order.unknown_from_us = in_order.unknown_to_us = kTenOClockUs;
  ledger_.builder().add(in_order);
  ledger_.finish_block(4);
  ledger_.save();
  const Quirectl verified = ledger_.run("verify");
  EXPECT_EQ(verified.exit_code, kExitOk) << verified.out;
  EXPECT_TRUE(has(verified.out, "unknown   1\n")) << verified.out;
  EXPECT_EQ(json::parse(ledger_.run("verify", {"-o", "json"}).out).at("unknown_spans"), 1);
  const std::string row = R"({"type":"unknown","id":"3.1","from":"2026-11-30T10:00:00.000000Z",)"
                          R"("from_us":1796032800000000,"to":"2026-11-30T10:00:02.000000Z",)"
                          R"("to_us":1796032802000000,"recovered_turns":3})";
  const auto rows = lines_of(ledger_.run("export").out);
  ASSERT_EQ(rows.size(), kAll.size() + 1);
  EXPECT_EQ(rows.back(), row);
  EXPECT_EQ(lines_of(ledger_.run("export", {"--to", "2026-11-30T10:00:00Z"}).out).size(), 0u);
  EXPECT_EQ(lines_of(ledger_.run("export", {"--tenant", "payer"}).out).size(), kAll.size());
}

TEST_F(LedgerVerbs, AnEmptyLedgerIsGoodAndHasNoHead) {
  const SavedLedger empty;
  empty.save();
  const Quirectl ran = empty.run("verify");
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.out;
  EXPECT_TRUE(has(ran.out, "head      -\n")) << ran.out;
  EXPECT_EQ(empty.run("head").exit_code, kExitNotFound);
}

// Signed off, then more came; then someone wrote the ledger anew from before that entry on.
TEST_F(LedgerVerbs, ASignedOffHeadIsFoundAgainOrMissed) {
  const std::string head = ledger_.run("head").out;
  const std::string kept = ledger_.path() + ".head";
  std::ofstream(kept) << head;
  ledger_.add_block(2, 3);
  ledger_.save();
  EXPECT_EQ(ledger_.run("verify", {"--head", kept}).exit_code, kExitOk);
  EXPECT_EQ(ledger_.run("verify", {"--head", head.substr(0, head.size() - 1)}).exit_code, kExitOk);
  SavedLedger forged;
  for (size_t receipts : {4, 1}) forged.add_block(receipts);
  forged.add_block(5, 2);
  forged.save();
  EXPECT_EQ(forged.run("verify").exit_code, kExitOk) << "nothing in it tells";
  const Quirectl ran = forged.run("verify", {"--head", kept});
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_TRUE(has(ran.out, "not_anchored 2.3: ")) << ran.out;
  std::filesystem::remove(kept);
}

TEST_F(LedgerVerbs, AHeadThatIsNoneIsRefused) {
  EXPECT_EQ(ledger_.run("verify", {"--head", "/nowhere/x"}).exit_code, kExitNotFound);
  EXPECT_EQ(ledger_.run("verify", {"--head", "quire-ledger-head v1 1.1"}).exit_code, kExitUsage);
  std::string later = head_text(ledger_.head(), kTenOClockUs);
  later.replace(later.find("v1"), 2, "v2");
  EXPECT_NE(ledger_.run("verify", {"--head", later}).exit_code, kExitOk);
  std::string other = head_text(ledger_.head(), kTenOClockUs);
  EXPECT_EQ(parse_head(other)->position, ledger_.head().position);
  EXPECT_FALSE(parse_head(other + " more").ok());
  EXPECT_FALSE(parse_head(other.substr(0, other.size() - 9)).ok()) << "a time cut short";
}

TEST_F(LedgerVerbs, EachFaultIsALineWithItsKindAndPlace) {
  ledger_.blocks()[1][200] ^= 1;
  ledger_.blocks()[2][0] ^= 1;
  ledger_.save();
  const Quirectl ran = ledger_.run("verify");
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  const auto lines = lines_of(ran.out);
  EXPECT_TRUE(lines[0].starts_with("changed 1.4: ")) << ran.out;
  EXPECT_TRUE(lines[1].starts_with("changed 1.6: the block of entry 1.6 cannot be read"))
      << ran.out;
  EXPECT_TRUE(has(ran.out, "faults    2\n")) << ran.out;
  const json::value said = json::parse(ledger_.run("verify", {"-o", "json"}).out);
  EXPECT_EQ(said.at("faults").as_array().size(), 2u);
  EXPECT_EQ(said.at_pointer("/faults/0/kind"), "changed");
  EXPECT_EQ(said.at_pointer("/faults/0/id"), "1.4");
}

TEST_F(LedgerVerbs, AReceiptWhoseSumsDoNotCloseIsNamed) {
  model::ReceiptRecord record = full_receipt();
  ++record.hit_tokens;
  ledger_.add(record);
  ledger_.finish_block(2);
  ledger_.save();
  const Quirectl ran = ledger_.run("verify");
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_TRUE(ran.out.starts_with("sums 2.4: ")) << ran.out;
}

// Also where the daemon started since: the tail is gone, its loss is an entry.
TEST_F(LedgerVerbs, WhatAStartFoundMissingIsAFaultForGood) {
  ledger_.builder().add(model::StartRecord{
      .unknown_from_us = kTenOClockUs, .unknown_to_us = kTenOClockUs + 1, .missing_writes = 12});
  ledger_.finish_block(3);
  ledger_.save();
  const Quirectl ran = ledger_.run("verify");
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_TRUE(ran.out.starts_with("cut_off 3.1: 12 changes that were durable were gone"))
      << ran.out;
}

// A bill is not made of a damaged ledger by accident, nor are its good rows kept back.
TEST_F(LedgerVerbs, AnExportOfADamagedLedgerSaysSo) {
  ledger_.blocks()[1][200] ^= 1;
  ledger_.save();
  const Quirectl ran = ledger_.run("export");
  EXPECT_EQ(ran.exit_code, kExitDegraded);
  EXPECT_EQ(ids_of(ran.out), kAll);
  EXPECT_TRUE(ran.err.starts_with("changed 1.4: ")) << ran.err;
}

}  // namespace quire::client::ledger_verbs_test
