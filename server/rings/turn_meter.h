// Where turns are opened, filled in and closed: the dispatcher tells it what happened, it keeps
// each session's Turn and gives what was closed to those who keep records.
//
// A load is counted to the turn in whose match its lease was made, and to none when that turn was
// closed meanwhile: its record is written, and a token in two records would be counted twice.
// Threads: core only. No allocation but for loads that read from the SSD.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "server/rings/recent_hits.h"
#include "server/rings/session.h"
#include "server/rings/tenant_totals.h"
#include "server/rings/turn.h"
#include "server/rings/turn_memory.h"
#include "server/runtime/ghost_feed.h"
#include "server/runtime/trace_recorder.h"

namespace quire::server {

// Sums over all records; what the status shows until a ledger keeps the records themselves.
struct TurnTotals {
  model::Counter turns{"ended", "Turns that ended"};
  model::Counter prompt_tokens{"prompt_tokens", "Tokens of their prompts"};
  model::Counter hit_tokens{"hit_tokens", "Of these, tokens that engines resumed from"};
  model::Counter replayed_tokens{"replayed_tokens", "Of these, tokens computed again to resume"};
  model::Counter missed_tokens{"missed_tokens", "Of these, tokens that were computed"};
  model::Counter announced_tokens{"announced_tokens", "Tokens announced as exact hits"};
  model::Counter delivered_ram_tokens{"delivered_ram_tokens",
                                      "Tokens delivered that were in RAM",
                                      {model::MetricFamily::kHitTokens, R"(tier="ram")"}};
  model::Counter delivered_ssd_tokens{"delivered_ssd_tokens",
                                      "Tokens delivered that were read from SSD",
                                      {model::MetricFamily::kHitTokens, R"(tier="ssd")"}};
  model::Counter delivered_cluster_tokens{"delivered_cluster_tokens",
                                          "Tokens delivered that were read from the cluster",
                                          {model::MetricFamily::kHitTokens, R"(tier="cluster")"}};
  model::Counter undelivered_tokens{"undelivered_tokens", "Tokens promised and not delivered"};
  model::Counter output_tokens{"output_tokens", "Tokens of their answers"};
  model::Counter written_bytes{"written_bytes", "Bytes of objects that they wrote"};
  model::Counter unsaid{"unsaid", "Turns of which the engine did not say where it resumed"};
  model::Counter late_loads{"late_loads",
                            "Loads delivered after their turn was closed: in no record"};

  void add(const TurnRecord& record);
};

class TurnMeter {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    const model::Clock* clock = nullptr;
    TurnSink* sink = nullptr;         // may be null
    GhostFeed* ghosts = nullptr;      // likewise
    TraceRecorder* traces = nullptr;  // likewise
    TurnMemory* memory = nullptr;     // likewise
  };
  explicit TurnMeter(const Parts& parts)
      : cache_(parts.cache),
        clock_(parts.clock),
        sink_(parts.sink),
        ghosts_(parts.ghosts),
        traces_(parts.traces),
        memory_(parts.memory) {}

  // The turn that a session starts with.
  static Turn first_turn(const cache::KnownLayout& layout);
  // A match was answered: it opens a turn or belongs to the present one, and its lease to that.
  void matched(Attachment& attachment, const model::MatchArgs& args,
               const model::MatchResult& result);
  // The session goes on with another prompt: its turn ends, and what it was asked for is read no
  // more.
  void reset(Attachment& attachment);
  // A match was refused because its namespace moved on: it is in no turn, but can be asked about.
  void refused_as_stale(Attachment& attachment, const model::MatchArgs& args);
  // A load's range is pinned: what it will be counted by when it ends.
  LoadFacts begun(Session& session, const cache::PendingLoad& loading);
  // What reached the client, whole or a head. Each load once.
  void delivered(Session& session, const LoadFacts& facts, const model::LoadResult& result,
                 bool late);
  // What the turn's receipt says from now on. kNotFound: no turn was opened, or it is another
  // request's by now. kInvalidArgument as Turn::resume.
  model::Result<model::ResumedResult> resumed(Session& session, const model::ResumedArgs& args);
  // An object became visible.
  void wrote(Session& session, model::FillKind kind, uint32_t end_units);
  // Nothing more will be counted to the session.
  void end(Session& session);
  // The daemon ends in order: so do turns that nobody closes.
  void stop() { stopping_ = true; }
  // Twice a second the sink is told of open turns that changed, some of them a call; where none is
  // open, now and then that nothing happened. True: there are more.
  bool step(int64_t now_ns);
  // When step() has something to do next.
  int64_t next_told_ns() const;

  // Of all turns that were closed; one that is open is in none.
  const TurnTotals& totals() const { return totals_; }
  RecentFigures recent() const { return recent_.sum(clock_->now_ns()); }
  // The same by who pays.
  const TenantTotals& tenants() const { return tenants_; }

 private:
  static constexpr int64_t kTellEveryNs = 500'000'000;
  static constexpr int64_t kTellIdleEveryNs = 10'000'000'000;  // while no turn is open
  static constexpr uint32_t kToldPerStep = 32;

  void close(Session& session, model::ReceiptEnd end);
  TurnRecord record_of(const Session& session, int64_t now_ns) const;
  // Something happened in its turn.
  void changed(Session& session);
  void forget_change(Session& session);
  static void put_into(std::vector<Session*>& list, Session& session);
  void learn_tail(Attachment& attachment, const model::MatchArgs& args);
  void tell_match(Attachment& attachment, const model::MatchArgs& args,
                  const model::MatchResult& result);
  void trace_match(Attachment& attachment, const model::MatchArgs& args,
                   const model::MatchResult& result);
  // The turn's record; it is made anew unless the match `joins` what it is of.
  RememberedTurn& remember(Attachment& attachment, const model::MatchArgs& args, bool joins);
  void remember_outcome(Session& session, bool open);
  // The node of a span that the session wrote just now; invalid where others came in between.
  model::NodeId written_span(const Session& session, uint32_t end_units) const;
  void tell_span(model::NodeId node, const cache::KnownLayout& layout);
  bool records() const { return traces_ != nullptr && traces_->is_active(); }

  cache::Cache* cache_;
  const model::Clock* clock_;
  TurnSink* sink_;
  GhostFeed* ghosts_;
  TraceRecorder* traces_;
  TurnMemory* memory_;
  TurnTotals totals_;
  RecentHits recent_;
  TenantTotals tenants_;
  bool stopping_ = false;
  // What the sink is told, while there is one.
  // Sessions whose turn changed since it was told; each is in one of them, and knows where.
  std::vector<Session*> changed_;
  std::vector<Session*> telling_;  // in the pass under way
  bool telling_now_ = false;
  uint32_t open_count_ = 0;    // sessions whose turn has something to tell
  bool anything_new_ = false;  // since the sink was told that it knows all
  int64_t told_ns_ = 0;
  int64_t refused_until_ns_ = 0;  // the sink took nothing more
};

}  // namespace quire::server
