// Events as vLLM's publishers tell them, for routers that know those: MessagePack of
// [ts, events, data_parallel_rank], an event for each group of a layout.
//
//   kStored, kHeld  BlockStored [hashes, parent, tokens, block size, .., medium, .., group, ..]
//   kRemoved        BlockRemoved [hashes, medium, group]
//   kSnapshotBegin  AllBlocksCleared: what follows is everything
//   kGap            likewise; a snapshot follows
//
// A block's hash is the chain hash, as bytes; medium is "cpu", "disk" or "remote"; token ids are
// left out. What is not an object's has no place there: names of roots stand in extra_keys. As
// arrays, or as maps with the tag in "type", which newer vLLM reads. Adjacent objects of one path
// are one event.
//
// Threads: one owner. Bounds: what one step of a cursor gives.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/event_wire.h"
#include "server/events/event_cursor.h"
#include "server/events/msgpack_writer.h"

namespace quire::server {

enum class EnvelopeShape : uint8_t { kArray, kMap };

class ZmqEnvelope final : public EventSink {
 public:
  explicit ZmqEnvelope(EnvelopeShape shape) : shape_(shape) {}

  void take(const model::EventRecord& record) override;
  void take_root(const model::EventRecord& record, const model::EventRoot& root) override;
  // What came since, as one message; empty: nothing that is told there. `seconds`: wall clock.
  std::string take_batch(double seconds);

 private:
  // Objects that follow each other on one tier, and are one event for each of their groups.
  struct Pending {
    model::EventRecord first;
    std::vector<model::Hash256> hashes;  // empty: none
  };
  // Fields of one event, in the order of the arrays.
  class Fields;

  void add(const model::EventRecord& record, bool stored, model::TierId tier);
  void flush(model::TierId tier);
  void flush_all();
  void clear_all();
  void write_stored(const Pending& pending, model::TierId tier, uint32_t group);
  void write_removed(const Pending& pending, model::TierId tier, uint32_t group);

  const EnvelopeShape shape_;
  std::map<uint32_t, model::EventRoot> roots_;
  std::array<Pending, model::kTierCount> pending_;
  MsgpackWriter events_;
  uint32_t event_count_ = 0;
};

}  // namespace quire::server
