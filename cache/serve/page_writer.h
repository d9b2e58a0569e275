// Where the pages of objects in RAM lie, written down for a client: a descriptor a page. What a
// load costs is what is done here for each of its pages, so all of it is in line.
//
//   ObjectPages   which pages of an object were asked for, and their slots
//   ChunkViews    where slots lie; what a chunk's slots share is looked up once a chunk
//   PageWriter    both, written as PageDescriptor
//
// Threads: core only. Lifetime: one call; slots may move between two.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "allocator/pool.h"
#include "cache/objects/object_store.h"
#include "model/page_plan.h"
#include "model/ring_frames.h"

namespace quire::cache {

// Of objects of one plan. `plan` outlives it.
class ObjectPages {
 public:
  ObjectPages(const ObjectStore& store, const model::PagePlan& plan, model::GroupMask groups)
      : presence_(store.presence()), pool_(store.pool()), plan_(plan), groups_(groups) {}

  // Of one object.
  uint32_t count() const {
    uint32_t count = 0;
    for (const model::PlannedPage& page : plan_.pages) count += groups_ >> page.group & 1;
    return count;
  }
  // Calls visit(which, group, slot, entry) for each; `which` counts those asked for. Precondition:
  // in RAM.
  template <typename Visit>
  void for_each(model::NodeId object, Visit&& visit) const {
    model::SlotId slot = presence_.first_page(object);
    uint32_t which = 0;
    for (const model::PlannedPage& planned : plan_.pages) {
      const allocator::PageEntry& entry = pool_.page(slot);
      if (groups_ >> planned.group & 1) visit(which++, planned.group, slot, entry);
      slot = presence_.next_page(slot);
    }
  }

 private:
  const Presence& presence_;
  const allocator::Pool& pool_;
  const model::PagePlan& plan_;
  const model::GroupMask groups_;
};

// The chunk that was asked for last, for each of some pages of an object: those of different groups
// lie in different chunks, and a walk over a path stays in each of them for up to 16 spans.
class ChunkViews {
 public:
  explicit ChunkViews(const allocator::Pool& pool) : pool_(pool) {}

  const allocator::ChunkView& of(uint32_t which, model::SlotId slot) {
    allocator::ChunkView& view = views_[which % views_.size()];
    if (view.chunk != allocator::chunk_of(slot)) view = pool_.chunk_view(slot);
    return view;
  }

 private:
  const allocator::Pool& pool_;
  std::array<allocator::ChunkView, 8> views_{};
};

class PageWriter {
 public:
  // `slots`: receives the slot of each descriptor; may be null.
  PageWriter(const ObjectStore& store, const ObjectPages& pages,
             std::span<model::PageDescriptor> out, std::vector<model::SlotId>* slots)
      : chunks_(store.pool()), pages_(pages), out_(out), slots_(slots) {}

  // The pages of an object in RAM, from out[index] on.
  void write(model::NodeId object, size_t index, bool checkpoint = false) {
    pages_.for_each(object, [&](uint32_t which, model::GroupIndex group, model::SlotId slot,
                                const allocator::PageEntry& entry) {
      const allocator::ChunkView& chunk = chunks_.of(which, slot);
      if (slots_ != nullptr) (*slots_)[index + which] = slot;
      out_[index + which] = {.offset = chunk.offset_of(slot),
                             .bytes = chunk.page_bytes,
                             .segment = chunk.segment.value,
                             .generation = entry.generation(),
                             .crc32c = entry.crc32c,
                             .group = group,
                             .flags = static_cast<uint16_t>(checkpoint ? 1 : 0)};
    });
  }

 private:
  ChunkViews chunks_;
  const ObjectPages& pages_;
  const std::span<model::PageDescriptor> out_;
  std::vector<model::SlotId>* const slots_;
};

}  // namespace quire::cache
