// A turn: the unit of metering (DESIGN 12.7).
//
//   match (a new request) --> open --more matches, loads, resumed, commits--> the next turn's
//   match,
//                                                                          or the session's end
//                                                                            '--> one TurnRecord
//
// All processes of a session share its turn. A match belongs to the open turn when it names the
// same request, or when it names none and its process has not matched in this turn yet (another
// rank of the same request); any other match closes it and opens the next one. What is committed
// before a session's first match is of turn 0, which has no prompt.
//
// Tokens are counted at delivery, each once, whoever of the session loads it first. What the engine
// made of them it says itself (Verb::kResumed, the last word wins); hit + replayed + missed =
// prompt holds for every record, whatever was said. Threads: core only. No allocation.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/ids.h"
#include "model/receipts/receipt.h"
#include "model/result.h"
#include "model/ring_frames.h"
#include "server/rings/block_ranges.h"

namespace quire::server {

struct WrittenObjects {
  uint64_t objects = 0;
  uint64_t tokens = 0;  // of spans: their blocks; of checkpoints: none
  uint64_t bytes = 0;
};

// What prices depend on and pages do not: said when the session is opened.
struct BillingTexts {
  std::string_view model;         // as prices are listed; empty: the namespace's name
  std::string_view service_tier;  // empty: the standard one
  std::string_view retention;     // class of what is written; empty: none
  bool is_explicit = false;       // the engine's user asked for caching by name
};

// What became of one turn. Texts are lent for the call.
struct TurnRecord {
  uint64_t request_id = 0;  // the engine's; 0: it gave none
  uint64_t session = 0;
  uint32_t turn = 0;  // in its session, from 1 on; 0: what was written before the first match
  model::DomainId domain;
  uint32_t uid = 0;
  uint64_t conversation = 0;
  std::string_view tenant;  // whose hits; empty in a shared namespace
  std::string_view payer;
  std::string_view namespace_name;
  BillingTexts billing;
  int64_t opened_ns = 0;  // monotonic
  int64_t closed_ns = 0;

  uint32_t prompt_tokens = 0;
  uint32_t have_tokens = 0;       // the engine held these itself
  uint32_t announced_tokens = 0;  // exact, by the turn's last match
  uint32_t withheld_tokens = 0;   // spans reach so much further: alignment, or a missing group
  model::TierTokens announced{};  // of announced_tokens
  model::TierTokens delivered{};
  uint64_t undelivered_tokens = 0;  // asked of a load, and not delivered by any
  uint32_t resumed_tokens = 0;
  model::ResumedHow how = model::ResumedHow::kUnsaid;
  uint32_t hit_tokens = 0;  // hit + replayed + missed = prompt
  uint32_t replayed_tokens = 0;
  uint32_t missed_tokens = 0;
  uint64_t output_tokens = 0;
  std::array<WrittenObjects, 2> written{};  // by model::FillKind
  model::MatchLimit limit = model::MatchLimit::kEndOfPrompt;
  uint8_t limit_group = 0;
  uint32_t limit_tokens = 0;
  std::array<uint64_t, model::kTierCount> moved_bytes{};  // delivered, by where they were
  bool late = false;                                      // a load of it ended at its deadline
  model::ReceiptEnd end = model::ReceiptEnd::kNextTurn;
};

// Who keeps records. Called on the core thread; must not block.
class TurnSink {
 public:
  virtual ~TurnSink() = default;
  // Once for each turn, at its end.
  virtual void on_turn(const TurnRecord& record) = 0;
  // A turn that is open, as far as it is: what its receipt would say, did the daemon end now.
  // False: not now; it is told again, and on_told() comes after that.
  virtual bool on_open_turn(const TurnRecord&) { return true; }
  // All that happened up to now was told by the calls before.
  virtual void on_told() {}
};

// Blocks that a tier below RAM has to deliver.
struct TierBlocks {
  BlockRange blocks;
  model::TierId tier = model::TierId::kSsd;
};

// What a load was asked for, kept until it is delivered.
struct LoadFacts {
  uint32_t turn = 0;  // that of its lease
  BlockRange asked;
  std::vector<TierBlocks> below;  // of these: were not in RAM; sorted, disjoint
  bool checkpoint = false;        // asked for
  model::TierId checkpoint_tier = model::TierId::kRam;
  uint32_t checkpoint_tokens = 0;  // where it lies
  uint32_t tail_tokens = 0;        // of these, behind the last block end
  uint64_t block_bytes = 0;        // of one block's pages, in the groups asked for
  uint64_t checkpoint_bytes = 0;   // likewise, all of it
};

struct TurnShape {
  uint32_t block_tokens = 1;
  bool needs_checkpoint = false;
};

class Turn {
 public:
  // Of a session that was just opened: turn 0.
  explicit Turn(const TurnShape& shape = {}) : shape_(shape) {}

  uint32_t number() const { return record_.turn; }
  bool is_of(uint64_t request_id) const {
    return record_.turn > 0 && !idle_ && record_.request_id == request_id;
  }
  // Between a reset and the next prompt's match: it has a number, and is no request's.
  bool is_idle() const { return idle_; }
  // Whether there is anything to tell: a match, or something written.
  bool has_content() const;

  // The next turn of the session. Precondition: the last one was closed.
  void open(uint64_t request_id, int64_t now_ns);
  // The session goes on with another prompt, of which it may write before it asks for it.
  // Precondition: the last turn was closed.
  void reset();
  // The answer of a match of this turn; a later one takes its place. False: of a part of the prompt
  // only, which is as long as before.
  bool announce(const model::MatchArgs& args, const model::MatchResult& result);
  // A load asks, and later brings what came: blocks count once a turn, whoever asks.
  void ask(const LoadFacts& facts);
  void deliver(const LoadFacts& facts, const model::LoadResult& result, bool late = false);
  // kInvalidArgument: it contradicts itself, or the match; what was said before stays.
  model::Result<void> resume(const model::ResumedArgs& args);
  // An object of the session became visible in this turn.
  void wrote(model::FillKind kind, uint64_t tokens, uint64_t bytes);
  // The record so far; identity and times are the caller's to fill in.
  TurnRecord close() const;

 private:
  void begin_next();
  uint32_t implied_resume() const;
  void count_bytes(const LoadFacts& facts, const model::LoadResult& result);
  // Calls count(tier, blocks) for each tier that delivers some of these.
  template <typename Count>
  static void by_tier(const LoadFacts& facts, const BlockRange& range, Count&& count);

  TurnShape shape_;
  TurnRecord record_;
  bool idle_ = false;
  uint32_t span_tokens_ = 0;
  uint64_t asked_tail_tokens_ = 0;
  uint64_t delivered_tail_tokens_ = 0;
  uint32_t delivered_checkpoint_ = 0;  // the deepest one
  BlockRanges asked_;
  BlockRanges delivered_;
};

}  // namespace quire::server
