// Writes runs of objects to slots of the device: finds the room, as they are or encoded
// (WriteCodec), has them described (RunDescriber), hands them to mover and committer, and tells
// what became of them.
//
//   reserve: record, memory for the codec, slots, file --write--> mover --> committer --> durable
//                                    \--room goes back--> as before      \--> failed
//
// Slots of a run are adjacent, behind its parent's where those are free. Threads: core only. Bound:
// the mover's records; one room is reserved at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tiering/commit/ssd_committer.h"
#include "tiering/ssd/run_describer.h"
#include "tiering/ssd/ssd_room.h"
#include "tiering/ssd/write_codec.h"
#include "tiering/tier.h"

namespace quire::tiering {

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
  void set_first_generation(uint64_t generation) { describer_.set_first_generation(generation); }
  void forget_layout(const cache::KnownLayout& layout) { codec_.forget_layout(layout); }

  bool allocating() const { return room_.allocating(); }
  // Why what is offered has to wait; empty: it has not.
  const std::string& blocked_by() const { return blocked_by_; }
  const SsdRoom& room() const { return room_; }
  const WriteCodec& codec() const { return codec_; }

 private:
  uint64_t regions_of_path(model::NodeId node, uint64_t slot_bytes) const;
  bool path_leaves_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns) const;
  Reserved reserve_new_room(std::span<const model::NodeId> nodes, uint64_t slot_bytes);
  bool make_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns);
  Transfer* take_record(model::NodeId node, uint64_t slot_bytes, uint32_t& count);
  void finish(std::vector<Transfer*>& transfers, model::Errc code);
  void tell(const Transfer& transfer, uint32_t first, uint32_t count, model::Errc code);

  CommitterParts parts_;
  SsdCommitter* committer_;
  std::vector<TierEvent>* events_;
  WriteCodec codec_;
  RunDescriber describer_;
  SsdRoom room_;
  Transfer* reserved_ = nullptr;  // its slots are `reserved_run_`
  SsdRun reserved_run_;
  model::NodeId room_for_;                 // room was last made for it
  std::vector<model::SlotId> page_slots_;  // scratch of write()
  std::string blocked_by_;
  uint64_t relieved_ = 0;  // growths of the tier that were told
};

}  // namespace quire::tiering
