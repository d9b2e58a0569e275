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

// What can be read behind a place of the table that cannot: sought by leaps that double, and then
// between the last that met the damage and the first that did not. What lies between two damaged
// places near each other may be passed over with them. Bounded: kLeaps an epoch, kMostSeeks in all.
class DamagePasser {
 public:
  DamagePasser(const DatabaseReader& reader, std::string limit)
      : reader_(reader), limit_(std::move(limit)) {}

  // The first block's key behind `from`; empty: there is none. None: there are more damaged places
  // than are looked through.
  std::optional<std::string> find(const model::LedgerPosition& from) {
    for (model::LedgerPosition base = from; seeks_ < kMostSeeks; base = {base.epoch + 1, 0}) {
      for (uint64_t leap = 1; leap < uint64_t{1} << kLeaps; leap *= 2) {
        if (seek(base, leap)) return between(base, leap / 2, leap);
      }
    }
    return {};
  }

 private:
  static constexpr uint32_t kLeaps = 40;
  static constexpr uint32_t kMostSeeks = 4096;

  bool seek(const model::LedgerPosition& base, uint64_t leap) {
    ++seeks_;
    const DatabaseScan rows = reader_.scan(block_key({base.epoch, base.sequence + leap}), limit_);
    found_ = rows.valid() ? std::string(rows.key()) : std::string();
    return rows.valid() || rows.result().ok();
  }

  // Precondition: seek() is false at `bad`, or that is where it began; true at `good`.
  std::string between(const model::LedgerPosition& base, uint64_t bad, uint64_t good) {
    std::string key = found_;
    while (good - bad > 1) {
      const uint64_t middle = bad + (good - bad) / 2;
      const bool readable = seek(base, middle);
      (readable ? good : bad) = middle;
      if (readable) key = found_;
    }
    return key;
  }

  const DatabaseReader& reader_;
  const std::string limit_;
  std::string found_;  // by the last seek() that was true
  uint32_t seeks_ = 0;
};

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
    last_ = position_of(next_);
  } else {
    next_ = rollup_key(query_.what == LedgerQuery::What::kHours, query_.from_us);
    limit_ = end_of(next_[0]);
  }
  return {};
}

void LedgerExport::append(const DatabaseScan& row) {
  if (query_.what == LedgerQuery::What::kBlocks) {
    last_ = position_of(row.key());
    return model::append_frame(slice_, model::StreamKind::kBlock, row.value());
  }
  // One that is none is left out: sums are made of receipts, and those are what counts.
  if (const auto rollup = parse_rollup_row(row.key(), row.value()); rollup.ok()) {
    model::append_rollup(slice_, *rollup);
  }
}

// Sums are made of receipts and can be made again: there is no more of them than can be read.
Result<void> LedgerExport::pass_damage(const DatabaseReader& reader, const model::Error& why) {
  if (query_.what != LedgerQuery::What::kBlocks || why.code != model::Errc::kCorrupt) return why;
  const auto behind_it = DamagePasser(reader, limit_).find(last_);
  if (!behind_it) return why;
  model::append_frame(slice_, model::StreamKind::kBlock, {});
  next_ = behind_it->empty() ? limit_ : *behind_it;
  last_ = behind_it->empty() ? last_ : position_of(next_);  // never the same place twice
  return {};
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
  if (const auto read = rows.result(); !read.ok()) return pass_damage(reader, read.error());
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
