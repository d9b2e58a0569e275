#include "server/metering/ledger_export.h"

#include <utility>

#include "server/metering/ledger_rows.h"
#include "server/metering/rollup_table.h"

namespace quire::server {

using model::LedgerHead;
using model::Result;
using tiering::DatabaseReader;
using tiering::DatabaseScan;

namespace {

// The least key behind `key`.
std::string behind(std::string key) { return std::move(key += '\0'); }

model::Error missing(uint64_t writes) {
  return model::make_error(model::Errc::kCorrupt,
                           std::to_string(writes) +
                               " changes that were durable are not in the database any more: "
                               "its files were damaged, cut off, or put back from a copy");
}

std::string end_of(char kind) { return std::string(1, static_cast<char>(kind + 1)); }

}  // namespace

LedgerExport::State LedgerExport::step(const DatabaseReader& reader, const LedgerHead& head) {
  if (const Reader now = write(); now != Reader::kHasAll || ended_) {
    return now == Reader::kSlow ? State::kWaits : State::kDone;
  }
  const bool has_all = !next_.empty() && query_.what == LedgerQuery::What::kBlocks &&
                       position_of(next_) > head.position;
  if (has_all) return State::kIdle;
  if (const Result<void> read = read_slice(reader, head); !read.ok()) end(head, read);
  const Reader now = write();
  if (now != Reader::kHasAll) return now == Reader::kSlow ? State::kWaits : State::kDone;
  if (ended_) return State::kDone;
  const bool at_end =
      query_.what == LedgerQuery::What::kBlocks && position_of(next_) > head.position;
  return at_end ? State::kIdle : State::kMore;
}

LedgerExport::State LedgerExport::fail(const LedgerHead& head, const model::Error& error) {
  if (write() == Reader::kHasAll && !ended_) end(head, error);
  return write() == Reader::kSlow ? State::kWaits : State::kDone;
}

Result<std::string> LedgerExport::first_block(const DatabaseReader& reader) const {
  const std::string all(1, kBlockRows);
  if (query_.after != model::LedgerPosition{}) {
    // The block that holds it, which may hold what follows it, too.
    const auto found = QUIRE_TRY(reader.last_key(all, behind(block_key(query_.after))));
    return found ? *found : block_key({});
  }
  if (query_.from_us > 0) {
    const std::string hours(1, kHourRows);
    const auto found = QUIRE_TRY(reader.last_key(hours, behind(hour_key(query_.from_us))));
    if (!found) return block_key({});
    const DatabaseScan row = reader.scan(*found, behind(*found));
    const auto position = row.valid() ? parse_position(row.value()) : std::nullopt;
    if (position) return block_key(*position);
  }
  return block_key({});
}

Result<void> LedgerExport::find_begin(const DatabaseReader& reader) {
  if (query_.what == LedgerQuery::What::kBlocks) {
    next_ = QUIRE_TRY(first_block(reader));
    limit_ = end_of(kBlockRows);
  } else {
    next_ = rollup_key(query_.what == LedgerQuery::What::kHours, query_.from_us);
    limit_ = end_of(next_[0]);
  }
  return {};
}

void LedgerExport::append(const DatabaseScan& row) {
  if (query_.what == LedgerQuery::What::kBlocks) {
    return model::append_frame(slice_, model::StreamKind::kBlock, row.value());
  }
  // One that is none is left out: sums are made of receipts, and those are what counts.
  if (const auto rollup = parse_rollup_row(row.key(), row.value()); rollup.ok()) {
    model::append_rollup(slice_, *rollup);
  }
}

Result<void> LedgerExport::read_slice(const DatabaseReader& reader, const LedgerHead& head) {
  if (next_.empty()) QUIRE_TRY(find_begin(reader));
  DatabaseScan rows = reader.scan(next_, limit_);
  for (; rows.valid(); rows.next()) {
    if (slice_.size() >= kSliceBytes) {
      next_ = std::string(rows.key());
      return {};
    }
    append(rows);
  }
  QUIRE_TRY(rows.result());
  // Blocks that come later are behind the head's.
  next_ = block_key({head.position.epoch, head.position.sequence + 1});
  if (query_.follow && query_.what == LedgerQuery::What::kBlocks) return {};
  end(head, missing_writes_ == 0 ? Result<void>() : missing(missing_writes_));
  return {};
}

void LedgerExport::end(const LedgerHead& head, const Result<void>& result) {
  model::append_end(slice_, head, result);
  ended_ = true;
}

LedgerExport::Reader LedgerExport::write() {
  const auto now = std::chrono::steady_clock::now();
  if (reader_.flush()) {
    progressed_ = now;
    if (!slice_.empty()) {
      reader_.put(slice_);
      slice_.clear();
      reader_.flush();
    }
  }
  // Nothing is written while nothing comes: whether the reader is still there is asked.
  if (reader_.reader_gone()) return Reader::kGone;
  if (reader_.is_flushed()) return Reader::kHasAll;
  return now - progressed_ < kPatience ? Reader::kSlow : Reader::kGone;
}

}  // namespace quire::server
