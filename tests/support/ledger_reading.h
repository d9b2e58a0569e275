// A whole ledger, read from its directory as an operator's tools read it, and checked.
#pragma once

#include <string>
#include <vector>

#include "model/receipts/ledger_chain.h"
#include "model/receipts/ledger_stream.h"
#include "server/metering/ledger_export.h"

namespace quire::tests {

struct ReadReceipt {
  model::LedgerPosition position;
  model::ReceiptRecord record;
  std::vector<std::string> texts;  // by ReceiptText

  const std::string& text(model::ReceiptText which) const {
    return texts[static_cast<size_t>(which)];
  }
};

struct ReadStorage {
  model::StorageRecord record;
  std::string tenant;
  std::string retention;
};

struct ReadRollup {
  model::RollupKey key;
  model::RollupSums sums;
  std::vector<std::string> texts;
};

struct ReadLedger {
  std::vector<ReadReceipt> receipts;
  std::vector<ReadStorage> storage;
  std::vector<ReadRollup> rollups;
  std::vector<model::StartRecord> starts;
  std::vector<model::StopRecord> stops;
  std::vector<model::LostRecord> lost;
  std::vector<model::PrunedRecord> pruned;
  std::vector<std::string> faults;  // of the chain, and of receipts whose sums do not close
  model::LedgerHead head;           // the last entry read
  model::LedgerHead end;            // what the ledger says is its last
  bool ended = false;               // the stream has its end
};

// Frames of a stream, all of them.
ReadLedger parse_ledger(std::string_view stream);
// Of the database in this directory, whether a daemon has it open or not.
ReadLedger read_ledger(const std::string& path, const server::LedgerQuery& query = {});

}  // namespace quire::tests
