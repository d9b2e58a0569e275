// A ledger as an operator meets it: the real quired writes it, someone changes its database, and
// the real quirectl says what.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>

#include "model/receipts/ledger_block.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::meter_process_test {

namespace {

constexpr int kNotFound = 5;
constexpr int kDegraded = 6;
constexpr uint64_t kRuns = 3;  // of the daemon: each writes two blocks at least

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_in(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void run_turns(const DaemonProcess& daemon, uint64_t first_request) {
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1, "acme, \"east\"");
  for (uint64_t request = first_request; request < first_request + 2; ++request) {
    const auto found = session->match(kPromptTokens, 0, {}, request);
    QUIRE_CHECK(found.ok());
    QUIRE_CHECK(session->load(found->lease).ok());
  }
  QUIRE_CHECK(session->close().ok());
}

// Written once for all tests, each of which takes a copy.
class MeterProcess : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::TempDir() + "quire-meter-process-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
    DaemonProcess daemon({.flags = {"--ledger_path=" + written()}});
    for (uint64_t run = 0; run < kRuns; ++run) {
      if (run > 0) daemon.start();
      run_turns(daemon, 100 * (run + 1));
      EXPECT_EQ(daemon.stop(), 0);
    }
    daemon.start();
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }
  static std::string written() { return folder_ + "/ledger"; }

  void SetUp() override {
    std::filesystem::remove_all(copy_);
    std::filesystem::remove(copy_ + ".count");  // of the copy before, which had come further
    std::filesystem::copy(written(), copy_, std::filesystem::copy_options::recursive);
  }

  // Blocks by their keys, as they lie in the database.
  std::map<std::string, std::string> blocks() {
    std::map<std::string, std::string> found;
    change([&](rocksdb::DB& database) {
      const std::unique_ptr<rocksdb::Iterator> rows(database.NewIterator({}));
      for (rows->Seek("B"); rows->Valid() && rows->key().starts_with("B"); rows->Next()) {
        found[rows->key().ToString()] = rows->value().ToString();
      }
    });
    return found;
  }
  void change(const std::function<void(rocksdb::DB&)>& how) {
    rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::Options(), copy_, &opened).ok());
    const std::unique_ptr<rocksdb::DB> database(opened);
    how(*database);
  }
  void put(const std::string& key, const std::string& block) {
    change([&](rocksdb::DB& database) { EXPECT_TRUE(database.Put({}, key, block).ok()); });
  }
  void erase(const std::string& key) {
    change([&](rocksdb::DB& database) { EXPECT_TRUE(database.Delete({}, key).ok()); });
  }
  // The n-th block.
  std::pair<std::string, std::string> nth(size_t n) {
    const auto all = blocks();
    EXPECT_GT(all.size(), n + 1) << "the test needs more blocks";
    return *std::next(all.begin(), static_cast<ptrdiff_t>(n));
  }

  Output meter(const std::string& verb, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"meter", verb, "--ledger", copy_});
    return run_program("quirectl", arguments);
  }
  // It is found, and this is a line of what is said.
  void expect_fault(const std::string& begin_of_line) {
    const Output verified = meter("verify");
    EXPECT_EQ(verified.exit_code, kDegraded) << verified.text;
    EXPECT_TRUE(contains("\n" + verified.text, "\n" + begin_of_line)) << verified.text;
  }
  static std::string first_id(const std::string& block) {
    return model::to_text(model::LedgerBlock::parse(block).value().first());
  }

  static inline std::string folder_;
  const std::string copy_ = folder_ + "/copy";
};

}  // namespace

TEST_F(MeterProcess, WhatTheDaemonWroteIsGood) {
  const Output verified = meter("verify");
  EXPECT_EQ(verified.exit_code, 0) << verified.text;
  EXPECT_TRUE(contains(verified.text, "epochs    4\n")) << verified.text;
  EXPECT_TRUE(contains(verified.text, "faults    0\n")) << verified.text;
  const Output head = meter("head");
  EXPECT_EQ(head.exit_code, 0);
  EXPECT_TRUE(contains(verified.text, "head      " + head.text)) << head.text;
}

TEST_F(MeterProcess, AFlippedBitIsNamed) {
  auto [key, block] = nth(2);
  block[block.size() - 40] ^= 1;  // of the last entry's payload
  put(key, block);
  const auto last = model::LedgerBlock::parse(block).value().head();
  expect_fault("changed " + model::to_text(last.position) + ": ");
}

TEST_F(MeterProcess, ARemovedBlockIsNamed) {
  const std::string follows = first_id(nth(3).second);
  erase(nth(2).first);
  expect_fault("missing " + follows + ": ");
}

TEST_F(MeterProcess, TwoBlocksInEachOthersPlaceAreNamed) {
  const auto first = nth(2);
  const auto second = nth(3);
  put(first.first, second.second);
  put(second.first, first.second);
  expect_fault("missing " + first_id(second.second) + ": ");
  expect_fault("repeated " + first_id(first.second) + ": ");
}

TEST_F(MeterProcess, ADoubledBlockIsNamed) {
  const auto [key, block] = nth(2);
  put(key + '\x01', block);  // behind it, before the next one
  expect_fault("repeated " + first_id(block) + ": ");
}

TEST_F(MeterProcess, ACutTailIsNamed) {
  const auto all = blocks();
  erase(all.rbegin()->first);
  const auto end = model::LedgerBlock::parse(all.rbegin()->second).value().head();
  expect_fault("cut_off " + model::to_text(end.position) + ": ");
}

TEST_F(MeterProcess, ACutBeginIsNamed) {
  erase(nth(0).first);
  expect_fault("missing 0.0: ");
}

// Who changes what is kept of the head, too, is caught by what was signed off.
TEST_F(MeterProcess, ASignedOffHeadIsMissedInAShorterLedger) {
  const std::string head = meter("head").text;
  const std::string file = folder_ + "/head";
  std::ofstream(file) << head;
  EXPECT_EQ(meter("verify", {"--head", file}).exit_code, 0);
  erase(blocks().rbegin()->first);
  const Output verified = meter("verify", {"--head", file});
  EXPECT_EQ(verified.exit_code, kDegraded);
  EXPECT_TRUE(contains(verified.text, "not_anchored ")) << verified.text;
}

TEST_F(MeterProcess, AnExportGoesOnBehindTheLastIdThatWasSeen) {
  const auto whole = lines_in(meter("export", {"--format", "csv", "--no-header"}).text);
  ASSERT_EQ(whole.size(), 3 * kRuns) << "two turns a run, and the commits before them";
  for (size_t seen = 0; seen < whole.size(); ++seen) {
    const std::string id = whole[seen].substr(0, whole[seen].find(','));
    const auto rest =
        lines_in(meter("export", {"--format", "csv", "--no-header", "--after", id}).text);
    EXPECT_EQ(rest, std::vector<std::string>(whole.begin() + static_cast<ptrdiff_t>(seen) + 1,
                                             whole.end()));
  }
  EXPECT_TRUE(contains(whole[0], "\"acme, \"\"east\"\"\"")) << whole[0];
}

TEST_F(MeterProcess, TheRunningDaemonGivesWhatItsDirectoryHolds) {
  DaemonProcess daemon({.flags = {"--ledger_path=" + copy_}});
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket", daemon.socket_path(), "meter"});
    return run_program("quirectl", arguments);
  };
  const auto whole = lines_in(ask({"export"}).text);
  EXPECT_EQ(whole, lines_in(meter("export").text));
  const Output rest = ask({"export", "--after", "2.1"});
  EXPECT_EQ(rest.exit_code, 0);
  EXPECT_LT(lines_in(rest.text).size(), whole.size());
  EXPECT_TRUE(contains(ask({"verify"}).text, "faults    0\n"));
  EXPECT_EQ(ask({"head"}).exit_code, 0);
  EXPECT_EQ(lines_in(ask({"tail", "-n", "4"}).text).size(), 5u);
  const Output hours = ask({"show"});
  EXPECT_EQ(hours.exit_code, 0) << hours.text;
  EXPECT_TRUE(contains(hours.text, "total")) << hours.text;
  EXPECT_TRUE(contains(ask({"show", "-o", "json"}).text, "\"total\":{\"turns\":6,")) << hours.text;
  EXPECT_TRUE(
      contains(meter("show", {"--by", "minute", "-o", "json"}).text, "\"total\":{\"turns\":6,"));
}

// Until the daemon ends, or what reads it does.
TEST_F(MeterProcess, TailGoesOnWithWhatComes) {
  DaemonProcess daemon({.flags = {"--ledger_path=" + copy_}});
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const model::FdGuard output(ends[0]);
  model::FdGuard writing(ends[1]);
  TestProcess tail = TestProcess::exec({program_path("quirectl"), "--socket", daemon.socket_path(),
                                        "meter", "tail", "--follow", "-n", "1", "-o", "json"},
                                       {.output_fd = writing.get()});
  writing.reset();
  std::string text;
  const auto read_until = [&](const std::string& part) {
    std::array<char, 4096> bytes;
    while (!contains(text, part)) {
      const ssize_t got = ::read(output.get(), bytes.data(), bytes.size());
      if (got <= 0) return false;
      text.append(bytes.data(), static_cast<size_t>(got));
    }
    return true;
  };
  ASSERT_TRUE(read_until("\"request_id\":\"301\"")) << "the last one there was: " << text;
  run_turns(daemon, 900);
  ASSERT_TRUE(read_until("\"request_id\":\"901\"")) << text;
  EXPECT_EQ(lines_in(text).size(), 4u) << text;
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(tail.wait(), 0);
}

TEST_F(MeterProcess, ADirectoryThatHoldsNoneIsAFailureThatSaysWhy) {
  const std::string empty = folder_ + "/empty";
  std::filesystem::create_directories(empty);
  const Output ran = run_program("quirectl", {"meter", "verify", "--ledger", empty});
  EXPECT_EQ(ran.exit_code, 1) << ran.text;
  EXPECT_TRUE(contains(ran.text, "quired could not read the ledger")) << ran.text;
  EXPECT_EQ(run_program("quirectl", {"meter", "verify", "--ledger", copy_, "--quired", "/nowhere"})
                .exit_code,
            kNotFound);
}

}  // namespace quire::tests::meter_process_test
