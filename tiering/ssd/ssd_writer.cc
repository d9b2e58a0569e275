#include "tiering/ssd/ssd_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using cache::Node;
using model::Errc;
using model::NodeId;

namespace {

constexpr uint64_t kMaxEncodedBytes = 16 << 20;  // of an object: what is larger is stored as it is
constexpr size_t kMaxMisfits = 1 << 12;          // remembered: beyond it they are tried encoded

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
      codec_(options.codec),
      room_(parts, committer),
      next_generation_(options.first_generation) {}

// That the node takes on the device with all before it on its path.
uint64_t SsdWriter::regions_of_path(NodeId node, uint64_t slot_bytes) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId parent = tree.parent(node);
  const uint32_t step = layout_of(node).units_per_block;
  const uint64_t before = tree.node(parent).units() / step;
  if (tree.node(node).is_span()) return room_.regions_of(slot_bytes, before + 1);
  const uint64_t spans =
      before == 0 ? 0 : room_.regions_of(parts_.forms->object_bytes(parent), before);
  return room_.regions_of(slot_bytes, 1) + spans;
}

Fitting SsdWriter::fits(NodeId node) {
  const int64_t now_ns = parts_.clock->now_ns();
  const uint64_t slot_bytes = slot_bytes_of(node);
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
  return room_.make(slot_bytes, now_ns);
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

// Objects of one transfer are stored in one manner.
uint32_t SsdWriter::alike(std::span<const NodeId> nodes) const {
  const bool plain = as_it_is(nodes.front());
  const auto other = std::find_if(nodes.begin(), nodes.end(),
                                  [&](NodeId node) { return as_it_is(node) != plain; });
  return static_cast<uint32_t>(other - nodes.begin());
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
  const uint64_t slot_bytes = slot_bytes_of(nodes.front());
  uint32_t count = alike(nodes);
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
  // A region that was restored may not have been touched yet.
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

const cache::KnownLayout& SsdWriter::layout_of(NodeId node) const {
  const Node& link = parts_.cache->store().tree().node(node);
  return *parts_.cache->names().root(link.root()).layout;
}

uint64_t SsdWriter::slot_bytes_of(NodeId node) {
  const uint64_t plain = parts_.forms->object_bytes(node);
  if (plain > kMaxEncodedBytes || as_it_is(node)) return plain;
  return codec_.slot_size(layout_of(node), parts_.cache->store().presence().plan_of(node));
}

void SsdWriter::choose_codec(Transfer& transfer, uint32_t index) {
  TransferObject& object = transfer.objects[index];
  const cache::KnownLayout& layout = layout_of(object.node);
  if (transfer.stored_form != nullptr) {
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      transfer.headers[index].pages[p].element_bytes = codec_.element_bytes(layout, page.group);
    }
  } else if (const auto trial =
                 codec_.next_trial(layout, parts_.cache->store().presence().plan_of(object.node))) {
    object.check.sampled_page = trial->page;
    object.check.sample = trial->sample;
  }
}

// From all objects that were checked; counted are the first `written` of them.
void SsdWriter::learn_codec(const Transfer& transfer, uint32_t written) {
  const bool encoded = transfer.stored_form != nullptr;
  bool fitted = true;
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const TransferObject& object = transfer.objects[i];
    const cache::KnownLayout& layout = layout_of(object.node);
    if (const PageSample& sample = object.check.sample; sample.plain_bytes > 0) {
      const TransferPage& page = transfer.pages[object.first_page + object.check.sampled_page];
      codec_.observe(layout, page.group, sample.plain_bytes, sample.stored_bytes);
    }
    if (!object.check.good) {
      ++counters_.encoded_misfits;
      fitted = false;
    }
    for (uint32_t p = 0; encoded && object.check.good && p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      const StoredPage& stored = object.check.stored[p];
      // A block or less cannot take fewer, and says nothing of its group.
      if (page.bytes <= kSsdBlockBytes || codec_.element_bytes(layout, page.group) == 0) continue;
      codec_.observe(layout, page.group, page.bytes,
                     stored.element_bytes != 0 ? stored.stored_bytes : 0);
    }
  }
  if (!encoded) return;
  const NodeId first = transfer.objects[0].node;
  codec_.observe_fit(parts_.cache->store().presence().plan_of(first), transfer.object_count,
                     fitted);
  counters_.encoded_objects += written;
  counters_.encoded_plain_bytes += written * parts_.forms->object_bytes(first);
  counters_.encoded_stored_bytes += written * transfer.stored_slot_bytes;
}

void SsdWriter::describe(Transfer& transfer, uint32_t object) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId node = transfer.objects[object].node;
  const Node& link = tree.node(node);
  const Node& above = tree.node(tree.parent(node));
  const cache::Root& root = parts_.cache->names().root(link.root());
  const bool below_root = above.is_root();
  ExtentHeader& header = transfer.headers[object];
  header = ExtentHeader{};
  header.kind = static_cast<uint8_t>(link.kind());
  header.generation = transfer.run.generation + object;
  header.slot = transfer.first.value + object;
  header.units = link.units();
  header.parent_units = above.units();
  header.owner_tag = transfer.run.owner_tag;
  header.kept = transfer.run.kept ? 1 : 0;
  header.more_count = static_cast<uint32_t>(transfer.run.more.size());
  std::copy(transfer.run.more.begin(), transfer.run.more.end(), header.more.begin());
  header.instance = parts_.instance;
  header.root = root.hash;
  header.key = tree.key(node);
  header.parent_key = below_root ? root.hash : tree.key(tree.parent(node));
  header.layout_digest = root.layout->digest;
  header.weights_epoch = root.key.weights_epoch;
  const auto copy_name = [](auto& field, const std::string& name) {
    std::memcpy(field.data(), name.data(), std::min(name.size(), field.size() - 1));
  };
  copy_name(header.domain, parts_.cache->names().domain_name(root.key.domain));
  copy_name(header.tenant, root.key.tenant);
  copy_name(header.namespace_name, root.key.namespace_name);
}

// What the manifest will say of the run.
void SsdWriter::fill_in_run(Transfer& transfer, NodeId first) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const Node& link = tree.node(first);
  const cache::Root& root = parts_.cache->names().root(link.root());
  transfer.run.key = {.root = parts_.roots->number(link.root()),
                      .units = link.units(),
                      .kind = static_cast<uint8_t>(link.kind()),
                      .slot = transfer.first};
  transfer.run.generation = next_generation_;
  transfer.run.unit_step = root.layout->units_per_block;
  transfer.run.parent_units = tree.node(tree.parent(first)).units();
  transfer.run.owner_tag = link.owner_tag();
  transfer.run.kept = link.is_checkpoint() && link.is_kept();
  transfer.run.slot_bytes = transfer.stored_slot_bytes;
  const auto more = parts_.space->more_regions(transfer.first.region());
  transfer.run.more.assign(more.begin(), more.end());
}

void SsdWriter::write(std::span<const NodeId> nodes, uint32_t job) {
  QUIRE_CHECK(reserved_ != nullptr && nodes.size() == reserved_run_.count);
  Transfer& transfer = *std::exchange(reserved_, nullptr);
  const cache::ObjectStore& store = parts_.cache->store();
  transfer.first = reserved_run_.first;
  transfer.job = job;
  fill_in_run(transfer, nodes.front());
  next_generation_ += nodes.size();
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    page_slots_.clear();
    for (model::SlotId slot = store.presence().first_page(nodes[i]); slot.valid();
         slot = store.presence().next_page(slot)) {
      page_slots_.push_back(slot);
    }
    parts_.mover->add_object(transfer, nodes[i], page_slots_);
    describe(transfer, i);
    choose_codec(transfer, i);
    transfer.run.keys.push_back(store.tree().key(nodes[i]));
  }
  transfer.run.parent_key = transfer.headers[0].parent_key;
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
  learn_codec(transfer, good);
  parts_.forms->drop(transfer);
  parts_.space->cancel({transfer.first.value + good}, transfer.object_count - good);
  // What comes behind one that did not fit is as innocent as that.
  const bool misfit =
      good < transfer.object_count && transfer.objects[good].state == ObjectState::kTooLarge;
  for (uint32_t i = transfer.object_count; i > good; --i) {
    const Errc code = write_code(transfer.objects[i - 1].state);
    tell(transfer, i - 1, 1, misfit && code != Errc::kCorrupt ? Errc::kBusy : code);
  }
  if (misfit) {
    if (misfits_.size() >= kMaxMisfits) misfits_.clear();
    misfits_.insert(transfer.objects[good].node.value);
  }
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
  const auto finish = [&](std::vector<Transfer*>& transfers, Errc code) {
    for (Transfer* transfer : transfers) {
      tell(*transfer, 0, transfer->object_count, code);
      // Its id may be another's by the time that one is written.
      for (uint32_t i = 0; i < transfer->object_count && code == Errc::kOk; ++i) {
        misfits_.erase(transfer->objects[i].node.value);
      }
      parts_.mover->give_back(transfer);
    }
    transfers.clear();
  };
  finish(committer_->durable(), Errc::kOk);
  finish(committer_->failed(), Errc::kIoError);
}

}  // namespace quire::tiering
