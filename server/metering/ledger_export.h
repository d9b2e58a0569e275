// One reader of the ledger: blocks or sums go into its pipe as far as it takes them.
//
// Where a table of the database is damaged, a frame without bytes stands for the blocks that cannot
// be read, and the next one that can follows it: what lies behind is not kept back.
// The reader's pace is its own: what the pipe does not take waits here, at most kSliceBytes and a
// block, and no one else does. One that takes nothing for kPatience is let go.
// Threads: the ledger's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "model/receipts/ledger_stream.h"
#include "model/result.h"
#include "server/runtime/pipe_writer.h"
#include "tiering/database/database_scan.h"

namespace quire::server {

struct LedgerQuery {
  enum class What : uint8_t { kBlocks = 0, kMinutes = 1, kHours = 2 };
  What what = What::kBlocks;
  bool follow = false;            // blocks: goes on with those to come
  model::LedgerPosition after{};  // blocks: the first one holds what follows this
  int64_t from_us = 0;            // the first one is of this hour, or earlier; sums: from here on
};

class LedgerExport {
 public:
  static constexpr size_t kSliceBytes = 1 << 18;
  static constexpr std::chrono::minutes kPatience{10};

  // `pipe`: the end that is written, non-blocking.
  LedgerExport(const LedgerQuery& query, model::FdGuard pipe)
      : query_(query), reader_(std::move(pipe)) {}

  // Before the first step: the database lost so many changes that were durable, and the reader is
  // told so behind all that is there. Of one that no daemon opened since: a start's entry says it.
  void note_missing(uint64_t writes) { missing_writes_ = writes; }

  enum class State : uint8_t {
    kMore,   // another step can go on at once
    kWaits,  // for the reader, who is slow
    kIdle,   // for something to read
    kDone,   // all was taken, or the reader is gone
  };
  // `head`: the ledger's, durable.
  State step(const tiering::DatabaseReader& reader, const model::LedgerHead& head);
  // All of it went out, its end too.
  bool is_complete() const { return ended_ && slice_.empty() && reader_.is_flushed(); }
  bool follows() const { return query_.follow; }
  // The ledger cannot be read: the reader is told so.
  State fail(const model::LedgerHead& head, const model::Error& error);

 private:
  model::Result<void> read_slice(const tiering::DatabaseReader& reader,
                                 const model::LedgerHead& head);
  model::Result<void> find_begin(const tiering::DatabaseReader& reader);
  model::Result<std::string> first_block(const tiering::DatabaseReader& reader) const;
  void append(const tiering::DatabaseScan& row);
  model::Result<void> pass_damage(const tiering::DatabaseReader& reader, const model::Error& why);
  void end(const model::LedgerHead& head, const model::Result<void>& result);
  // What became of the reader: it has taken all, is slow, or gone.
  enum class Reader : uint8_t { kHasAll, kSlow, kGone };
  Reader write();

  LedgerQuery query_;
  PipeWriter reader_;
  std::string next_;  // key of the next row; empty: not known yet
  std::string limit_;
  model::LedgerPosition last_;  // blocks: the last one that was read, or is about to be
  std::string slice_;           // for the pipe, once it took all before
  uint64_t missing_writes_ = 0;
  bool ended_ = false;
  std::chrono::steady_clock::time_point progressed_ = std::chrono::steady_clock::now();
};

}  // namespace quire::server
