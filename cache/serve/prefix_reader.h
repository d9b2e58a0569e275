// Match, positions and locate: what of a prompt is here. match pins what it finds before it answers
// (law 3); the lease that it gives is loaded and released elsewhere (cache/serve/prefix_loader.h).
// Threads: core only. No allocation per request.
#pragma once

#include <cstdint>
#include <span>

#include "cache/eviction/eviction_board.h"
#include "cache/fill/cache_session.h"
#include "cache/objects/object_store.h"
#include "cache/serve/lease_table.h"
#include "cache/serve/load_cut.h"
#include "cache/serve/match.h"
#include "cache/serve/positions.h"
#include "cache/tree/chain_view.h"
#include "model/metrics.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct ReaderCounters {
  model::Counter matches{"matches", "Prompts matched"};
  model::Counter prompt_tokens{
      "prompt_tokens", "Tokens of the prompts matched", {model::MetricFamily::kDocument}};
  model::Counter hit_tokens{
      "hit_tokens", "Tokens announced as exact hits", {model::MetricFamily::kDocument}};
  model::Counter ssd_hit_tokens{"ssd_hit_tokens",
                                "Of these, tokens that came first from SSD",
                                {model::MetricFamily::kLookupTokens, R"(tier="ssd",result="hit")"}};
  model::Counter cluster_hit_tokens{
      "cluster_hit_tokens",
      "Of these, tokens that were on the cluster only",
      {model::MetricFamily::kLookupTokens, R"(tier="cluster",result="hit")"}};
  model::Counter missed_pages{"missed_pages",
                              "Pages of whole blocks of the prompts that no span was found of",
                              {model::MetricFamily::kLookupPages, R"(result="miss")"}};
  model::Counter no_checkpoint_matches{
      "no_checkpoint_matches", "Hits shorter than their spans allowed, for want of a checkpoint"};
  model::Counter no_checkpoint_tokens{"no_checkpoint_tokens", "Tokens by which these were shorter"};
};

class PrefixReader {
 public:
  PrefixReader(ObjectStore* store, EvictionBoard* board, NamespaceTable* names, LeaseTable* leases)
      : store_(store), board_(board), names_(names), leases_(leases) {}

  // A lease even when only spans (no resume point) were found; none when nothing was.
  // kStaleHandle: the namespace moved to a later epoch. kInvalidArgument: prompt_tokens is 0.
  // kBusy: too many leases.
  model::Result<model::MatchResult> match(CacheSession& session, LeaseHolder& holder,
                                          const ChainView& chain, uint32_t prompt_tokens,
                                          uint32_t have_tokens = 0, const PrefillCost& cost = {});

  // Of a chain, whole blocks: where what is known of it ends.
  uint32_t known_units(model::RootId root, const ChainView& chain) const;

  // The lease's loads will say so (Load::turn). Precondition: the holder's own.
  void set_turn(LeaseHolder& holder, model::LeaseId lease, uint32_t turn);

  // All positions at which a prompt could be resumed, the deepest first, and how much of a chain is
  // here (cache/serve/positions.h). Nothing is pinned, counts as used or is announced.
  // kStaleHandle; kInvalidArgument: prompt_tokens is 0.
  model::Result<model::PositionsResult> positions(const CacheSession& session,
                                                  const ChainView& chain,
                                                  const PositionsQuery& query,
                                                  std::span<model::ResumePosition> out);
  model::Result<model::LocateResult> locate(model::RootId root, const ChainView& chain);

  // How long loads from lower tiers take; set by them.
  void set_load_time(LoadTime load_time) { load_time_ = std::move(load_time); }

  // Of matches alone: positions and locate count nothing.
  const ReaderCounters& counters() const { return counters_; }
  void describe(model::MetricSink& sink) const;

 private:
  model::MatchResult announce(CacheSession& session, const PrefixMatch& match, const Root& root,
                              Lease& lease);
  void note_parting(const CacheSession& session, PrefixMatch& found) const;
  void note_checkpoint_hit(CacheSession& session, model::NodeId checkpoint);
  model::Result<PrefixMatch> find(model::RootId root, const ChainView& chain,
                                  uint32_t prompt_tokens) const;

  ObjectStore* store_;
  EvictionBoard* board_;
  NamespaceTable* names_;
  LeaseTable* leases_;
  LoadTime load_time_ = [](const TierBytes&) { return uint64_t{0}; };
  ReaderCounters counters_;
};

}  // namespace quire::cache
