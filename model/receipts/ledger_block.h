// Blocks of a ledger: what became durable at once, chained by SHA-256.
//
//   [BlockHeader][texts: u8 length, bytes, ...][0..3 bytes of 0][opening 32 B]
//   [EntryHeader][payload][hash 32 B] ... count times
//
//   opening  = SHA-256 of header and texts; the header names the hash before the block
//   hash     = SHA-256 of the hash before it (opening, or the entry's before), header and payload
//
// So the bytes hashed lie behind each other, and an entry's hash binds everything before it in this
// ledger: whoever keeps one hash can tell later whether anything up to there was changed.
//
// An entry's number is (epoch, sequence): an epoch begins with each start of the daemon, sequences
// with 1 in each epoch. The chain goes on from one epoch to the next.
//
// Format 1. All integers little-endian. Threads: any; values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/hash256.h"
#include "model/receipts/receipt.h"
#include "model/result.h"

namespace quire::model {

inline constexpr uint32_t kLedgerMagic = 0x474c5251;  // "QRLG"
inline constexpr uint16_t kLedgerVersion = 1;
inline constexpr size_t kMaxBlockEntries = 1024;   // some 240 KiB
inline constexpr size_t kMaxBlockBytes = 1 << 20;  // a block from elsewhere is not read beyond it

// 64 hexadecimal digits.
std::string to_text(const Hash256& hash);
// kInvalidArgument.
Result<Hash256> parse_hash(std::string_view text);

// Number of an entry. (0, 0) stands before the first.
struct LedgerPosition {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  friend auto operator<=>(const LedgerPosition&, const LedgerPosition&) = default;
};
// "3.17".
std::string to_text(const LedgerPosition& position);
// kInvalidArgument.
Result<LedgerPosition> parse_ledger_position(std::string_view text);

// An entry, and the chain up to it: what can be signed off, and asked for later.
struct LedgerHead {
  LedgerPosition position;
  Hash256 hash;  // zero before the first entry
  friend bool operator==(const LedgerHead&, const LedgerHead&) = default;
};

struct BlockHeader {
  uint32_t magic = kLedgerMagic;
  uint16_t version = kLedgerVersion;
  uint16_t entry_count = 0;
  uint64_t epoch = 0;
  uint64_t first_sequence = 0;
  int64_t written_us = 0;  // wall clock
  uint32_t text_count = 0;
  uint32_t text_bytes = 0;  // without the padding
  LedgerPosition before;    // the entry that `previous` is of
  Hash256 previous;
};
static_assert(sizeof(BlockHeader) == 88);

enum class EntryType : uint8_t {
  kReceipt = 1,
  kStorage = 2,  // what a tenant held over a span of time
  kStart = 3,    // first of each epoch
  kStop = 4,     // last of an epoch that ended in order
  kLost = 5,     // receipts that could not be kept while the device took no writes
  kPruned = 6,   // everything before it was removed, its age being over
};

struct EntryHeader {
  EntryType type = EntryType::kReceipt;
  uint8_t reserved = 0;
  uint16_t payload_bytes = 0;  // a multiple of 4
};
static_assert(sizeof(EntryHeader) == 4);

// Unsigned 128-bit, as two words.
struct WideCount {
  uint64_t low = 0;
  uint64_t high = 0;
};

struct StorageRecord {
  int64_t from_us = 0;  // wall clock
  int64_t to_us = 0;
  WideCount byte_us;       // bytes held x microseconds, integrated at every change
  WideCount token_us;      // likewise, tokens of spans
  uint32_t uid = 0;        // of the domain's user
  uint16_t tenant = 0;     // of the block's texts
  uint16_t retention = 0;  // likewise
  uint8_t tier = 0;        // TierId; kAnyTier: on whichever, each object once
  std::array<uint8_t, 7> reserved{};
  uint64_t most_bytes = 0;  // at any instant of it
  uint64_t most_tokens = 0;
};
static_assert(sizeof(StorageRecord) == 80);

struct StartRecord {
  int64_t started_us = 0;
  // What the epoch before did between these is not known, but for turns that were open (they have
  // receipts in this epoch); equal: it ended in order, or there was none.
  int64_t unknown_from_us = 0;
  int64_t unknown_to_us = 0;
  uint32_t recovered_turns = 0;  // receipts of turns that its end cut short
  // So many changes that were durable once the database did not have at this start: its files were
  // damaged, cut off, or put back from an older copy. At most UINT32_MAX are told.
  uint32_t missing_writes = 0;
};
static_assert(sizeof(StartRecord) == 32);

struct StopRecord {
  int64_t stopped_us = 0;
};

struct LostRecord {
  int64_t from_us = 0;  // the first of them ended
  int64_t to_us = 0;    // the last
  uint64_t receipts = 0;
  uint64_t prompt_tokens = 0;  // of all of them
  uint64_t hit_tokens = 0;
};
static_assert(sizeof(LostRecord) == 40);

struct PrunedRecord {
  LedgerHead last;  // of what was removed
  int64_t pruned_us = 0;
};
static_assert(sizeof(PrunedRecord) == 56);

// One entry of a block; lent by its bytes.
struct LedgerEntry {
  LedgerPosition position;
  EntryType type;
  std::string_view payload;
  Hash256 hash;  // as it stands there
};

// Collects entries, then makes their block. Reused, it allocates nothing once it has grown.
class BlockBuilder {
 public:
  size_t count() const { return entries_.size(); }
  bool full() const { return entries_.size() == kMaxBlockEntries; }
  // Precondition of all: not full(). `record.names` is set here.
  void add(ReceiptRecord record, const ReceiptTexts& texts);
  void add(StorageRecord record, std::string_view tenant, std::string_view retention);
  void add(const StartRecord& record) { add_entry(EntryType::kStart, record); }
  void add(const StopRecord& record) { add_entry(EntryType::kStop, record); }
  void add(const LostRecord& record) { add_entry(EntryType::kLost, record); }
  void add(const PrunedRecord& record) { add_entry(EntryType::kPruned, record); }

  // The block behind `head`, in this epoch: sequences go on where head is of it, else begin with 1.
  // Moves head to the block's last entry, and begins a new block. Precondition: count() > 0.
  std::string finish(LedgerHead& head, uint64_t epoch, int64_t now_us);

 private:
  struct Entry {
    EntryType type;
    uint32_t begin = 0;  // of its payload, in payloads_
    uint16_t bytes = 0;
  };
  template <typename T>
  void add_entry(EntryType type, const T& record) {
    static_assert(sizeof(T) % 4 == 0 && std::has_unique_object_representations_v<T>);
    add_payload(type, {reinterpret_cast<const char*>(&record), sizeof(T)});
  }
  void add_payload(EntryType type, std::string_view payload);
  uint16_t number_of(std::string_view text);

  std::vector<Entry> entries_;
  std::string payloads_;
  std::string texts_;  // as they stand in the block
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, uint16_t, TextHash, std::equal_to<>> numbers_;
};

// A block's bytes, parsed; lent by them.
class LedgerBlock {
 public:
  // kCorrupt names what is wrong with its shape; kUnsupportedVersion. Its hashes are not looked at.
  static Result<LedgerBlock> parse(std::string_view bytes);

  const BlockHeader& header() const { return header_; }
  const std::vector<LedgerEntry>& entries() const { return entries_; }
  LedgerPosition first() const { return {header_.epoch, header_.first_sequence}; }
  LedgerHead head() const { return {entries_.back().position, entries_.back().hash}; }
  LedgerHead before() const { return {header_.before, header_.previous}; }
  // Empty for a number that the block has no text of.
  std::string_view text(uint16_t number) const {
    return number < texts_.size() ? texts_[number] : std::string_view();
  }
  ReceiptTexts texts_of(const ReceiptRecord& record) const;
  // The first entry whose hash is not that of its bytes; that of the block's first entry, too, when
  // header or texts are not those that were hashed.
  std::optional<LedgerPosition> first_bad_hash() const;

 private:
  std::string_view bytes_;
  size_t opening_ = 0;  // where it stands
  BlockHeader header_;
  std::vector<std::string_view> texts_;
  std::vector<LedgerEntry> entries_;
};

// kCorrupt when the entry is of another type, or too short.
template <typename T>
Result<T> read_record(const LedgerEntry& entry, EntryType type) {
  if (entry.type != type || entry.payload.size() < sizeof(T)) {
    return make_error(Errc::kCorrupt, "entry " + to_text(entry.position) + " is of another kind");
  }
  T record;
  std::memcpy(&record, entry.payload.data(), sizeof(T));
  return record;
}

}  // namespace quire::model
