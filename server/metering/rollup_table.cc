#include "server/metering/rollup_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/metering/ledger_rows.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;
using model::RollupSums;
using tiering::DatabaseScan;

namespace {

constexpr char kMinuteRows = 'm';
constexpr char kHourSums = 'h';
constexpr std::string_view kClosedKey = "R";
constexpr size_t kTimeBytes = 1 + 8;
constexpr size_t kEpochBytes = 8;
// So far the wall clock may go back without being taken for set back.
constexpr int64_t kMinutesBack = 60;

int64_t length_of(char kind) { return kind == kMinuteRows ? kMinuteUs : kHourUs; }

std::string time_key(char kind, int64_t time_us) {
  std::string key(1, kind);
  append_big_endian(key, static_cast<uint64_t>(std::max<int64_t>(time_us, 0) / length_of(kind)));
  return key;
}

void append_owner(std::string& key, uint32_t uid, const model::ReceiptTexts& texts) {
  append_big_endian(key, uid);
  for (size_t i = 0; i < model::kRollupTexts; ++i) {
    key.push_back(static_cast<char>(texts[i].size()));
    key += texts[i];
  }
}

std::string value_of(const RollupSums& sums) {
  return std::string(reinterpret_cast<const char*>(&sums), sizeof(sums));
}

bool parse_sums(std::string_view value, RollupSums& sums) {
  if (value.size() != sizeof(sums)) return false;
  std::memcpy(&sums, value.data(), sizeof(sums));
  return true;
}

}  // namespace

void RollupTable::add(const model::ReceiptRecord& receipt, const model::ReceiptTexts& texts) {
  const int64_t minute = receipt.closed_us / kMinuteUs;
  const bool set_back = minute + kMinutesBack < minute_;
  if (minute > minute_ || set_back) {
    std::erase_if(rows_, [](const auto& row) { return !row.second.changed; });
    minute_ = minute;
    of_uid_.clear();
    // A minute that comes again has rows of its own.
    if (set_back) ++clock_;
  }
  std::string key = time_key(kMinuteRows, minute_ * kMinuteUs);
  append_big_endian(key, epoch_ << 16 | clock_);
  const size_t owner = key.size();
  append_owner(key, receipt.uid, texts);
  if (!rows_.contains(key) && (rows_.size() >= kMaxRollups || of_uid_[receipt.uid] >= kMaxOfUid)) {
    key.resize(owner);
    append_owner(key, receipt.uid, {});
  }
  if (!rows_.contains(key)) ++of_uid_[receipt.uid];
  Row& row = rows_[key];
  row.sums.add(receipt);
  row.changed = true;
}

void RollupTable::write_to(tiering::DatabaseBatch& batch) {
  for (auto& [key, row] : rows_) {
    if (!std::exchange(row.changed, false)) continue;
    batch.put(key, value_of(row.sums));
  }
}

Result<bool> RollupTable::close_hour(const tiering::DatabaseReader& reader, int64_t now_us,
                                     tiering::DatabaseBatch& batch) {
  int64_t next = 0;
  {
    const DatabaseScan closed =
        reader.scan(std::string(kClosedKey), std::string(kClosedKey) + '\0');
    if (closed.valid()) next = static_cast<int64_t>(read_big_endian(closed.value(), 0));
  }
  DatabaseScan minutes = reader.scan(time_key(kMinuteRows, next * kHourUs),
                                     time_key(kMinuteRows, now_us / kHourUs * kHourUs));
  if (!minutes.valid()) return false;
  const auto hour_of = [](std::string_view key) {
    return static_cast<int64_t>(read_big_endian(key, 1)) * kMinuteUs / kHourUs;
  };
  const int64_t hour = hour_of(minutes.key());
  std::map<std::string, RollupSums> sums;
  for (; minutes.valid() && hour_of(minutes.key()) == hour; minutes.next()) {
    RollupSums row;
    // One that is none is left out: sums are made of receipts, and those are what counts.
    if (minutes.key().size() < kTimeBytes + kEpochBytes || !parse_sums(minutes.value(), row)) {
      continue;
    }
    std::string key = time_key(kHourSums, hour * kHourUs);
    key += minutes.key().substr(kTimeBytes + kEpochBytes);
    sums[key].add(row);
  }
  QUIRE_TRY(minutes.result());
  for (const auto& [key, row] : sums) batch.put(key, value_of(row));
  std::string closed;
  append_big_endian(closed, static_cast<uint64_t>(hour + 1));
  batch.put(std::string(kClosedKey), std::move(closed));
  return true;
}

size_t RollupTable::prune_minutes(const tiering::DatabaseReader& reader, int64_t before_us,
                                  size_t count, tiering::DatabaseBatch& batch) {
  size_t pruned = 0;
  DatabaseScan minutes = reader.scan(time_key(kMinuteRows, 0), time_key(kMinuteRows, before_us));
  for (; minutes.valid() && pruned < count; minutes.next(), ++pruned) {
    batch.erase(std::string(minutes.key()));
  }
  return pruned;
}

std::string rollup_key(bool by_hour, int64_t from_us) {
  return time_key(by_hour ? kHourSums : kMinuteRows, from_us);
}

Result<model::Rollup> parse_rollup_row(std::string_view key, std::string_view value) {
  model::Rollup rollup;
  const auto bad = [] { return make_error(Errc::kCorrupt, "a sum of the ledger is none"); };
  const char kind = key.empty() ? '\0' : key[0];
  const size_t owner = kTimeBytes + (kind == kMinuteRows ? kEpochBytes : 0);
  if (key.size() < owner + 8 || !parse_sums(value, rollup.sums)) return bad();
  rollup.key.length_us = length_of(kind);
  rollup.key.begin_us = static_cast<int64_t>(read_big_endian(key, 1)) * rollup.key.length_us;
  rollup.key.uid = static_cast<uint32_t>(read_big_endian(key, owner));
  key.remove_prefix(owner + 8);
  for (std::string_view& text : rollup.texts) {
    if (key.empty() || key.size() - 1 < static_cast<uint8_t>(key[0])) return bad();
    text = key.substr(1, static_cast<uint8_t>(key[0]));
    key.remove_prefix(1 + text.size());
  }
  return rollup;
}

}  // namespace quire::server
