#include "model/receipts/ledger_block.h"

#include <charconv>
#include <cstring>

#include "model/chain_hash.h"
#include "model/check.h"
#include "model/hex_text.h"

namespace quire::model {

namespace {

constexpr size_t kHashBytes = sizeof(Hash256);
constexpr size_t kMaxTextBytes = UINT8_MAX;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <typename T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

Hash256 hash_at(std::string_view bytes, size_t at) {
  Hash256 hash;
  std::memcpy(hash.bytes.data(), bytes.data() + at, kHashBytes);
  return hash;
}

size_t padded(size_t bytes) { return (bytes + 3) / 4 * 4; }

Error corrupt(const char* what) {
  return make_error(Errc::kCorrupt, std::string("a block of the ledger: ") + what);
}

template <typename T>
bool parse_whole(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string to_text(const Hash256& hash) { return hex_text(hash.bytes); }

Result<Hash256> parse_hash(std::string_view text) {
  Hash256 hash;
  bool good = text.size() == 2 * hash.bytes.size();
  for (size_t i = 0; good && i < hash.bytes.size(); ++i) {
    const std::string_view digits = text.substr(2 * i, 2);
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), hash.bytes[i], 16);
    good = error == std::errc() && end == digits.end();
  }
  if (good) return hash;
  return make_error(Errc::kInvalidArgument,
                    "not a hash of 64 hexadecimal digits: " + std::string(text));
}

std::string to_text(const LedgerPosition& position) {
  return std::to_string(position.epoch) + "." + std::to_string(position.sequence);
}

Result<LedgerPosition> parse_ledger_position(std::string_view text) {
  LedgerPosition position;
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || !parse_whole(text.substr(0, dot), position.epoch) ||
      !parse_whole(text.substr(dot + 1), position.sequence)) {
    return make_error(Errc::kInvalidArgument,
                      "not a position of a ledger, like 3.17: " + std::string(text));
  }
  return position;
}

uint16_t BlockBuilder::number_of(std::string_view text) {
  text = text.substr(0, kMaxTextBytes);
  if (const auto found = numbers_.find(text); found != numbers_.end()) return found->second;
  const auto number = static_cast<uint16_t>(numbers_.size());
  numbers_.emplace(text, number);
  texts_.push_back(static_cast<char>(text.size()));
  texts_.append(text);
  return number;
}

void BlockBuilder::add_payload(EntryType type, std::string_view payload) {
  QUIRE_CHECK(!full());
  entries_.push_back(
      {type, static_cast<uint32_t>(payloads_.size()), static_cast<uint16_t>(payload.size())});
  payloads_ += payload;
}

void BlockBuilder::add(ReceiptRecord record, const ReceiptTexts& texts) {
  for (size_t i = 0; i < texts.size(); ++i) record.names[i] = number_of(texts[i]);
  add_entry(EntryType::kReceipt, record);
}

void BlockBuilder::add(StorageRecord record, std::string_view tenant, std::string_view retention) {
  record.tenant = number_of(tenant);
  record.retention = number_of(retention);
  add_entry(EntryType::kStorage, record);
}

std::string BlockBuilder::finish(LedgerHead& head, uint64_t epoch, int64_t now_us) {
  QUIRE_CHECK(count() > 0);
  BlockHeader header;
  header.entry_count = static_cast<uint16_t>(count());
  header.epoch = epoch;
  header.first_sequence = head.position.epoch == epoch ? head.position.sequence + 1 : 1;
  header.written_us = now_us;
  header.text_count = static_cast<uint32_t>(numbers_.size());
  header.text_bytes = static_cast<uint32_t>(texts_.size());
  header.before = head.position;
  header.previous = head.hash;
  std::string block;
  block.reserve(sizeof(header) + padded(texts_.size()) + kHashBytes + payloads_.size() +
                count() * (sizeof(EntryHeader) + kHashBytes));
  append(block, header);
  block += texts_;
  block.append(padded(texts_.size()) - texts_.size(), '\0');
  append(block, sha256(bytes_of(block)).bytes);
  for (const Entry& entry : entries_) {
    const size_t chained = block.size() - kHashBytes;  // the hash before it
    append(block, EntryHeader{entry.type, 0, entry.bytes});
    block.append(payloads_, entry.begin, entry.bytes);
    append(block, sha256(bytes_of(std::string_view(block).substr(chained))).bytes);
  }
  head.position = {epoch, header.first_sequence + count() - 1};
  head.hash = hash_at(block, block.size() - kHashBytes);
  entries_.clear();
  payloads_.clear();
  texts_.clear();
  numbers_.clear();
  return block;
}

Result<LedgerBlock> LedgerBlock::parse(std::string_view bytes) {
  LedgerBlock block;
  block.bytes_ = bytes;
  if (bytes.empty()) return corrupt("the table that holds it is damaged there");
  if (bytes.size() < sizeof(BlockHeader) || bytes.size() > kMaxBlockBytes) {
    return corrupt("its length cannot be");
  }
  BlockHeader& header = block.header_;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kLedgerMagic) return corrupt("it does not begin as one");
  if (header.version != kLedgerVersion) {
    return make_error(Errc::kUnsupportedVersion, "the ledger was written by a later version");
  }
  if (header.entry_count == 0 || header.entry_count > kMaxBlockEntries) {
    return corrupt("it has no entries, or too many");
  }
  size_t at = sizeof(header);
  if (header.text_bytes > bytes.size() - at) return corrupt("its texts are cut off");
  const size_t texts_end = at + header.text_bytes;
  while (at < texts_end) {
    const size_t length = static_cast<uint8_t>(bytes[at]);
    if (length > texts_end - at - 1) return corrupt("a text is cut off");
    block.texts_.push_back(bytes.substr(at + 1, length));
    at += 1 + length;
  }
  if (block.texts_.size() != header.text_count) return corrupt("texts are missing");
  at = sizeof(header) + padded(header.text_bytes);
  block.opening_ = at;
  at += kHashBytes;
  for (uint64_t i = 0; i < header.entry_count; ++i) {
    EntryHeader entry;
    if (at > bytes.size() || bytes.size() - at < sizeof(entry)) return corrupt("it is cut off");
    std::memcpy(&entry, bytes.data() + at, sizeof(entry));
    at += sizeof(entry);
    if (bytes.size() - at < entry.payload_bytes + kHashBytes) return corrupt("it is cut off");
    block.entries_.push_back({.position = {header.epoch, header.first_sequence + i},
                              .type = entry.type,
                              .payload = bytes.substr(at, entry.payload_bytes),
                              .hash = hash_at(bytes, at + entry.payload_bytes)});
    at += entry.payload_bytes + kHashBytes;
  }
  if (at != bytes.size()) return corrupt("something follows its entries");
  return block;
}

ReceiptTexts LedgerBlock::texts_of(const ReceiptRecord& record) const {
  ReceiptTexts texts;
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = text(record.names[i]);
  return texts;
}

std::optional<LedgerPosition> LedgerBlock::first_bad_hash() const {
  if (sha256(bytes_of(bytes_.substr(0, opening_))) != hash_at(bytes_, opening_)) return first();
  size_t chained = opening_;
  for (const LedgerEntry& entry : entries_) {
    const size_t length = kHashBytes + sizeof(EntryHeader) + entry.payload.size();
    if (sha256(bytes_of(bytes_.substr(chained, length))) != entry.hash) return entry.position;
    chained += length;
  }
  return std::nullopt;
}

}  // namespace quire::model
