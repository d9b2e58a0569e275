// Sums of receipts by minute and hour in a ledger's database (model/receipts/rollup.h).
//
//   'm' minute epoch uid texts   written with the blocks whose receipts they sum; an epoch adds
//   rows
//                                of its own, so that nothing is read to go on after a start
//   'h' hour uid texts           made of the hour's 'm' rows once it is over: made twice, they are
//   the
//                                same
//   'R'                          the hours before are made
//
// Of one minute at most kMaxRollups are told apart, and kMaxOfUid of one user; what comes behind
// them is summed without texts, by user. Threads: the ledger's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "model/receipts/ledger_stream.h"
#include "tiering/database/database_batch.h"
#include "tiering/database/database_scan.h"

namespace quire::server {

inline constexpr size_t kMaxRollups = 4096;
inline constexpr size_t kMaxOfUid = 512;
inline constexpr int64_t kMinuteUs = 60'000'000;

class RollupTable {
 public:
  // `floor_us`: the time up to which an earlier epoch was told. Minutes go back neither behind it
  // nor behind one another, but where the wall clock was set back by more than an hour.
  RollupTable(uint64_t epoch, int64_t floor_us) : epoch_(epoch), minute_(floor_us / kMinuteUs) {}

  void add(const model::ReceiptRecord& receipt, const model::ReceiptTexts& texts);
  // Rows that changed since the last call, into the batch that writes the receipts.
  void write_to(tiering::DatabaseBatch& batch);
  // One hour that is over by `now_us` and has no rows yet. False: there is none.
  static model::Result<bool> close_hour(const tiering::DatabaseReader& reader, int64_t now_us,
                                        tiering::DatabaseBatch& batch);
  // Erases up to `count` rows of minutes before `before_us`. Returns how many.
  static size_t prune_minutes(const tiering::DatabaseReader& reader, int64_t before_us,
                              size_t count, tiering::DatabaseBatch& batch);

 private:
  struct Row {
    model::RollupSums sums;
    bool changed = false;
  };

  const uint64_t epoch_;
  int64_t minute_;                     // whose rows are kept here: the last one
  uint64_t clock_ = 0;                 // how often it was set back
  std::map<std::string, Row> rows_;    // by key
  std::map<uint32_t, size_t> of_uid_;  // rows of this minute
};

// Where rows of the time from `from_us` on, by minute or by hour, begin.
std::string rollup_key(bool by_hour, int64_t from_us);
// Of a row of either kind. kCorrupt.
model::Result<model::Rollup> parse_rollup_row(std::string_view key, std::string_view value);

}  // namespace quire::server
