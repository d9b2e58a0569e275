#include "tiering/ssd/ssd_mover.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <set>
#include <string>

#include "model/check.h"

namespace quire::tiering {

using cache::Node;
using cache::NodeKind;
using model::NodeId;

namespace {

constexpr uint32_t kOpsPerCall = 4;  // of issue()
// A longer one would hold up what another class waits for, and is split.
constexpr uint64_t kMaxOpBytes = 8 << 20;
constexpr uint64_t kTransfersBounced = 4;  // at least so many encoded ones have memory at once
// A reading interval shorter than this says little about bandwidth; a longer one is cut.
constexpr int64_t kMinBusyNs = 5'000'000;
constexpr int64_t kMaxBusyNs = 50'000'000;

}  // namespace

model::Result<std::unique_ptr<SsdMover>> SsdMover::create(const MoverParts& parts,
                                                          const MoverOptions& options,
                                                          const std::array<uint8_t, 16>& instance) {
  std::unique_ptr<SsdMover> mover(new SsdMover(parts, options, instance));
  const size_t headers = size_t{kMaxTransfers} * kMaxRunObjects;
  mover->header_memory_ =
      QUIRE_TRY(allocator::ReservedMemory::reserve(headers * sizeof(ExtentHeader)));
  auto* memory = static_cast<std::byte*>(mover->header_memory_.data());
  // Not registered: it works all the same.
  const auto added = parts.engine->add_buffer({memory, headers * sizeof(ExtentHeader)});
  if (!added.ok() && added.code() != model::Errc::kResourceExhausted) return added.error();
  for (uint32_t i = 0; i < kMaxTransfers; ++i) {
    Transfer& transfer = mover->transfers_[i];
    transfer.index = i;
    transfer.headers = reinterpret_cast<ExtentHeader*>(memory) + size_t{i} * kMaxRunObjects;
  }
  uint32_t next = 0;
  for (size_t c = 0; c < kTransferClasses; ++c) {
    for (uint32_t i = 0; i < kRecords[c]; ++i) {
      mover->free_[c].push_back(&mover->transfers_[next++]);
    }
  }
  return mover;
}

SsdMover::~SsdMover() {
  parts_.engine->remove_buffer(static_cast<const std::byte*>(header_memory_.data()));
  for (const std::byte* segment : registered_) parts_.engine->remove_buffer(segment);
}

bool SsdMover::moves_for(model::DomainId domain) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  return std::any_of(transfers_.begin(), transfers_.end(), [&](const Transfer& transfer) {
    if (!transfer.in_use || transfer.object_count == 0) return false;
    const Node& link = tree.node(transfer.objects[0].node);
    if (!link.is_object()) return false;  // settled already, and gone
    const model::RootId root{link.root()};
    return parts_.cache->names().root(root).key.domain == domain;
  });
}

Transfer* SsdMover::take(TransferKind kind, TransferClass priority) {
  std::vector<Transfer*>& free = free_[static_cast<size_t>(priority)];
  if (free.empty()) return nullptr;
  Transfer& transfer = *free.back();
  free.pop_back();
  transfer.in_use = true;
  transfer.kind = kind;
  transfer.priority = priority;
  transfer.object_count = 0;
  transfer.handled = 0;
  transfer.layer_major = false;
  transfer.pages.clear();
  transfer.ops.clear();
  transfer.next_op = 0;
  transfer.hung_reported = false;
  transfer.stored_bytes = 0;
  transfer.stored_form = nullptr;
  transfer.stored_slot_bytes = 0;
  transfer.run = RunRecord{};
  ++in_use_count_;
  return &transfer;
}

void SsdMover::give_back(Transfer* transfer) {
  QUIRE_CHECK(transfer->in_use && transfer->ops_in_flight == 0 && transfer->checks_in_flight == 0);
  drop_stored_form(*transfer);
  transfer->in_use = false;
  free_[static_cast<size_t>(transfer->priority)].push_back(transfer);
  --in_use_count_;
}

uint64_t SsdMover::object_bytes(NodeId node) const {
  return slot_bytes(parts_.cache->store().presence().plan_of(node));
}

uint64_t SsdMover::encoded_slot_bytes(NodeId node) const {
  const auto place = parts_.cache->store().presence().place(node);
  const uint64_t slot = parts_.files->slot_bytes(SsdSlot{place->slot}.region());
  return slot == object_bytes(node) ? 0 : slot;
}

uint64_t SsdMover::bounce_limit(TransferKind kind) const {
  return kind == TransferKind::kDemote ? options_.bounce_bytes / 2 : options_.bounce_bytes;
}

uint32_t SsdMover::max_encoded(TransferKind kind, uint64_t slot_bytes) const {
  const uint64_t count = bounce_limit(kind) / kTransfersBounced / slot_bytes;
  return static_cast<uint32_t>(std::clamp<uint64_t>(count, 1, kMaxRunObjects));
}

bool SsdMover::set_encoded(Transfer& transfer, uint32_t objects, uint64_t slot_bytes) {
  transfer.stored_form = bounce_.take(objects * slot_bytes, bounce_limit(transfer.kind));
  transfer.stored_slot_bytes = slot_bytes;
  return transfer.stored_form != nullptr;
}

void SsdMover::drop_stored_form(Transfer& transfer) {
  if (transfer.stored_form != nullptr) bounce_.give_back(transfer.stored_form);
  transfer.stored_form = nullptr;
}

// Registered once, when the first page of the segment moves.
void SsdMover::register_segment(model::SlotId slot) {
  const allocator::Pool& pool = parts_.cache->store().pool();
  const allocator::SlotPlace place = pool.place(slot);
  const std::byte* start = place.data - place.offset;
  const auto at = std::lower_bound(registered_.begin(), registered_.end(), start);
  if (at != registered_.end() && *at == start) return;
  registered_.insert(at, start);
  const allocator::Segment* segment = pool.find_segment(pool.domain_of(slot), place.segment);
  if (!parts_.engine->add_buffer({segment->data(), segment->bytes()}).ok()) {
    ++counters_.unregistered_segments;
  }
}

void SsdMover::forget_segment(const std::byte* data) {
  const auto at = std::lower_bound(registered_.begin(), registered_.end(), data);
  if (at == registered_.end() || *at != data) return;
  registered_.erase(at);
  parts_.engine->remove_buffer(data);
}

void SsdMover::add_object(Transfer& transfer, NodeId node, std::span<const model::SlotId> slots) {
  const std::vector<model::PlannedPage>& plan =
      parts_.cache->store().presence().plan_of(node).pages;
  QUIRE_CHECK(transfer.object_count < kMaxRunObjects && plan.size() == slots.size());
  TransferObject& object = transfer.objects[transfer.object_count++];
  object = TransferObject{.node = node,
                          .first_page = static_cast<uint32_t>(transfer.pages.size()),
                          .page_count = static_cast<uint32_t>(slots.size())};
  uint64_t slot_offset = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    register_segment(slots[i]);
    transfer.pages.push_back({.slot = slots[i],
                              .data = parts_.cache->store().pool().place(slots[i]).data,
                              .bytes = plan[i].bytes,
                              .slot_offset = slot_offset,
                              .first_layer = first_layer_of(node, plan[i].group),
                              .group = plan[i].group,
                              .tail = plan[i].tail});
    slot_offset += whole_blocks(plan[i].bytes);
  }
}

uint32_t SsdMover::first_layer_of(NodeId node, model::GroupIndex group) const {
  const Node& link = parts_.cache->store().tree().node(node);
  const cache::Root& root = parts_.cache->names().root(link.root());
  const auto& layers = root.layout->layout.groups[group].layers;
  return layers.empty() ? 0 : layers.front().layer;
}

void SsdMover::add_scratch_object(Transfer& transfer, NodeId node, std::byte* scratch) {
  TransferObject& object = transfer.objects[transfer.object_count++];
  object = TransferObject{.node = node, .first_page = static_cast<uint32_t>(transfer.pages.size())};
  uint64_t slot_offset = 0;
  for (const model::PlannedPage& page : parts_.cache->store().presence().plan_of(node).pages) {
    transfer.pages.push_back({.data = scratch + slot_offset,
                              .bytes = page.bytes,
                              .slot_offset = slot_offset,
                              .group = page.group,
                              .tail = page.tail});
    slot_offset += whole_blocks(page.bytes);
    ++object.page_count;
  }
}

void SsdMover::start(Transfer& transfer) {
  transfer.checks.assign(transfer.pages.size(), CopyPage{});
  if (transfer.kind == TransferKind::kDemote) {
    for (uint32_t i = 0; i < transfer.object_count; ++i) start_checks(transfer, i);
  } else {
    plan_ops(transfer);
  }
}

void SsdMover::add_op(Transfer& transfer, const IoOp& io, uint32_t object) {
  if (!transfer.ops.empty()) {
    TransferOp& last = transfer.ops.back();
    const bool adjacent = last.io.file == io.file && last.io.offset + last.io.bytes == io.offset &&
                          last.io.data + last.io.bytes == io.data;
    if (adjacent && last.io.bytes + io.bytes <= options_.merge_bytes) {
      last.io.bytes += io.bytes;
      if (last.last_object != object) ++transfer.objects[object].ops_left;
      last.last_object = static_cast<uint8_t>(object);
      return;
    }
  }
  transfer.ops.push_back({.io = io,
                          .first_object = static_cast<uint8_t>(object),
                          .last_object = static_cast<uint8_t>(object)});
  ++transfer.objects[object].ops_left;
}

void SsdMover::add_slot_ops(Transfer& transfer, IoKind kind, uint32_t object, uint64_t offset,
                            std::span<std::byte> memory) {
  while (!memory.empty()) {
    const SsdFiles::Piece piece = parts_.files->data({transfer.first.value + object}, offset);
    const uint64_t bytes = std::min({piece.bytes, memory.size(), kMaxOpBytes});
    add_op(transfer,
           {.kind = kind,
            .file = piece.place.file,
            .offset = piece.place.offset,
            .data = memory.data(),
            .bytes = bytes},
           object);
    offset += bytes;
    memory = memory.subspan(bytes);
  }
}

// Of all groups, or of those that start with this layer.
void SsdMover::add_page_ops(Transfer& transfer, IoKind kind, std::optional<uint32_t> first_layer) {
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const TransferObject& object = transfer.objects[i];
    if (object.state != ObjectState::kWaiting) continue;
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      if (first_layer && page.first_layer != *first_layer) continue;
      add_slot_ops(transfer, kind, i, page.slot_offset, {page.data, whole_blocks(page.bytes)});
    }
  }
}

// The whole of its slot: where its pages lie in its slot is in its header.
void SsdMover::add_stored_ops(Transfer& transfer, IoKind kind) {
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    if (transfer.objects[i].state != ObjectState::kWaiting) continue;
    const ExtentHeader& header = transfer.headers[i];
    const uint64_t bytes = kind == IoKind::kRead
                               ? transfer.stored_slot_bytes
                               : stored_slot_bytes({header.pages.data(), header.page_count});
    add_slot_ops(transfer, kind, i, 0,
                 {transfer.stored_form + i * transfer.stored_slot_bytes, bytes});
  }
}

// Headers first: they are one operation, adjacent in the region and in memory.
void SsdMover::plan_ops(Transfer& transfer) {
  const IoKind kind = transfer.kind == TransferKind::kDemote ? IoKind::kWrite : IoKind::kRead;
  transfer.ops.clear();
  transfer.next_op = 0;
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    if (transfer.objects[i].state != ObjectState::kWaiting) continue;
    const SsdFiles::Place place = parts_.files->header({transfer.first.value + i});
    add_op(transfer,
           {.kind = kind,
            .file = place.file,
            .offset = place.offset,
            .data = reinterpret_cast<std::byte*>(&transfer.headers[i]),
            .bytes = sizeof(ExtentHeader)},
           i);
  }
  if (transfer.stored_form != nullptr) {
    add_stored_ops(transfer, kind);
  } else if (transfer.layer_major) {
    std::set<uint32_t> first_layers;
    for (const TransferPage& page : transfer.pages) first_layers.insert(page.first_layer);
    for (const uint32_t layer : first_layers) add_page_ops(transfer, kind, layer);
  } else {
    add_page_ops(transfer, kind, std::nullopt);
  }
  const auto priority = static_cast<size_t>(transfer.priority);
  for (size_t i = 0; i < transfer.ops.size(); ++i) {
    transfer.ops[i].io.tag = uint64_t{transfer.index} << 32 | i;
    transfer.ops[i].io.client = &client_;
    transfer.stored_bytes += transfer.ops[i].io.bytes;
  }
  queued_bytes_[priority] += transfer.stored_bytes;
  if (!transfer.ops.empty()) queues_[priority].push_back(&transfer);
}

void SsdMover::settle(Transfer& transfer, uint32_t object, ObjectState state) {
  transfer.objects[object].state = state;
  settled_.push_back({&transfer, object});
}

void SsdMover::learn(const Transfer& transfer, const IoOp& io) {
  if (transfer.kind != TransferKind::kPromote || io.kind != IoKind::kRead) return;
  const int64_t now = parts_.clock->now_ns();
  // Estimates are asked for plain bytes.
  busy_bytes_ +=
      transfer.stored_form == nullptr
          ? io.bytes
          : io.bytes * object_bytes(transfer.objects[0].node) / transfer.stored_slot_bytes;
  --reads_in_flight_;
  const int64_t took = now - busy_since_ns_;
  if (reads_in_flight_ > 0 && took < kMaxBusyNs) return;
  if (took >= kMinBusyNs) {
    parts_.estimator->observe_busy_interval(busy_bytes_, took);
  } else {
    parts_.estimator->observe_idle_read(busy_bytes_, took);
  }
  busy_since_ns_ = now;
  busy_bytes_ = 0;
}

void SsdMover::finish_op(Transfer& transfer, TransferOp& op) {
  const auto priority = static_cast<size_t>(transfer.priority);
  transfer.progress_ns = parts_.clock->now_ns();
  --transfer.ops_in_flight;
  bytes_in_flight_ -= op.io.bytes;
  class_bytes_[priority] -= op.io.bytes;
  queued_bytes_[priority] -= op.io.bytes;
  learn(transfer, op.io);
  const bool write = op.io.kind == IoKind::kWrite;
  if (op.io.error != 0) {
    const std::string what = (write ? "write of " : "read of ") +
                             parts_.files->name_of(transfer.first.region()) + ": " +
                             std::strerror(op.io.error);
    if (write) {
      parts_.health->write_failed(op.io.error, what, transfer.progress_ns);
    } else {
      parts_.health->read_failed(op.io.error, what, transfer.progress_ns);
    }
  } else {
    (write ? counters_.written_bytes : counters_.read_bytes) += op.io.bytes;
    if (!write) parts_.health->read_succeeded();
  }
  for (uint32_t i = op.first_object; i <= op.last_object; ++i) {
    TransferObject& object = transfer.objects[i];
    // Merging may have stepped over objects that are not part of the transfer any more.
    if (object.ops_left == 0) continue;
    if (op.io.error != 0) object.failed = true;
    if (--object.ops_left > 0) continue;
    if (object.failed) {
      settle(transfer, i, ObjectState::kIoFailed);
    } else if (write) {
      settle(transfer, i, ObjectState::kGood);
    } else {
      start_checks(transfer, i);
    }
  }
}

bool SsdMover::poll() {
  const std::span<IoOp* const> finished = client_.take();
  for (const IoOp* op : finished) {
    Transfer& transfer = transfers_[op->tag >> 32];
    finish_op(transfer, transfer.ops[static_cast<uint32_t>(op->tag)]);
  }
  std::array<CopyTask*, 64> checked;
  const size_t checks = parts_.checks->poll(checked);
  for (size_t i = 0; i < checks; ++i) {
    finish_check(transfers_[checked[i]->id / kMaxRunObjects],
                 static_cast<uint32_t>(checked[i]->id % kMaxRunObjects));
  }
  return !finished.empty() || checks > 0;
}

bool SsdMover::may_issue(const Transfer& transfer, uint64_t bytes) const {
  if (bytes_in_flight_ == 0) return true;
  if (bytes_in_flight_ + bytes > options_.max_bytes) return false;
  const uint64_t own = class_bytes_[static_cast<size_t>(transfer.priority)];
  const uint64_t interactive = queued_bytes_of(TransferClass::kInteractive);
  if (own == 0) return true;
  switch (transfer.priority) {
    case TransferClass::kInteractive: {
      // Loads that never pause must not keep the others from going on for ever.
      const bool others = queued_bytes() > interactive;
      return !others || own + bytes <= options_.max_bytes / 4 * 3;
    }
    case TransferClass::kDemote:
      return own + bytes <= (interactive > 0 ? options_.demote_bytes / 2 : options_.demote_bytes);
    default:
      return own + bytes <= options_.batch_bytes;
  }
}

// False when nothing more of this class may go now.
bool SsdMover::issue_from(Transfer& transfer) {
  const auto priority = static_cast<size_t>(transfer.priority);
  for (; transfer.next_op < transfer.ops.size(); ++transfer.next_op) {
    IoOp& io = transfer.ops[transfer.next_op].io;
    if (issued_ == kOpsPerCall || !may_issue(transfer, io.bytes)) return false;
    if (!parts_.io->submit(&io)) return false;
    ++issued_;
    if (transfer.ops_in_flight++ == 0) transfer.progress_ns = parts_.clock->now_ns();
    bytes_in_flight_ += io.bytes;
    class_bytes_[priority] += io.bytes;
    ++(io.kind == IoKind::kWrite ? counters_.write_ops : counters_.read_ops);
    if (transfer.kind == TransferKind::kPromote && reads_in_flight_++ == 0) {
      busy_since_ns_ = parts_.clock->now_ns();
      busy_bytes_ = 0;
    }
  }
  return true;
}

bool SsdMover::issue() {
  parts_.io->hand_over();
  issued_ = 0;
  for (std::deque<Transfer*>& queue : queues_) {
    while (!queue.empty() && issue_from(*queue.front())) queue.pop_front();
  }
  parts_.io->flush();
  return issued_ == kOpsPerCall;
}

void SsdMover::find_hangs(int64_t now_ns, int64_t hang_ns) {
  for (Transfer& transfer : transfers_) {
    if (!transfer.in_use || transfer.ops_in_flight == 0 || transfer.hung_reported) continue;
    if (now_ns - transfer.progress_ns < hang_ns) continue;
    transfer.hung_reported = true;
    parts_.health->hung(parts_.files->name_of(transfer.first.region()) +
                            ": an operation has not come back for " +
                            std::to_string((now_ns - transfer.progress_ns) / 1'000'000) + " ms",
                        now_ns);
  }
  while (const auto since = parts_.io->next_hung(now_ns, hang_ns)) {
    parts_.health->hung(
        "a sync or allocation has not come back for " + std::to_string(*since / 1'000'000) + " ms",
        now_ns);
  }
}

uint64_t SsdMover::queued_bytes() const {
  return std::accumulate(queued_bytes_.begin(), queued_bytes_.end(), uint64_t{0});
}

}  // namespace quire::tiering
