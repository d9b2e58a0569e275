// What a ledger's database holds: keys and values, and nothing of when they are written.
//
//   'B' epoch sequence    a block (model/receipts/ledger_block.h), by its first entry
//   'H'                   HeadRow: where the chain stands
//   'O' session           an open turn, as far as it was; gone with its receipt
//   'T' hour              the first block of an hour, so that readers begin there; written once,
//   and
//                         none for an hour that came again
//   'm' minute ..., 'h' hour ...    sums (rollups.h)
//   'R'                   up to which hour 'h' rows are made
//   'S'                   bytes of all blocks; none in a ledger of earlier versions
//
// Numbers in keys are big-endian, so that they stand in order. Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/receipts/ledger_block.h"
#include "server/metering/ledger_item.h"
#include "tiering/database/database_scan.h"

namespace quire::server {

inline constexpr char kBlockRows = 'B';
inline constexpr char kOpenTurnRows = 'O';
inline constexpr char kHourRows = 'T';
inline constexpr std::string_view kHeadKey = "H";
inline constexpr std::string_view kSizeKey = "S";

inline constexpr int64_t kHourUs = 3'600'000'000;

struct HeadRow {
  model::LedgerHead head;
  int64_t told_us = 0;  // everything that ended before is in the ledger
  uint8_t stopped = 0;  // the epoch ended in order: nothing happened since
  std::array<uint8_t, 7> reserved{};
};
static_assert(sizeof(HeadRow) == 64);

std::string block_key(const model::LedgerPosition& first);
// Precondition: a key of a block row, whole.
model::LedgerPosition position_of(std::string_view block_key);
std::string open_turn_key(uint64_t session);
std::string hour_key(int64_t now_us);
void append_big_endian(std::string& key, uint64_t value);
// 0 where there is less.
uint64_t read_big_endian(std::string_view key, size_t at);

std::string row_of(const HeadRow& head);
// All zero for a ledger that is empty. kCorrupt: it is none, or blocks are there without it.
model::Result<HeadRow> read_head(const tiering::DatabaseReader& reader);
// Position of a block, or of an hour's first.
std::string row_of(const model::LedgerPosition& position);
std::optional<model::LedgerPosition> parse_position(std::string_view row);

// Bytes of all blocks: of the size's row, or counted where there is none. kCorrupt: it is none.
model::Result<uint64_t> read_block_bytes(const tiering::DatabaseReader& reader);
std::string size_row(uint64_t bytes);

std::string open_turn_row(const LedgerItem& item);
// False: it is none.
bool parse_open_turn(std::string_view row, LedgerItem& item);

}  // namespace quire::server
