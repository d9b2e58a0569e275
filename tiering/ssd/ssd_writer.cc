#include "tiering/ssd/ssd_writer.h"

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;
using model::NodeId;

namespace {

Errc write_code(ObjectState state) {
  switch (state) {
    case ObjectState::kCorrupt:
      return Errc::kCorrupt;
    case ObjectState::kTooLarge:
      return Errc::kBusy;
    default:
      return Errc::kIoError;
  }
}

}  // namespace

SsdWriter::SsdWriter(const CommitterParts& parts, SsdCommitter* committer,
                     const WriterOptions& options, std::vector<TierEvent>* events)
    : parts_(parts),
      committer_(committer),
      events_(events),
      codec_(parts.cache, parts.forms, options.codec),
      describer_({.cache = parts.cache,
                  .roots = parts.roots,
                  .space = parts.space,
                  .instance = parts.instance},
                 options.first_generation),
      room_(parts, committer) {}

// That the node takes on the device with all before it on its path.
uint64_t SsdWriter::regions_of_path(NodeId node, uint64_t slot_bytes) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId parent = tree.parent(node);
  const cache::Root& root = parts_.cache->names().root(tree.node(node).root());
  const uint32_t step = root.layout->units_per_block;
  const uint64_t before = tree.node(parent).units() / step;
  if (tree.node(node).is_span()) return room_.regions_of(slot_bytes, before + 1);
  const uint64_t spans =
      before == 0 ? 0 : room_.regions_of(parts_.forms->object_bytes(parent), before);
  return room_.regions_of(slot_bytes, 1) + spans;
}

Fitting SsdWriter::fits(NodeId node) {
  const int64_t now_ns = parts_.clock->now_ns();
  const uint64_t slot_bytes = codec_.slot_bytes(node);
  if (!room_.can_hold(slot_bytes, now_ns)) return {Fit::kTooLarge, slot_bytes};
  const bool whole_path = room_.can_hold_regions(regions_of_path(node, slot_bytes), now_ns);
  return {whole_path ? Fit::kFits : Fit::kTooDeep, slot_bytes};
}

// What the path has on the device stays there, wherever it lies: others were written in between, or
// slots had another size before. In regions of this size slots beside it may become free, until
// nothing more can go.
bool SsdWriter::path_leaves_room(NodeId node, uint64_t slot_bytes, int64_t now_ns) const {
  const cache::ObjectStore& store = parts_.cache->store();
  const cache::PrefixTree& tree = store.tree();
  std::unordered_set<uint32_t> regions;
  for (NodeId up = tree.parent(node); !tree.node(up).is_root(); up = tree.parent(up)) {
    const auto place = store.presence().place(up);
    if (!place) continue;
    const uint32_t region = SsdSlot{place->slot}.region();
    const bool shared = !room_.stuck() && parts_.space->slot_bytes(region) == slot_bytes &&
                        slot_geometry(parts_.space->region_bytes(), slot_bytes).slot_count > 1;
    if (shared || !regions.insert(region).second) continue;
    const auto more = parts_.space->more_regions(region);
    regions.insert(more.begin(), more.end());
  }
  return room_.can_hold_beside(regions, slot_bytes, now_ns);
}

// Not of the parent's place: its child's copy would be lost with it.
bool SsdWriter::make_room(NodeId node, uint64_t slot_bytes, int64_t now_ns) {
  cache::ObjectStore& store = parts_.cache->store();
  const NodeId parent = store.tree().parent(node);
  const cache::Pin stays(&store, parent, cache::PinKind::kPresence);
  const model::TenantId asker = parts_.cache->names().root(store.tree().node(node).root()).tenant;
  return room_.make(slot_bytes, asker, now_ns);
}

// The walk to the top is paid before anything makes way, and again where nothing can.
SsdWriter::Reserved SsdWriter::reserve_new_room(std::span<const NodeId> nodes,
                                                uint64_t slot_bytes) {
  const int64_t now_ns = parts_.clock->now_ns();
  const NodeId node = nodes.front();
  const bool again = std::exchange(room_for_, node) == node && !room_.stuck();
  if (!again && !path_leaves_room(node, slot_bytes, now_ns)) return {.fit = Fit::kTooDeep};
  if (make_room(node, slot_bytes, now_ns)) return reserve(nodes);
  blocked_by_ = room_.blocked_by();
  return {};
}

// A record for so many objects of the run, with memory for their stored form; null: none is free.
Transfer* SsdWriter::take_record(NodeId node, uint64_t slot_bytes, uint32_t& count) {
  Transfer* transfer = parts_.mover->take(TransferKind::kDemote, TransferClass::kDemote);
  if (transfer == nullptr || slot_bytes == parts_.forms->object_bytes(node)) return transfer;
  count = std::min(count, parts_.forms->max_encoded(TransferKind::kDemote, slot_bytes));
  if (parts_.forms->set_encoded(*transfer, count, slot_bytes)) return transfer;
  parts_.mover->give_back(transfer);
  return nullptr;
}

SsdWriter::Reserved SsdWriter::reserve(std::span<const NodeId> nodes) {
  QUIRE_CHECK(reserved_ == nullptr);
  blocked_by_.clear();
  if (room_.allocating()) return {};
  const cache::ObjectStore& store = parts_.cache->store();
  const uint64_t slot_bytes = codec_.slot_bytes(nodes.front());
  uint32_t count = codec_.alike(nodes);
  Transfer* transfer = take_record(nodes.front(), slot_bytes, count);
  if (transfer == nullptr) return {};
  const NodeId parent = store.tree().parent(nodes.front());
  const auto place =
      store.tree().node(parent).is_root() ? std::nullopt : store.presence().place(parent);
  const auto slots = room_.take(slot_bytes, count, place ? SsdSlot{place->slot} : SsdSlot{});
  if (!slots) {
    parts_.mover->give_back(transfer);
    return reserve_new_room(nodes, slot_bytes);
  }
  reserved_ = transfer;
  reserved_run_ = *slots;
  // Here, not when it is written: a device that opens no file keeps its candidates, and room that
  // is promised is there. A region that was restored may not have been touched yet.
  if (const auto opened = parts_.files->open(slots->first.region(), true); !opened.ok()) {
    blocked_by_ = opened.error().text;
    parts_.health->open_failed(opened.error(), parts_.clock->now_ns());
    give_back();
    return {};
  }
  return {.fit = Fit::kFits,
          .objects = slots->count,
          .bytes = slots->count * (slot_bytes + kSsdBlockBytes)};
}

void SsdWriter::give_back() {
  parts_.space->cancel(reserved_run_.first, reserved_run_.count);
  parts_.mover->give_back(std::exchange(reserved_, nullptr));
}

void SsdWriter::write(std::span<const NodeId> nodes, uint32_t job) {
  QUIRE_CHECK(reserved_ != nullptr && nodes.size() == reserved_run_.count);
  Transfer& transfer = *std::exchange(reserved_, nullptr);
  const cache::ObjectStore& store = parts_.cache->store();
  transfer.first = reserved_run_.first;
  transfer.job = job;
  describer_.begin_run(transfer, nodes.front(), reserved_run_.count);
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    page_slots_.clear();
    for (model::SlotId slot = store.presence().first_page(nodes[i]); slot.valid();
         slot = store.presence().next_page(slot)) {
      page_slots_.push_back(slot);
    }
    parts_.mover->add_object(transfer, nodes[i], page_slots_);
    // The header first: the codec adds to what it says of pages.
    describer_.add(transfer, i);
    codec_.choose(transfer, i);
  }
  parts_.mover->start(transfer);
}

void SsdWriter::tell(const Transfer& transfer, uint32_t first, uint32_t count, Errc code) {
  events_->push_back(
      {.kind = TierEvent::Kind::kWritten,
       .code = code,
       .job = transfer.job,
       .first = first,
       .count = count,
       .place = {.slot = transfer.first.value + first,
                 .generation = static_cast<uint16_t>(transfer.run.generation + first)}});
}

// With the last object that came to an end: those before the first that failed go on to be made
// durable, the others are told from the deep end on.
void SsdWriter::on_settled(Transfer& transfer) {
  if (++transfer.handled < transfer.object_count) return;
  uint32_t good = 0;
  while (good < transfer.object_count && transfer.objects[good].state == ObjectState::kGood) ++good;
  codec_.learn(transfer, good);
  parts_.forms->drop(transfer);
  parts_.space->cancel({transfer.first.value + good}, transfer.object_count - good);
  // What comes behind one that did not fit is as innocent as that.
  const bool misfit =
      good < transfer.object_count && transfer.objects[good].state == ObjectState::kTooLarge;
  for (uint32_t i = transfer.object_count; i > good; --i) {
    const Errc code = write_code(transfer.objects[i - 1].state);
    tell(transfer, i - 1, 1, misfit && code != Errc::kCorrupt ? Errc::kBusy : code);
  }
  if (misfit) codec_.note_misfit(transfer.objects[good].node);
  transfer.object_count = good;
  transfer.run.keys.resize(good);
  if (good > 0) {
    committer_->add_written(&transfer);
  } else {
    parts_.mover->give_back(&transfer);
  }
}

void SsdWriter::step(int64_t now_ns) {
  room_.step(now_ns);
  if (std::exchange(relieved_, room_.relieved_count()) != room_.relieved_count()) {
    events_->push_back({.kind = TierEvent::Kind::kRoomier});
  }
  finish(committer_->durable(), Errc::kOk);
  finish(committer_->failed(), Errc::kIoError);
}

// Told before the record goes back: the next transfer takes it.
void SsdWriter::finish(std::vector<Transfer*>& transfers, Errc code) {
  for (Transfer* transfer : transfers) {
    tell(*transfer, 0, transfer->object_count, code);
    for (uint32_t i = 0; i < transfer->object_count && code == Errc::kOk; ++i) {
      codec_.forget_misfit(transfer->objects[i].node);
    }
    parts_.mover->give_back(transfer);
  }
  transfers.clear();
}

}  // namespace quire::tiering
