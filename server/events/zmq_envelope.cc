#include "server/events/zmq_envelope.h"

#include <string_view>

#include "model/layout.h"
#include "model/wire.h"

namespace quire::server {

using model::EventKind;
using model::EventRecord;
using model::EventRoot;
using model::Hash256;
using model::TierId;

namespace {

constexpr uint32_t kStoredFields = 11;
constexpr uint32_t kRemovedFields = 3;
constexpr uint64_t kRank = 0;

std::string_view medium_of(TierId tier) {
  constexpr std::array<std::string_view, model::kTierCount> kMedia{"cpu", "disk", "remote"};
  return kMedia[model::index_of(tier)];
}

std::string_view bytes_of(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
}

// As vLLM names them.
std::string_view group_kind(const model::EventGroup& group) {
  switch (static_cast<model::GroupKind>(group.kind)) {
    case model::GroupKind::kAppend:
      return "full_attention";
    case model::GroupKind::kWindow:
      return "sliding_window";
    case model::GroupKind::kState:
      return "mamba";
  }
  return "full_attention";
}

std::string_view name_in(const model::WireName& wire) {
  const auto name = model::from_wire_name(wire);
  return name.ok() ? *name : std::string_view();
}

}  // namespace

class ZmqEnvelope::Fields {
 public:
  Fields(MsgpackWriter& out, EnvelopeShape shape, std::string_view tag, uint32_t count)
      : out_(out), named_(shape == EnvelopeShape::kMap) {
    named_ ? out_.map(count + 1) : out_.array(count + 1);
    name("type").text(tag);
  }
  // Of the field that is written next.
  MsgpackWriter& name(std::string_view name) {
    if (named_) out_.text(name);
    return out_;
  }

 private:
  MsgpackWriter& out_;
  const bool named_;
};

void ZmqEnvelope::take_root(const EventRecord& record, const EventRoot& root) {
  roots_[record.root] = root;
}

void ZmqEnvelope::take(const EventRecord& record) {
  switch (static_cast<EventKind>(record.kind)) {
    case EventKind::kStored:
    case EventKind::kRemoved:
    case EventKind::kHeld:
      for (const TierId tier : model::kTiers) {
        if ((record.tiers & model::tier_bit(tier)) == 0) continue;
        add(record, static_cast<EventKind>(record.kind) != EventKind::kRemoved, tier);
      }
      return;
    case EventKind::kCleared:
      // Its objects are removed one by one; what was stored of it is written before it is
      // forgotten.
      flush_all();
      roots_.erase(record.root);
      return;
    case EventKind::kGap:
    case EventKind::kSnapshotBegin:
      return clear_all();
    default:
      return;
  }
}

void ZmqEnvelope::add(const EventRecord& record, bool stored, TierId tier) {
  Pending& pending = pending_[model::index_of(tier)];
  const EventRecord& first = pending.first;
  const bool was_stored = static_cast<EventKind>(first.kind) != EventKind::kRemoved;
  const bool same = !pending.hashes.empty() && was_stored == stored && first.root == record.root &&
                    first.fill == record.fill && first.groups == record.groups;
  const bool follows = !stored || (same && record.parent == pending.hashes.back());
  if (!same || !follows) {
    flush(tier);
    pending.first = record;
  }
  pending.hashes.push_back(record.hash);
}

void ZmqEnvelope::flush(TierId tier) {
  Pending& pending = pending_[model::index_of(tier)];
  if (pending.hashes.empty()) return;
  const bool stored = static_cast<EventKind>(pending.first.kind) != EventKind::kRemoved;
  for (uint32_t group = 0; group < model::kMaxGroups; ++group) {
    if ((pending.first.groups >> group & 1) == 0) continue;
    stored ? write_stored(pending, tier, group) : write_removed(pending, tier, group);
    ++event_count_;
  }
  pending.hashes.clear();
}

void ZmqEnvelope::flush_all() {
  for (const TierId tier : model::kTiers) flush(tier);
}

void ZmqEnvelope::clear_all() {
  flush_all();
  Fields(events_, shape_, "AllBlocksCleared", 0);
  ++event_count_;
}

void ZmqEnvelope::write_stored(const Pending& pending, TierId tier, uint32_t group) {
  const EventRecord& first = pending.first;
  // A root without a description (EventRoots is full) has no names.
  const auto known = roots_.find(first.root);
  const EventRoot none;
  const EventRoot& root = known == roots_.end() ? none : known->second;
  const auto count = static_cast<uint32_t>(pending.hashes.size());
  Fields fields(events_, shape_, "BlockStored", kStoredFields);
  fields.name("block_hashes").array(count);
  for (const Hash256& hash : pending.hashes) events_.binary(bytes_of(hash));
  MsgpackWriter& parent = fields.name("parent_block_hash");
  first.parent_tokens == 0 ? parent.none() : parent.binary(bytes_of(first.parent));
  fields.name("token_ids").array(0);
  fields.name("block_size").number(root.block_tokens);
  fields.name("lora_id").none();
  fields.name("medium").text(medium_of(tier));
  fields.name("lora_name").none();
  fields.name("extra_keys").array(count);
  for (uint32_t i = 0; i < count; ++i) {
    events_.array(4);
    events_.text(name_in(root.domain));
    events_.text(name_in(root.tenant));
    events_.text(name_in(root.namespace_name));
    events_.number(root.weights_epoch);
  }
  fields.name("group_idx").number(group);
  fields.name("kv_cache_spec_kind").text(group_kind(root.groups[group]));
  MsgpackWriter& window = fields.name("kv_cache_spec_sliding_window");
  const uint32_t window_tokens = root.groups[group].window_tokens;
  window_tokens == 0 ? window.none() : window.number(window_tokens);
}

void ZmqEnvelope::write_removed(const Pending& pending, TierId tier, uint32_t group) {
  Fields fields(events_, shape_, "BlockRemoved", kRemovedFields);
  fields.name("block_hashes").array(static_cast<uint32_t>(pending.hashes.size()));
  for (const Hash256& hash : pending.hashes) events_.binary(bytes_of(hash));
  fields.name("medium").text(medium_of(tier));
  fields.name("group_idx").number(group);
}

std::string ZmqEnvelope::take_batch(double seconds) {
  flush_all();
  if (event_count_ == 0) return {};
  MsgpackWriter batch;
  const bool named = shape_ == EnvelopeShape::kMap;
  named ? batch.map(3) : batch.array(3);
  if (named) batch.text("ts");
  batch.real(seconds);
  if (named) batch.text("events");
  batch.array(std::exchange(event_count_, 0));
  batch.raw(events_.take());
  if (named) batch.text("data_parallel_rank");
  batch.number(kRank);
  events_ = {};
  return batch.take();
}

}  // namespace quire::server
