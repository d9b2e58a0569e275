// A ledger saved in a file, and quirectl run on it; a receipt in which no two fields are alike.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/quirectl/command_line.h"
#include "client/quirectl/meter/ledger_walk.h"
#include "model/receipts/ledger_stream.h"

namespace quire::tests {

inline constexpr int64_t kTenOClockUs = 1'796'032'800'000'000;  // 2026-11-30T10:00:00Z

struct Quirectl {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline Quirectl quirectl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "quirectl");
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out, err;
  const int code =
      client::run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err);
  return {code, out.str(), err.str()};
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline model::ReceiptRecord full_receipt() {
  model::ReceiptRecord record;
  record.request_id = UINT64_MAX;
  record.session = 42;
  record.conversation = 9'007'199'254'740'993;  // not a number of JavaScript
  record.opened_us = kTenOClockUs + 1;
  record.closed_us = kTenOClockUs + 2'500'000;
  record.written_bytes = {50'010, 6'234};
  record.moved_bytes = {101, 102, 103};
  record.turn = 3;
  record.uid = 1000;
  record.prompt_tokens = 1000;
  record.have_tokens = 11;
  record.announced_tokens = {512, 256, 128};
  record.delivered_tokens = {500, 250, 120};
  record.undelivered_tokens = 26;
  record.withheld_alignment_tokens = 14;
  record.withheld_group_tokens = 15;
  record.limit_tokens = 896;
  record.resumed_tokens = 870;
  record.hit_tokens = 742;
  record.replayed_tokens = 128;
  record.missed_tokens = 130;
  record.output_tokens = 77;
  record.written_tokens = 136;
  record.written_spans = 17;
  record.written_checkpoints = 2;
  record.how = static_cast<uint8_t>(model::ResumedHow::kSpan);
  record.limit = static_cast<uint8_t>(model::MatchLimit::kGroup);
  record.limit_group = 4;
  record.end = static_cast<uint8_t>(model::ReceiptEnd::kClosed);
  record.flags = model::kReceiptExplicit;
  return record;
}

// Names that every format has to quote.
inline constexpr model::ReceiptTexts kFullTexts{"acme \"east\", llc", "payer\\1", "space",
                                                "deepseek-flash",     "batch",    "5m"};

inline client::ReceiptView full_view() { return {{3, 17}, full_receipt(), kFullTexts}; }

inline client::StorageView full_storage() {
  model::StorageRecord record;
  record.from_us = kTenOClockUs;
  record.to_us = kTenOClockUs + 60'000'000;
  record.byte_us = {.low = 0, .high = 1};  // 2 to the 64th
  record.token_us = {.low = 1'500'000, .high = 0};
  record.uid = 1000;
  record.tier = 1;
  record.most_bytes = 4096;
  record.most_tokens = 8;
  return {{3, 18}, record, "acme", "1h"};
}

inline client::LostView full_lost() {
  return {{3, 19},
          {.from_us = kTenOClockUs,
           .to_us = kTenOClockUs + 1'000'000,
           .receipts = 7,
           .prompt_tokens = 700,
           .hit_tokens = 70}};
}

inline client::UnknownView full_unknown() {
  return {{4, 1},
          {.started_us = kTenOClockUs + 2'000'000,
           .unknown_from_us = kTenOClockUs,
           .unknown_to_us = kTenOClockUs + 2'000'000,
           .recovered_turns = 3}};
}

// Blocks of receipts in a file, as `quirectl meter export --raw` saves them.
class SavedLedger {
 public:
  SavedLedger() {
    static int number = 0;
    path_ = testing::TempDir() + "quire-meter-" + std::to_string(::getpid()) + "-" +
            std::to_string(++number);
  }
  ~SavedLedger() { std::filesystem::remove(path_); }

  const std::string& path() const { return path_; }
  std::vector<std::string>& blocks() { return blocks_; }
  const model::LedgerHead& head() const { return head_; }

  // A block of receipts a minute apart, numbered by their requests.
  void add_block(size_t receipts, uint64_t epoch = 1) {
    for (size_t i = 0; i < receipts; ++i) {
      model::ReceiptRecord record = full_receipt();
      record.request_id = ++requests_;
      record.opened_us = kTenOClockUs + static_cast<int64_t>(requests_) * 60'000'000;
      record.closed_us = record.opened_us + 1;
      add(record);
    }
    finish_block(epoch);
  }
  void add(const model::ReceiptRecord& record, std::string_view payer = "payer") {
    model::ReceiptTexts texts = kFullTexts;
    texts[static_cast<size_t>(model::ReceiptText::kPayer)] = payer;
    builder_.add(record, texts);
  }
  model::BlockBuilder& builder() { return builder_; }
  void finish_block(uint64_t epoch = 1) {
    blocks_.push_back(builder_.finish(head_, epoch, kTenOClockUs));
  }

  void save(bool with_end = true) const {
    std::string stream;
    for (const std::string& block : blocks_) {
      model::append_frame(stream, model::StreamKind::kBlock, block);
    }
    if (with_end) model::append_end(stream, head_, {});
    std::ofstream(path_, std::ios::binary) << stream;
  }

  // `quirectl meter VERB --file PATH ...`
  Quirectl run(const std::string& verb, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"meter", verb, "--file", path_});
    return quirectl(arguments);
  }

 private:
  std::string path_;
  model::BlockBuilder builder_;
  model::LedgerHead head_;
  std::vector<std::string> blocks_;
  uint64_t requests_ = 0;
};

}  // namespace quire::tests
