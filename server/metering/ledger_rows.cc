#include "server/metering/ledger_rows.h"

#include <cstring>

namespace quire::server {

namespace {

template <typename T>
std::string plain_row(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
std::optional<T> parse_plain(std::string_view row) {
  if (row.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, row.data(), sizeof(T));
  return value;
}

}  // namespace

void append_big_endian(std::string& key, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(value >> shift));
}

uint64_t read_big_endian(std::string_view key, size_t at) {
  uint64_t value = 0;
  if (key.size() < at + 8) return value;  // a row of the device's is never a bug
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(key[at + i]);
  return value;
}

std::string block_key(const model::LedgerPosition& first) {
  std::string key(1, kBlockRows);
  append_big_endian(key, first.epoch);
  append_big_endian(key, first.sequence);
  return key;
}

model::LedgerPosition position_of(std::string_view block_key) {
  return {read_big_endian(block_key, 1), read_big_endian(block_key, 9)};
}

std::string open_turn_key(uint64_t session) {
  std::string key(1, kOpenTurnRows);
  append_big_endian(key, session);
  return key;
}

std::string hour_key(int64_t now_us) {
  std::string key(1, kHourRows);
  append_big_endian(key, static_cast<uint64_t>(now_us / kHourUs));
  return key;
}

std::string row_of(const HeadRow& head) { return plain_row(head); }

model::Result<HeadRow> read_head(const tiering::DatabaseReader& reader) {
  const std::string key(kHeadKey);
  const tiering::DatabaseScan head = reader.scan(key, key + '\0');
  if (head.valid()) {
    if (const auto row = parse_plain<HeadRow>(head.value())) return *row;
    return model::make_error(model::Errc::kCorrupt, "the ledger's head is none");
  }
  QUIRE_TRY(head.result());
  const tiering::DatabaseScan blocks = reader.scan_prefix(kBlockRows);
  QUIRE_TRY(blocks.result());
  if (!blocks.valid()) return HeadRow();
  return model::make_error(model::Errc::kCorrupt, "the ledger's blocks have no head");
}

std::string size_row(uint64_t bytes) { return plain_row(bytes); }

model::Result<uint64_t> read_block_bytes(const tiering::DatabaseReader& reader) {
  const std::string key(kSizeKey);
  const tiering::DatabaseScan size = reader.scan(key, key + '\0');
  if (size.valid()) {
    if (const auto bytes = parse_plain<uint64_t>(size.value())) return *bytes;
    return model::make_error(model::Errc::kCorrupt, "the ledger's size is none");
  }
  QUIRE_TRY(size.result());
  uint64_t bytes = 0;
  tiering::DatabaseScan blocks = reader.scan_prefix(kBlockRows);
  for (; blocks.valid(); blocks.next()) bytes += blocks.value().size();
  QUIRE_TRY(blocks.result());
  return bytes;
}

std::string row_of(const model::LedgerPosition& position) { return plain_row(position); }
std::optional<model::LedgerPosition> parse_position(std::string_view row) {
  return parse_plain<model::LedgerPosition>(row);
}

std::string open_turn_row(const LedgerItem& item) {
  std::string row = plain_row(item.receipt);
  for (size_t i = 0; i < model::kReceiptTexts; ++i) {
    const std::string_view text = item.texts.get(i);
    row.push_back(static_cast<char>(text.size()));
    row += text;
  }
  return row;
}

bool parse_open_turn(std::string_view row, LedgerItem& item) {
  if (row.size() < sizeof(item.receipt)) return false;
  item.kind = LedgerItem::Kind::kOpenTurn;
  std::memcpy(&item.receipt, row.data(), sizeof(item.receipt));
  row.remove_prefix(sizeof(item.receipt));
  for (size_t i = 0; i < model::kReceiptTexts; ++i) {
    if (row.empty() || row.size() - 1 < static_cast<uint8_t>(row[0])) return false;
    const size_t bytes = static_cast<uint8_t>(row[0]);
    item.texts.set(i, row.substr(1, bytes));
    row.remove_prefix(1 + bytes);
  }
  return true;
}

}  // namespace quire::server
