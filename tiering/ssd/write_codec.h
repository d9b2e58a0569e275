// How the writer stores an object: as it is, or encoded (CodecChooser), and what it learns from how
// that went. Adds to the chooser, which knows groups and sizes, the nodes at hand.
//
//   slot_bytes, alike --> choose, each object --checked--> learn --> note_misfit
//
// An object that did not fit its slot encoded is remembered, and stored as it is when it is offered
// again. Threads: core only. Bound: kMaxMisfits nodes are remembered.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>

#include "cache/cache.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "tiering/disk/codec_chooser.h"
#include "tiering/transfer/ssd_transfer.h"
#include "tiering/transfer/stored_forms.h"

namespace quire::tiering {

struct EncodedCounters {
  model::Counter encoded_objects{"objects", "Objects written encoded"};
  model::Counter encoded_plain_bytes{"plain_bytes", "What these would have taken as they are"};
  model::Counter encoded_stored_bytes{"stored_bytes", "Slots that these took"};
  model::Counter encoded_misfits{
      "misfits", "Objects that did not fit their slot encoded: written as they are"};
};

class WriteCodec {
 public:
  WriteCodec(cache::Cache* cache, const StoredForms* forms, const CodecOptions& options)
      : cache_(cache), forms_(forms), chooser_(options) {}

  // Of the slot that the object is to be stored in.
  uint64_t slot_bytes(model::NodeId node);
  // How many of these, from the first on, are stored in one manner: those of a transfer are.
  uint32_t alike(std::span<const model::NodeId> nodes) const;
  // Tells the check of the object what to encode, or which page to try the codec on.
  void choose(Transfer& transfer, uint32_t object);
  // From all objects that were checked; counted are the first `written` of them.
  void learn(const Transfer& transfer, uint32_t written);

  // It did not fit: as it is from now on.
  void note_misfit(model::NodeId node);
  // It is written: its id may be another's by the time that one is.
  void forget_misfit(model::NodeId node) { misfits_.erase(node.value); }
  void forget_layout(const cache::KnownLayout& layout) { chooser_.forget(layout); }

  const CodecChooser& chooser() const { return chooser_; }
  const EncodedCounters& counters() const { return counters_; }

 private:
  bool as_it_is(model::NodeId node) const { return misfits_.contains(node.value); }
  const cache::KnownLayout& layout_of(model::NodeId node) const;
  void learn_pages(const Transfer& transfer, const TransferObject& object);

  cache::Cache* cache_;
  const StoredForms* forms_;
  CodecChooser chooser_;
  std::unordered_set<uint32_t> misfits_;  // nodes
  EncodedCounters counters_;
};

}  // namespace quire::tiering
