#include "allocator/pool.h"

#include <algorithm>
#include <string>
#include <utility>

namespace quire::allocator {
namespace {

using model::Errc;
using model::make_error;
using model::Result;
using model::SegmentId;
using model::SlotId;

constexpr uint64_t kGranuleBytes = ExtentMap::kGranuleBytes;
constexpr uint64_t kMaxSlots = (uint64_t{1} << 32) - kSlotsPerChunk;  // the last id is "none"
constexpr uint64_t kChunksPerSegment = 4;  // at least: one class never takes a segment whole
constexpr size_t kMaxClasses = ClassId::kNone;
// A layout has at most 64 page sizes, and a host serves a handful of layouts.
constexpr uint32_t kMaxClassesPerDomain = 4096;

// A page has at most 2^30 bytes.
uint64_t class_key(model::DomainId domain, uint64_t page_bytes) {
  return uint64_t{domain.value} << 48 | page_bytes;
}
constexpr uint32_t kGenerationStep = 1u << 8;  // above the state byte

}  // namespace

Result<std::unique_ptr<Pool>> Pool::create(SegmentSupply* supply, uint64_t max_slots) {
  if (max_slots < kSlotsPerChunk || max_slots > kMaxSlots) {
    return make_error(Errc::kInvalidArgument, "max_slots must be 16 to 2^32 - 16");
  }
  const auto max_chunks = static_cast<uint32_t>(max_slots / kSlotsPerChunk);
  std::unique_ptr<Pool> pool(new Pool(supply));
  pool->chunks_ = QUIRE_TRY(ChunkTable::reserve(max_chunks));
  pool->pages_ = QUIRE_TRY(FlatArray<PageEntry>::reserve(size_t{max_chunks} * kSlotsPerChunk));
  return pool;
}

Pool::~Pool() = default;

Result<ClassId> Pool::size_class(model::DomainId domain, uint64_t page_bytes) {
  const uint64_t segment_granules = supply_->segment_bytes() / kGranuleBytes;
  if (page_bytes == 0 || page_bytes > segment_granules * kGranuleBytes) {
    return make_error(Errc::kInvalidArgument, "page_bytes " + std::to_string(page_bytes) +
                                                  " is 0 or above the segment size " +
                                                  std::to_string(segment_granules * kGranuleBytes));
  }
  if (!domain.valid()) return make_error(Errc::kBusy, "more than 65,535 domains");
  const uint64_t key = class_key(domain, page_bytes);
  if (const auto found = class_by_size_.find(key); found != class_by_size_.end()) {
    return found->second;
  }
  // Records of domains may move here: nobody keeps a reference to one across a call.
  if (domain.value >= domains_.size()) domains_.resize(domain.value + size_t{1});
  if (domains_[domain.value].class_count == kMaxClassesPerDomain) {
    return make_error(Errc::kBusy, "this user's layouts have 4,096 page sizes; use no more");
  }
  if (free_classes_.empty()) {
    if (classes_.size() == kMaxClasses) return make_error(Errc::kBusy, "more than 65,535 classes");
    free_classes_.push_back(ClassId{static_cast<uint16_t>(classes_.size())});
    classes_.emplace_back();
  }
  const ClassId id = free_classes_.back();
  free_classes_.pop_back();
  ++domains_[domain.value].class_count;
  const uint64_t slot_granules = (page_bytes + kGranuleBytes - 1) / kGranuleBytes;
  const uint64_t chunk_slots =
      std::clamp<uint64_t>(segment_granules / kChunksPerSegment / slot_granules, 1, kSlotsPerChunk);
  classes_[id.value] = SizeClass{.domain = domain,
                                 .page_bytes = page_bytes,
                                 .slot_granules = static_cast<uint32_t>(slot_granules),
                                 .chunk_slots = static_cast<uint32_t>(chunk_slots),
                                 .partial = {}};
  class_by_size_.emplace(key, id);
  return id;
}

void Pool::forget_classes(model::DomainId domain) {
  if (domain.value >= domains_.size()) return;
  // Without segments no chunk names a class, so the ids may be others'.
  QUIRE_CHECK(domains_[domain.value].segments.bytes() == 0);
  for (uint16_t i = 0; i < classes_.size(); ++i) {
    SizeClass& size_class = classes_[i];
    if (size_class.page_bytes == 0 || size_class.domain != domain) continue;
    class_by_size_.erase(class_key(domain, size_class.page_bytes));
    size_class = SizeClass{};
    free_classes_.push_back(ClassId{i});
  }
  domains_[domain.value].class_count = 0;
}

std::optional<SlotId> Pool::allocate(ClassId size_class, SlotId after) {
  QUIRE_CHECK(size_class.value < classes_.size());
  const ChunkRecord* behind = nullptr;
  if (after.valid() && chunks_.is_live(chunk_of(after))) {
    const ChunkRecord& chunk = chunks_[chunk_of(after)];
    const uint32_t index = after.value % kSlotsPerChunk + 1;
    if (chunk.size_class == size_class.value) {
      behind = &chunk;
      const bool neighbour_free =
          index < chunk.slot_count && ((chunk.used_slots >> index) & 1) == 0;
      if (neighbour_free && !is_set_aside(chunk)) return give_slot(chunk_of(after), index);
    }
  }
  // Before a gap in an old chunk: a run of blocks stays adjacent. Gaps are filled once the domain's
  // segments have no room for a chunk.
  if (const std::optional<ChunkId> fresh = make_chunk(size_class, behind)) {
    return give_slot(*fresh, 0);
  }
  const auto& partial = classes_[size_class.value].partial;
  if (partial.empty()) return std::nullopt;
  const uint32_t used = chunks_[partial.front()].used_slots;
  return give_slot(partial.front(), static_cast<uint32_t>(std::countr_one(used)));
}

void Pool::free(SlotId slot) {
  QUIRE_CHECK(is_used(slot));
  const ChunkId id = chunk_of(slot);
  ChunkRecord& chunk = chunks_[id];
  // Asked before the bit goes: a full chunk stands in no list, and has a free slot now.
  if (chunk.is_full() && !is_set_aside(chunk)) {
    classes_[chunk.size_class].partial.push_back(chunks_, id);
  }
  chunk.used_slots &= static_cast<uint16_t>(~(1u << slot.value % kSlotsPerChunk));
  count_slot(chunk, false);
  PageEntry& entry = pages_[slot.value];
  if (entry.state() != PageState::kSealed) ++given_up_count_;
  // The generation stays: with the next use it is another, so an old descriptor is told from the
  // new page.
  entry = PageEntry{0, 0, 0, entry.state_generation};
  entry.set_state(PageState::kFree);
  events_.raise(classes_[chunk.size_class].domain);
  if (chunk.used_slots == 0) drop_chunk(id);
}

SlotId Pool::give_slot(ChunkId id, uint32_t index) {
  ChunkRecord& chunk = chunks_[id];
  chunk.used_slots |= static_cast<uint16_t>(1u << index);
  if (chunk.is_full()) classes_[chunk.size_class].partial.remove(chunks_, id);
  count_slot(chunk, true);
  const SlotId slot{id.value * kSlotsPerChunk + index};
  PageEntry& entry = pages_[slot.value];
  entry.state_generation += kGenerationStep;  // the other words are 0 since the last free
  entry.set_state(PageState::kFilling);
  return slot;
}

// Subtracts by adding the negative: unsigned arithmetic wraps as wanted.
void Pool::count_slot(const ChunkRecord& chunk, bool in_use) {
  const SizeClass& size_class = classes_[chunk.size_class];
  Domain& domain = domain_of(size_class);
  const uint64_t sign = in_use ? 1 : ~uint64_t{0};
  const uint64_t slot_bytes = size_class.slot_granules * kGranuleBytes;
  domain.usage.slots += sign;
  domain.usage.page_bytes += sign * size_class.page_bytes;
  domain.usage.slot_bytes += sign * slot_bytes;
  domain.segments[chunk.segment_ordinal].used_bytes += sign * slot_bytes;
}

std::optional<ChunkPlace> Pool::find_place(const SizeClass& size_class,
                                           const ChunkRecord* behind) const {
  const DomainSegments& segments = domains_[size_class.domain.value].segments;
  const uint32_t slot_granules = size_class.slot_granules;
  const uint32_t full_granules = size_class.chunk_slots * slot_granules;
  std::optional<uint32_t> preferred;
  if (behind != nullptr) {
    preferred = behind->segment_ordinal;
    const uint32_t end = behind->first_granule + behind->slot_count * slot_granules;
    const uint32_t run =
        segments[*preferred].set_aside ? 0 : segments[*preferred].room.run_at(end, full_granules);
    const uint32_t granules = run - run % slot_granules;
    // However short the room is: right behind the session's last chunk is worth more than a full
    // one.
    if (granules > 0) return ChunkPlace{*preferred, end, granules};
  }
  // A chunk of one slot still serves where nothing longer is free.
  const uint32_t longest = std::min(full_granules, segments.longest_run());
  const uint32_t granules = longest - longest % slot_granules;
  if (granules == 0) return std::nullopt;
  return segments.find_room(granules, preferred);
}

std::optional<ChunkId> Pool::make_chunk(ClassId id, const ChunkRecord* behind) {
  SizeClass& size_class = classes_[id.value];
  const std::optional<ChunkPlace> place = find_place(size_class, behind);
  if (!place) return std::nullopt;
  // Nothing was taken yet: where there is no id the room stays free.
  const std::optional<ChunkId> chunk_id = chunks_.acquire();
  if (!chunk_id) return std::nullopt;
  DomainSegments& segments = domain_of(size_class).segments;
  segments.take(*place);
  ChunkRecord& chunk = chunks_[*chunk_id];
  chunk.first_granule = place->first_granule;
  chunk.segment_ordinal = place->ordinal;
  chunk.size_class = id.value;
  chunk.slot_count = place->granules / size_class.slot_granules;
  segments[place->ordinal].chunks.push_back(chunks_, *chunk_id);
  size_class.partial.push_back(chunks_, *chunk_id);
  return chunk_id;
}

void Pool::drop_chunk(ChunkId id) {
  const ChunkRecord& chunk = chunks_[id];
  SizeClass& size_class = classes_[chunk.size_class];
  DomainSegments& segments = domain_of(size_class).segments;
  segments.put(place_of(chunk));
  segments[chunk.segment_ordinal].chunks.remove(chunks_, id);
  // It stands there: free() has put it in, if it was full.
  if (!is_set_aside(chunk)) size_class.partial.remove(chunks_, id);
  chunks_.release(id);
}

Pool::Growth Pool::grow(model::DomainId domain) {
  QUIRE_CHECK(domain.valid());
  note_supply();  // what comes from here on is news to whoever is turned away now
  std::unique_ptr<Segment> segment = supply_->take();
  if (segment == nullptr) {
    return supply_->state() == SupplyState::kExhausted ? Growth::kExhausted : Growth::kPending;
  }
  if (domain.value >= domains_.size()) domains_.resize(domain.value + size_t{1});
  // A number is never given again: clients may still map the segment that had it.
  domains_[domain.value].segments.add(SegmentId{next_segment_id_++}, std::move(segment));
  events_.raise(domain);
  return Growth::kGrew;
}

bool Pool::is_set_aside(const ChunkRecord& chunk) const {
  const model::DomainId domain = classes_[chunk.size_class].domain;
  return domains_[domain.value].segments[chunk.segment_ordinal].set_aside;
}

// A chunk of a segment that is set aside is in no list of chunks with a free slot.
void Pool::set_aside(model::DomainId domain, SegmentId segment, bool aside) {
  DomainSegments& segments = domains_[domain.value].segments;
  const std::optional<uint32_t> ordinal = segments.ordinal_of(segment);
  if (!ordinal || segments[*ordinal].set_aside == aside) return;
  const auto& chunks = segments[*ordinal].chunks;
  for (ChunkId id = chunks.front(); id.valid(); id = chunks.next(chunks_, id)) {
    if (chunks_[id].is_full()) continue;
    auto& partial = classes_[chunks_[id].size_class].partial;
    if (aside) {
      partial.remove(chunks_, id);
    } else {
      partial.push_back(chunks_, id);
    }
  }
  segments.set_aside(*ordinal, aside);
}

std::optional<Pool::Retired> Pool::retire(model::DomainId domain, SegmentId segment) {
  if (domain.value >= domains_.size()) return std::nullopt;
  Domain& from = domains_[domain.value];
  const std::optional<uint32_t> ordinal = from.segments.ordinal_of(segment);
  // A chunk goes with its last slot, so without chunks no slot is in use.
  if (!ordinal || !from.segments[*ordinal].chunks.empty()) return std::nullopt;
  DomainSegments::Record record = from.segments.remove(*ordinal);
  // Not free yet: clients may keep the memory, and their domain pays until it is gone.
  from.usage.retiring_bytes += record.segment->bytes();
  ++retiring_count_;
  return Retired{record.id, std::move(record.segment)};
}

void Pool::give_back(model::DomainId domain, std::unique_ptr<Segment> segment) {
  supply_->give_back(std::move(segment), domain.value);
}

void Pool::collect_gone() {
  if (retiring_count_ == 0) return;
  for (const uint16_t domain : supply_->take_gone()) {
    domains_[domain].usage.retiring_bytes -= supply_->segment_bytes();
    --retiring_count_;
    events_.raise_all();  // shares moved
  }
}

void Pool::note_supply() {
  if (supply_->take_news()) events_.raise_all();
}

bool Pool::is_used(SlotId slot) const {
  return chunks_.is_live(chunk_of(slot)) &&
         ((chunks_[chunk_of(slot)].used_slots >> slot.value % kSlotsPerChunk) & 1) != 0;
}

ChunkPlace Pool::place_of(const ChunkRecord& chunk) const {
  return ChunkPlace{chunk.segment_ordinal, chunk.first_granule,
                    chunk.slot_count * classes_[chunk.size_class].slot_granules};
}

SlotPlace Pool::place(SlotId slot) const {
  QUIRE_CHECK(is_used(slot));
  const ChunkRecord& chunk = chunks_[chunk_of(slot)];
  const SizeClass& size_class = classes_[chunk.size_class];
  const DomainSegments::Record& record =
      domains_[size_class.domain.value].segments[chunk.segment_ordinal];
  const uint64_t granule =
      chunk.first_granule + slot.value % kSlotsPerChunk * uint64_t{size_class.slot_granules};
  const uint64_t offset = granule * kGranuleBytes;
  return SlotPlace{record.id, offset, record.segment->data() + offset};
}

ChunkView Pool::chunk_view(SlotId slot) const {
  QUIRE_CHECK(is_used(slot));
  const ChunkRecord& chunk = chunks_[chunk_of(slot)];
  const SizeClass& size_class = classes_[chunk.size_class];
  const DomainSegments& segments = domains_[size_class.domain.value].segments;
  return {.chunk = chunk_of(slot),
          .segment = segments[chunk.segment_ordinal].id,
          .offset = chunk.first_granule * kGranuleBytes,
          .slot_bytes = size_class.slot_granules * kGranuleBytes,
          .page_bytes = size_class.page_bytes};
}

model::DomainId Pool::domain_of(SlotId slot) const {
  QUIRE_CHECK(is_used(slot));
  return classes_[chunks_[chunk_of(slot)].size_class].domain;
}

uint64_t Pool::page_bytes(SlotId slot) const {
  QUIRE_CHECK(is_used(slot));
  return classes_[chunks_[chunk_of(slot)].size_class].page_bytes;
}

DomainUsage Pool::usage(model::DomainId domain) const {
  if (domain.value >= domains_.size()) return {};
  DomainUsage usage = domains_[domain.value].usage;
  usage.segment_bytes = domains_[domain.value].segments.bytes();
  return usage;
}

uint32_t Pool::domain_count() const { return static_cast<uint32_t>(domains_.size()); }

std::vector<SegmentView> Pool::segments(model::DomainId domain) const {
  std::vector<SegmentView> views;
  if (domain.value >= domains_.size()) return views;
  const DomainSegments& segments = domains_[domain.value].segments;
  for (const uint32_t ordinal : segments.by_id()) {
    const DomainSegments::Record& record = segments[ordinal];
    views.push_back({record.id, record.segment.get(), record.used_bytes, record.set_aside});
  }
  return views;
}

const Segment* Pool::find_segment(model::DomainId domain, SegmentId id) const {
  if (domain.value >= domains_.size()) return nullptr;
  const DomainSegments::Record* record = domains_[domain.value].segments.find(id);
  return record == nullptr ? nullptr : record->segment.get();
}

uint64_t Pool::table_bytes() const {
  uint64_t bytes =
      pages_.held_bytes(size_t{chunks_.high_water()} * kSlotsPerChunk) + chunks_.resident_bytes();
  for (const Domain& domain : domains_) bytes += domain.segments.table_bytes();
  return bytes;
}

}  // namespace quire::allocator
