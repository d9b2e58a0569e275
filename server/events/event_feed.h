// The core's side of events: what becomes of objects goes into one ring, numbered; whoever reads it
// has a seat here, and a position of its own in the ring.
//
//   Presence, NamespaceTable --stored, removed, ended--> EventFeed --> EventRing
//   readers (EventCursor): positions --> ring                   |
//          want a snapshot --> their seat --step(): a walk        '--> EventRoots
//                              walk_ring <--------'
//
// A snapshot is a walk over all nodes that writes what it finds into a small ring of its seat, each
// record with the position in the events' ring before which it stands: so it is in order with what
// happens meanwhile, needs no lock and no copy of the tree, and takes from nobody's events the room
// to be kept. It goes on while its reader keeps up.
//
// Each event has two numbers, without holes: among all, and among those of its domain; a user sees
// the latter alone, and so nothing of how much others do. While nobody has a seat, and nobody had
// one lately, nothing is told or numbered; whoever comes back later than that finds a hole.
//
// Threads: core; but for ring(), roots(), readable_tiers() and what EventSeat says. Bounds: the
// ring, kSeats with kWalkBytes each once they take a snapshot, kWalkedNodes a step.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/event_wire.h"
#include "model/metrics.h"
#include "model/result.h"
#include "server/events/event_ring.h"
#include "server/events/event_roots.h"

namespace quire::server {

// One reader's place. Set by the core before its reader begins; then each field has one writer.
struct EventSeat {
  uint32_t number = 0;                          // another one for each reader; 0: nobody sits here
  std::optional<uint32_t> uid;                  // none: it hears everything
  const std::atomic<uint64_t>* next = nullptr;  // number of the next event of what it hears
  uint64_t first_position = 0;                  // in the ring, where it begins
  uint64_t first_of_walks = 0;                  // likewise in walk_ring
  uint64_t first_number = 0;                    // of the next event then
  uint64_t epoch = 0;                           // the daemon's
  // The reader's: stored with release, so that the core sees how far it is.
  std::atomic<uint64_t> position{0};
  std::atomic<uint64_t> walk_position{0};
  std::atomic<uint32_t> wanted_walk{0};  // raised: a snapshot is wanted, and the one before is not
  // For status, of no order with anything.
  std::atomic<uint64_t> sent_count{0};    // records that it handed on
  std::atomic<uint64_t> gap_count{0};     // that it told
  std::atomic<uint64_t> missed_count{0};  // events of its own that it told as gaps
  // Of snapshots: `sequence` of a record is the position in the events' ring before which it
  // stands. Never written over: the core waits for walk_position.
  std::unique_ptr<EventRing> walk_ring;
  // The core's.
  uint32_t walk = 0;  // the last one that began
  bool walk_ended = true;
  uint32_t next_node = 0;  // of it
  uint64_t held_count = 0;
};

// Of what readers had.
struct EventCounters {
  model::Counter sent{"sent_records", "Records handed to who listens: events, snapshots, gaps"};
  model::Counter gaps{"gaps", "Times that one who listens was told of a gap"};
  model::Counter missed{"missed_events",
                        "Events that lay in gaps: written over before being read",
                        {model::MetricFamily::kEventsDropped}};
};

class EventFeed final : public cache::PresenceListener {
 public:
  static constexpr size_t kSeats = 32;
  static constexpr uint32_t kWalkedNodes = 256;  // some 15 us
  static constexpr uint64_t kWalkBytes = 128 << 10;
  static constexpr int64_t kLingerNs = 300'000'000'000;

  struct Parts {
    cache::Cache* cache = nullptr;  // these two outlive the feed
    const model::Clock* clock = nullptr;
    uint64_t daemon_epoch = 0;
    uint64_t memory_bytes = 16ull << 20;
  };
  // Errors of EventRing::create.
  static model::Result<std::unique_ptr<EventFeed>> create(const Parts& parts);
  ~EventFeed() override;

  // A seat from which this domain's events are heard, or everybody's. Null: none is free.
  EventSeat* sit(std::optional<model::DomainId> domain);
  // Its reader is gone.
  void leave(EventSeat& seat);
  // A bounded step of snapshots. True: there is more to do at once.
  bool step(int64_t now_ns);
  // Some snapshot is under way, or wanted.
  bool is_walking() const;

  void stored(model::NodeId node, model::TierId tier) override;
  void removed(model::NodeId node, model::TierId tier) override;
  void ended(model::RootId root) override;

  const EventRing& ring() const { return *ring_; }
  const EventRoots& roots() const { return roots_; }
  // A bit a tier; stored by the core, of no order with events.
  uint8_t readable_tiers() const { return readable_tiers_.load(std::memory_order_relaxed); }
  bool is_listening() const { return listening_; }
  size_t seat_count() const { return seat_count_; }
  uint64_t event_count() const { return told_; }
  // Of everything, for administrators.
  void describe(model::MetricSink& sink) const;
  // Of a user's own subscriptions that are under way; nothing that others' events change (law 13).
  void describe_own(uint32_t uid, model::MetricSink& sink) const;

 private:
  // What events say of a root, as long as it is the same one.
  struct RootFacts {
    uint32_t listening = 0;  // of this span of listening; another one: not known
    uint32_t number = 0;
    uint32_t uid = 0;
    uint16_t domain = 0;
    bool ended = false;
    bool told = false;  // it was live when it was described
    const cache::KnownLayout* layout = nullptr;
  };
  struct Numbers {
    std::optional<uint32_t> uid;  // whose they are
    std::atomic<uint64_t> next{1};
  };

  EventFeed(const Parts& parts, std::unique_ptr<EventRing> ring);
  void start_listening();
  Numbers& numbers_of(model::DomainId domain);
  const RootFacts& facts_of(model::RootId root);
  void describe(model::RootId id, RootFacts& facts);
  // Of the object, all but its kind, tiers and numbers.
  model::EventRecord record_of(model::NodeId node, const RootFacts& facts) const;
  void tell(model::EventKind kind, model::NodeId node, model::TierId tier);
  // Numbers it and writes it.
  void push(model::EventRecord& record, const RootFacts& facts);
  bool walk(EventSeat& seat);
  void push_of_walk(EventSeat& seat, model::EventRecord record);
  void note_readable();
  static void add_figures(EventCounters& to, const EventSeat& seat);

  const Parts parts_;
  std::unique_ptr<EventRing> ring_;
  EventRoots roots_;
  std::array<EventSeat, kSeats> seats_;
  size_t seat_count_ = 0;
  size_t next_seat_ = 0;      // whose turn it is to walk
  uint32_t last_reader_ = 0;  // EventSeat::number
  bool listening_ = false;
  uint32_t listening_span_ = 0;
  int64_t idle_since_ns_ = 0;
  uint64_t told_ = 0;
  EventCounters left_;  // of readers that are gone
  std::atomic<uint64_t> next_of_all_{1};
  std::array<Numbers, cache::kMaxDomains> numbers_;
  std::vector<RootFacts> facts_;  // by root
  std::atomic<uint8_t> readable_tiers_{0};
};

}  // namespace quire::server
