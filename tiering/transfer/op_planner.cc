#include "tiering/transfer/op_planner.h"

#include <algorithm>
#include <set>

namespace quire::tiering {

namespace {

// A longer one would hold up what another class waits for, and is split.
constexpr uint64_t kMaxOpBytes = 8 << 20;

bool is_adjacent(const IoOp& last, const IoOp& next) {
  return last.file == next.file && last.offset + last.bytes == next.offset &&
         last.data + last.bytes == next.data;
}

}  // namespace

void OpPlanner::plan(Transfer& transfer, IoClient* client) const {
  const IoKind kind = transfer.kind == TransferKind::kDemote ? IoKind::kWrite : IoKind::kRead;
  transfer.ops.clear();
  transfer.next_op = 0;
  add_headers(transfer, kind);
  if (transfer.stored_form != nullptr) {
    add_stored(transfer, kind);
  } else if (transfer.layer_major) {
    // An engine that starts on layer 0 waits for the lower layers of all objects alone.
    std::set<uint32_t> first_layers;
    for (const TransferPage& page : transfer.pages) first_layers.insert(page.first_layer);
    for (const uint32_t layer : first_layers) add_pages(transfer, kind, layer);
  } else {
    add_pages(transfer, kind, std::nullopt);
  }
  // Not before: the vector moves while it grows, and merging changes how many bytes one has.
  for (size_t i = 0; i < transfer.ops.size(); ++i) {
    IoOp& io = transfer.ops[i].io;
    io.tag = uint64_t{transfer.index} << 32 | i;
    io.client = client;
    transfer.stored_bytes += io.bytes;
  }
}

void OpPlanner::add(Transfer& transfer, const IoOp& io, uint32_t object) const {
  if (!transfer.ops.empty()) {
    TransferOp& last = transfer.ops.back();
    if (is_adjacent(last.io, io) && last.io.bytes + io.bytes <= merge_bytes_) {
      last.io.bytes += io.bytes;
      // An object waits for an operation once, however many of its pages that has.
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

// An object of several regions lies in as many pieces.
void OpPlanner::add_stretch(Transfer& transfer, IoKind kind, Stretch stretch) const {
  while (!stretch.memory.empty()) {
    const SsdFiles::Piece piece =
        files_->data({transfer.first.value + stretch.object}, stretch.offset);
    const uint64_t bytes = std::min({piece.bytes, stretch.memory.size(), kMaxOpBytes});
    add(transfer,
        {.kind = kind,
         .file = piece.place.file,
         .offset = piece.place.offset,
         .data = stretch.memory.data(),
         .bytes = bytes},
        stretch.object);
    stretch.offset += bytes;
    stretch.memory = stretch.memory.subspan(bytes);
  }
}

// One operation as a rule: they are adjacent in the region and in memory.
void OpPlanner::add_headers(Transfer& transfer, IoKind kind) const {
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    if (transfer.objects[i].state != ObjectState::kWaiting) continue;
    const SsdFiles::Place place = files_->header({transfer.first.value + i});
    add(transfer,
        {.kind = kind,
         .file = place.file,
         .offset = place.offset,
         .data = reinterpret_cast<std::byte*>(&transfer.headers[i]),
         .bytes = sizeof(ExtentHeader)},
        i);
  }
}

// Of all groups, or of those that start with this layer.
void OpPlanner::add_pages(Transfer& transfer, IoKind kind,
                          std::optional<uint32_t> first_layer) const {
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const TransferObject& object = transfer.objects[i];
    if (object.state != ObjectState::kWaiting) continue;
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      if (first_layer && page.first_layer != *first_layer) continue;
      add_stretch(transfer, kind,
                  {.object = i,
                   .offset = page.slot_offset,
                   .memory = {page.data, whole_blocks(page.bytes)}});
    }
  }
}

// Read is the whole of the slot: where its pages lie in it is in a header that is yet to come.
void OpPlanner::add_stored(Transfer& transfer, IoKind kind) const {
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    if (transfer.objects[i].state != ObjectState::kWaiting) continue;
    const ExtentHeader& header = transfer.headers[i];
    const uint64_t bytes = kind == IoKind::kRead
                               ? transfer.stored_slot_bytes
                               : stored_slot_bytes({header.pages.data(), header.page_count});
    add_stretch(
        transfer, kind,
        {.object = i, .memory = {transfer.stored_form + i * transfer.stored_slot_bytes, bytes}});
  }
}

}  // namespace quire::tiering
