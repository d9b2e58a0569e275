// Writes runs of objects to slots of the device: finds the room, as they are or encoded
// (CodecChooser), fills in what their headers say, hands them to mover and committer, and tells
// what became of them.
//
//   reserve: record, memory for the codec, slots, file --write--> mover --> committer --> durable
//                                    \--room goes back--> as before      \--> failed
//
// Slots of a run are adjacent, behind its parent's where those are free. An object that did not fit
// its slot encoded is remembered, and stored as it is when it is offered again. Threads: core only.
// Bound: the mover's records; one room is reserved at a time.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "model/metrics.h"
#include "tiering/disk/codec_chooser.h"
#include "tiering/ssd/ssd_committer.h"
#include "tiering/ssd/ssd_room.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct EncodedCounters {
  model::Counter encoded_objects{"objects", "Objects written encoded"};
  model::Counter encoded_plain_bytes{"plain_bytes", "What these would have taken as they are"};
  model::Counter encoded_stored_bytes{"stored_bytes", "Slots that these took"};
  model::Counter encoded_misfits{
      "misfits", "Objects that did not fit their slot encoded: written as they are"};
};

struct WriterOptions {
  CodecOptions codec;
  uint64_t first_generation = 0;
};

class SsdWriter {
 public:
  // `events`: where it says what became of objects.
  SsdWriter(const CommitterParts& parts, SsdCommitter* committer, const WriterOptions& options,
            std::vector<TierEvent>* events);

  // As Tier's.
  Fitting fits(model::NodeId node);
  // Objects of the run that there is room for, and the bytes they take; 0 objects: see `fit`.
  struct Reserved {
    Fit fit = Fit::kLater;
    uint32_t objects = 0;
    uint64_t bytes = 0;
  };
  Reserved reserve(std::span<const model::NodeId> nodes);
  void write(std::span<const model::NodeId> nodes, uint32_t job);
  void give_back();

  // An object of a demotion came to an end. With the last one the written ones are the committer's.
  void on_settled(Transfer& transfer);
  // Goes on with what the committer finished and the room it waits for.
  void step(int64_t now_ns);
  // Nobody wants to write: nothing is in the way.
  void nothing_waits() { blocked_by_.clear(); }
  // Of a start that was counted late. Precondition: nothing was started yet.
  void set_first_generation(uint64_t generation) { next_generation_ = generation; }
  void forget_layout(const cache::KnownLayout& layout) { codec_.forget(layout); }

  bool allocating() const { return room_.allocating(); }
  // Why what is offered has to wait; empty: it has not.
  const std::string& blocked_by() const { return blocked_by_; }
  const SsdRoom& room() const { return room_; }
  const CodecChooser& codec() const { return codec_; }
  const EncodedCounters& counters() const { return counters_; }

 private:
  bool as_it_is(model::NodeId node) const { return misfits_.contains(node.value); }
  uint64_t slot_bytes_of(model::NodeId node);
  uint64_t regions_of_path(model::NodeId node, uint64_t slot_bytes) const;
  bool path_leaves_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns) const;
  Reserved reserve_new_room(std::span<const model::NodeId> nodes, uint64_t slot_bytes);
  bool make_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns);
  uint32_t alike(std::span<const model::NodeId> nodes) const;
  Transfer* take_record(model::NodeId node, uint64_t slot_bytes, uint32_t& count);
  const cache::KnownLayout& layout_of(model::NodeId node) const;
  void choose_codec(Transfer& transfer, uint32_t object);
  void learn_codec(const Transfer& transfer, uint32_t written);
  void fill_in_run(Transfer& transfer, model::NodeId first);
  void describe(Transfer& transfer, uint32_t object);
  void tell(const Transfer& transfer, uint32_t first, uint32_t count, model::Errc code);

  CommitterParts parts_;
  SsdCommitter* committer_;
  std::vector<TierEvent>* events_;
  CodecChooser codec_;
  SsdRoom room_;
  uint64_t next_generation_;
  Transfer* reserved_ = nullptr;  // its slots are `reserved_run_`
  SsdRun reserved_run_;
  model::NodeId room_for_;                 // room was last made for it
  std::unordered_set<uint32_t> misfits_;   // nodes; at most kMaxMisfits
  std::vector<model::SlotId> page_slots_;  // scratch of write()
  std::string blocked_by_;
  uint64_t relieved_ = 0;  // growths of the tier that were told
  EncodedCounters counters_;
};

}  // namespace quire::tiering
