// Searches what the cluster holds of a chain, without listing anything.
//
//   round 1:  [epoch]  [segments 1..4]
//   round 2:  [segments 5..20]   [headers of the runs that segments 1..4 name]
//   round n:  four times as many segments, kMaxSegments at most, and headers of the round before
//   then:     the last headers; where the layout has checkpoints, entries of these, from the end on
//
// All reads of a round go at once and count as one round trip. Every segment up to the end is read,
// as what lies before the end must be there too; so there is nothing that a binary search could
// leave out, and what is asked for beyond the end costs little: it is not there.
// Believed is an entry that is whole, of this object and of this epoch, and whose run says in its
// own header that it has it. A round trip that fails ends the search with what was proved before.
// Threads: core only. Bounds: kMaxChainQuestions; the operations of a round.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "model/metrics.h"
#include "tiering/chain_search.h"
#include "tiering/cluster/cluster_parts.h"

namespace quire::tiering {

struct ClusterSearchCounters {
  model::Counter questions{"questions", "Prompts for which the cluster was asked"};
  model::Counter round_trips{"round_trips", "Round trips that this took, one after the other"};
  model::Counter found_spans{"found_spans", "Spans that were found"};
  model::Counter found_checkpoints{"found_checkpoints", "Checkpoints that were found"};
  model::Counter stale{"stale", "Questions about an epoch that another host has left"};
  model::Counter unproved{"unproved", "Entries whose run did not say that it has the object"};
  model::Counter failed{"failed", "Questions that an operation's failure cut short"};
};

class ClusterSearch final : public ChainSearch {
 public:
  static constexpr uint32_t kFirstSegments = 4;
  static constexpr uint32_t kMaxSegments = 256;  // of a round

  explicit ClusterSearch(const ClusterParts& parts) : parts_(parts) {}

  model::Result<void> ask(const ChainQuestion& question) override;
  FoundChain take_found(uint32_t job) override;
  void step();
  bool idle() const { return under_way_.empty(); }
  const ClusterSearchCounters& counters() const { return counters_; }

 private:
  struct Search;
  struct SearchOp : RadosOp {
    Search* search = nullptr;
    uint32_t segment = 0;  // of entries of spans
    bool checkpoints = false;
    bool epoch = false;
    RunName run;  // of a header
    RunHeader header;
  };
  struct Entry {
    ObjectName name;
    PlaceRecord place;
  };
  struct Search {
    uint32_t job = 0;
    cache::RootKey key;
    model::Hash256 root;
    uint32_t step = 1;          // units of a block
    uint32_t known_blocks = 0;  // so many from the root on are not asked for
    uint32_t blocks = 0;        // of the chain, whole ones
    bool has_checkpoints = false;
    std::vector<model::Hash256> keys;  // chain hash after i + 1 units
    uint32_t next_segment = 0;
    uint32_t batch = kFirstSegments;
    bool spans_end = false;   // no entry follows those in `spans`
    uint32_t proved = 0;      // of `spans`, from the first on
    uint32_t last_asked = 0;  // segments whose checkpoints were asked for, from the end on
    uint32_t checkpoint_rounds = 0;
    bool failed = false;
    std::vector<Entry> spans;        // entries that follow each other
    std::vector<Entry> checkpoints;  // entries
    std::map<RunName, bool> runs;    // named, and whether its header was read
    std::map<RunName, RunHeader> headers;
    std::vector<std::unique_ptr<SearchOp>> ops;  // of the round
    uint32_t left = 0;
    FoundChain found;
    const model::Hash256& key_of_block(uint32_t block) const { return keys[block * step - 1]; }
  };

  SearchOp& add_op(Search& search, RadosKind kind);
  void add_segments(Search& search);
  void add_headers(Search& search);
  void add_checkpoints(Search& search);
  void begin_round(Search& search);
  void take_round(Search& search);
  void take_segment(Search& search, const SearchOp& op);
  void take_checkpoints(Search& search, const SearchOp& op);
  bool is_proved(const Search& search, const Entry& span) const;
  void prove(Search& search);
  void next(Search& search);
  void finish(Search& search);
  model::Hash256 segment_key(const Search& search, uint32_t segment) const;

  ClusterParts parts_;
  ClusterClient client_;
  std::vector<std::unique_ptr<Search>> under_way_;
  std::unordered_map<uint32_t, FoundChain> found_;
  ClusterSearchCounters counters_;
};

}  // namespace quire::tiering
