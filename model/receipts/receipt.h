// A receipt: what one turn of a session asked for, was given and wrote (DESIGN section 7). The
// daemon writes it once, into the ledger; whoever reads a ledger reads this.
//
// 1. hit + replayed + missed = prompt, in every receipt (check_sums).
// 2. Tokens are counted at delivery, each once a turn, whatever the number of ranks and groups.
//
// Values, fixed-width and little-endian, as they stand in a ledger's block. Texts stand beside them
// in the block, once each; a record names them by their number there. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::model {

// How its turn came to an end.
enum class ReceiptEnd : uint8_t {
  kNextTurn = 0,       // the session's next request began
  kClosed = 1,         // the session was closed
  kClientDied = 2,     // its last process went without closing
  kDaemonDied = 3,     // written at the next start, with what was known up to a second before
  kDaemonStopped = 4,  // in order
};
inline constexpr std::array<std::string_view, 5> kReceiptEnds{"next_turn", "closed", "client_died",
                                                              "daemon_died", "daemon_stopped"};

// Bits of ReceiptRecord::flags.
inline constexpr uint8_t kReceiptExplicit = 1;  // the engine asked for caching by name
inline constexpr uint8_t kReceiptLate = 2;      // a load of it ended at its deadline

// Texts of a receipt, in the order of ReceiptRecord::names.
enum class ReceiptText : uint8_t {
  kTenant = 0,       // whose content was hit; empty in a shared namespace
  kPayer = 1,        // who pays
  kNamespace = 2,    // what the engine calls the model's cache
  kModel = 3,        // the name that prices are listed by; empty: the namespace's
  kServiceTier = 4,  // "batch", ...; empty: the standard one
  kRetention = 5,    // of what was written: the engine's class, "5m", "1h"; empty: none was named
};
inline constexpr size_t kReceiptTexts = 6;
using ReceiptTexts = std::array<std::string_view, kReceiptTexts>;

struct ReceiptRecord {
  uint64_t request_id = 0;  // the engine's; 0: it gave none
  uint64_t session = 0;
  uint64_t conversation = 0;  // the engine's; 0: none
  int64_t opened_us = 0;      // wall clock, Unix; a wall clock that is set back moves both
  int64_t closed_us = 0;
  std::array<uint64_t, 2> written_bytes{};         // by FillKind: spans, checkpoints
  std::array<uint64_t, kTierCount> moved_bytes{};  // of pages delivered, by where they were
  uint32_t turn = 0;                               // in its session; 0: before its first match
  uint32_t uid = 0;                                // of the session's user
  std::array<uint16_t, kReceiptTexts> names{};     // of the block's texts, by ReceiptText
  uint32_t prompt_tokens = 0;
  uint32_t have_tokens = 0;  // the engine held these itself
  std::array<uint32_t, kTierCount> announced_tokens{};
  std::array<uint32_t, kTierCount> delivered_tokens{};
  uint32_t undelivered_tokens = 0;         // promised, asked for, and not delivered
  uint32_t withheld_alignment_tokens = 0;  // present, and no position to resume at reaches them
  uint32_t withheld_group_tokens = 0;      // present, but a checkpoint or a group was missing
  uint32_t limit_tokens = 0;               // where the limit bit
  uint32_t resumed_tokens = 0;
  uint32_t hit_tokens = 0;
  uint32_t replayed_tokens = 0;
  uint32_t missed_tokens = 0;
  uint32_t output_tokens = 0;
  uint32_t written_tokens = 0;
  uint32_t written_spans = 0;
  uint32_t written_checkpoints = 0;
  uint8_t how = 0;    // ResumedHow
  uint8_t limit = 0;  // MatchLimit
  uint8_t limit_group = 0;
  uint8_t end = 0;  // ReceiptEnd
  uint8_t flags = 0;
  std::array<uint8_t, 7> reserved{};
};
static_assert(sizeof(ReceiptRecord) == 192 && std::is_trivially_copyable_v<ReceiptRecord> &&
              std::has_unique_object_representations_v<ReceiptRecord>);

// kCorrupt: its sums do not close, or a field names nothing that exists.
Result<void> check_sums(const ReceiptRecord& record);

}  // namespace quire::model
