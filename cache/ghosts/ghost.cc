#include "cache/ghosts/ghost.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "model/check.h"

namespace quire::cache {

using model::Result;

namespace {

// A stretch that is more than such a part of a ghost loses blocks from its end only.
constexpr uint64_t kPartsToTrim = 64;

// What History knows a stretch by: the same word of it as of a node's key.
model::Hash256 history_key(const Stretch& stretch) {
  model::Hash256 key;
  std::memcpy(key.bytes.data() + sizeof(uint64_t), stretch.keys.data(), sizeof(uint32_t));
  return key;
}

}  // namespace

Result<std::unique_ptr<Ghost>> Ghost::create(const GhostOptions& options, StretchTable* stretches,
                                             const UseClock* clock) {
  const uint32_t max_count = stretches->max_count();
  EntryTable entries = QUIRE_TRY(EntryTable::create(max_count));
  auto holds = QUIRE_TRY(allocator::FlatArray<Hold>::reserve(max_count));
  std::unique_ptr<Ghost> made(new Ghost(options, stretches, std::move(entries), std::move(holds)));
  made->policy_ = QUIRE_TRY(options.policy->make({.entries = &made->entries_,
                                                  .history = &made->history_,
                                                  .clock = clock,
                                                  .facts = made.get(),
                                                  .max_entries = max_count}));
  made->needs_history_ = made->policy_->needs_history();
  return made;
}

std::optional<EntryId> Ghost::parent(EntryId entry) const {
  const EntryId above = stretches_->at(entry).parent;
  if (!above.valid() || held_blocks(above) == 0) return std::nullopt;
  return above;
}

uint64_t Ghost::end_tokens(EntryId entry) const {
  const Stretch& stretch = stretches_->at(entry);
  return uint64_t{stretch.end_block} * stretch.shape.tokens;
}

// What many conversations share is there once whatever the rate, the rest for each that is seen.
uint64_t Ghost::limit_bytes(double rate) const {
  const uint64_t shared = std::min(shared_bytes_, options_.capacity_bytes);
  const auto rest = static_cast<double>(options_.capacity_bytes - shared);
  return shared + static_cast<uint64_t>(rest * rate);
}

void Ghost::set_blocks(EntryId id, uint32_t blocks) {
  Hold& hold = holds_[id.value];
  const Stretch& stretch = stretches_->at(id);
  const uint64_t before = uint64_t{hold.blocks} * stretch.shape.bytes;
  const uint64_t after = uint64_t{blocks} * stretch.shape.bytes;
  content_bytes_ += after - before;
  blocks_ += uint64_t{blocks} - hold.blocks;
  if (stretch.shared) shared_bytes_ += after - before;
  if (hold.blocks == 0 && blocks > 0) stretches_->hold(id);
  if (hold.blocks > 0 && blocks == 0) stretches_->release(id);
  hold.blocks = blocks & 0xff;
}

// The first stretch that is not there whole.
size_t Ghost::find_end(const GhostVisit& visit, uint32_t& hits) const {
  size_t end = 0;
  for (; end < visit.path.size(); ++end) {
    const uint32_t held = held_blocks(visit.path[end]);
    hits += held;
    if (held < stretches_->at(visit.path[end]).blocks) break;
  }
  return end;
}

void Ghost::note_use(const GhostVisit& visit, size_t end) {
  // Deepest first, and as much of it, as a tier is told.
  uint32_t told = 0;
  for (size_t i = end; i-- > 0 && told < kUsedOfPath;) {
    const EntryId id = visit.path[i];
    told += stretches_->at(id).blocks;
    const uint64_t before = entries_.last_use(id);
    entries_.set_last_use(id, visit.used_time);
    entries_.count_use(id);
    policy_->used(id, before);
    ++calls_;
  }
}

uint32_t Ghost::visit(const GhostVisit& visit) {
  uint32_t hits = 0;
  if (blocks_ > 0) share_ = visit.rate * count_ / static_cast<double>(blocks_);
  const size_t end = find_end(visit, hits);
  const bool has_part = end < visit.path.size() && held_blocks(visit.path[end]) > 0;
  if (visit.is_commit && end + 1 < visit.path.size()) return 0;
  if (!visit.is_commit) note_use(visit, end + (has_part ? 1 : 0));
  tip_ = has_part ? visit.path[end] : end > 0 ? visit.path[end - 1] : EntryId{};
  for (size_t i = end; i < visit.path.size(); ++i) {
    if (!insert(visit, i)) break;
  }
  release_tip();
  return hits;
}

bool Ghost::admits(EntryId id) {
  Newcomer newcomer{.fingerprint = fingerprint(id)};
  newcomer.parent = parent(id);
  ++calls_;
  return policy_->admits(newcomer);
}

bool Ghost::insert(const GhostVisit& visit, size_t at) {
  const EntryId id = visit.path[at];
  const uint32_t held = held_blocks(id);
  const uint32_t blocks = stretches_->at(id).blocks;
  const uint64_t block_bytes = stretches_->at(id).shape.bytes;
  const uint64_t wanted = (blocks - held) * block_bytes;
  const bool full = content_bytes_ + wanted > limit_bytes(visit.rate);
  if (full && options_.asks_admission && !admits(id)) return false;
  const auto fitting = static_cast<uint32_t>(make_room(wanted, visit.rate) / block_bytes);
  if (fitting == 0) return false;
  set_blocks(id, held + fitting);
  entries_.set_last_use(id, visit.new_time);
  tip_ = id;
  if (held == 0) {
    ++count_;
    ++calls_;
    if (at > 0) holds_[visit.path[at - 1].value].children += 1;
    policy_->inserted(
        id, needs_history_ ? history_.take(history_key(stretches_->at(id))) : Seen::kNever);
  }
  return held + fitting == blocks;
}

uint64_t Ghost::make_room(uint64_t wanted, double rate) {
  while (true) {
    const uint64_t limit = limit_bytes(rate);
    const uint64_t room = limit - std::min(limit, content_bytes_);
    if (room >= wanted) return wanted;
    const auto victim = choose();
    if (!victim) return room;
    const uint64_t block_bytes = stretches_->at(*victim).shape.bytes;
    const uint64_t over = content_bytes_ + wanted - limit;
    evict(*victim, static_cast<uint32_t>((over + block_bytes - 1) / block_bytes));
  }
}

std::optional<EntryId> Ghost::choose() {
  // Each round takes a candidate out, and an offer put it there: the offers pay for the loop.
  while (const std::optional<EntryId> entry = policy_->choose()) {
    ++calls_;
    if (*entry != tip_ && holds_[entry->value].children == 0) return entry;
    policy_->withdrawn(*entry);
  }
  return std::nullopt;
}

// Whole, as a tier would lose it block by block; but in a small ghost that would be a large part.
void Ghost::evict(EntryId id, uint32_t blocks) {
  const uint32_t held = held_blocks(id);
  const uint64_t held_bytes = uint64_t{held} * stretches_->at(id).shape.bytes;
  if (blocks < held && held_bytes > content_bytes_ / kPartsToTrim) {
    set_blocks(id, held - blocks);
    return;
  }
  drop(id, true);
}

void Ghost::drop(EntryId id, bool evicted) {
  const auto above = parent(id);
  if (above) {
    const uint64_t before = entries_.last_use(*above);
    if (entries_.hand_up(*above, id)) policy_->handed_up(*above, id, before);
  }
  // The policy reads the entry's facts; they are cleared last.
  policy_->gone(id);
  ++calls_;
  --count_;
  if (evicted && needs_history_) {
    history_.add(history_key(stretches_->at(id)), entries_.uses(id) > 0, count_, share_);
  }
  entries_.clear(id);
  set_blocks(id, 0);
  if (!above) return;
  holds_[above->value].children -= 1;
  offer(*above);
}

void Ghost::offer(EntryId id) {
  if (holds_[id.value].children > 0 || id == tip_) return;
  ++calls_;
  policy_->offered(id);
}

void Ghost::release_tip() {
  const EntryId tip = std::exchange(tip_, EntryId{});
  if (tip.valid()) offer(tip);
}

void Ghost::grew(EntryId id, const GhostVisit& visit) {
  const uint32_t blocks = stretches_->at(id).blocks;
  if (held_blocks(id) + 1 != blocks) return;
  const uint64_t block_bytes = stretches_->at(id).shape.bytes;
  tip_ = id;
  if (make_room(block_bytes, visit.rate) == block_bytes) {
    set_blocks(id, blocks);
    entries_.set_last_use(id, visit.new_time);
  }
  release_tip();
}

void Ghost::was_split(EntryId tail, EntryId head) {
  const uint32_t held = held_blocks(tail);
  if (held == 0) return;
  const uint32_t in_head = std::min<uint32_t>(held, stretches_->at(head).blocks);
  const bool candidate = entries_.place(tail) != 0;
  entries_.copy(head, tail);
  // In sum the same bytes; the tail keeps its children.
  set_blocks(tail, held - in_head);
  set_blocks(head, in_head);
  holds_[head.value].children = held > in_head ? 1 : 0;
  policy_->adopted(head);
  ++count_;
  calls_ += 2;
  if (held > in_head) return;
  // The tail has no children here, for all of it would be here then.
  policy_->gone(tail);
  entries_.clear(tail);
  --count_;
  if (candidate) policy_->offered(head);
}

void Ghost::became_shared(EntryId id) {
  shared_bytes_ += uint64_t{held_blocks(id)} * stretches_->at(id).shape.bytes;
}

void Ghost::forget(EntryId id) {
  if (held_blocks(id) > 0 && holds_[id.value].children == 0) drop(id, false);
}

uint64_t Ghost::held_bytes() const {
  return entries_.held_bytes() + holds_.held_bytes(stretches_->end_of_ids()) +
         history_.held_bytes() + policy_->held_bytes() + sizeof(*this);
}

void Ghost::check_invariants() const {
  policy_->check_invariants();
  uint64_t bytes = 0;
  uint64_t shared = 0;
  uint32_t count = 0;
  std::vector<uint32_t> children(stretches_->end_of_ids());
  for (uint32_t i = 0; i < stretches_->end_of_ids(); ++i) {
    const Stretch& stretch = stretches_->at(EntryId{i});
    const uint32_t held = holds_[i].blocks;
    QUIRE_CHECK(held <= stretch.blocks);
    if (held == 0) continue;
    ++count;
    bytes += uint64_t{held} * stretch.shape.bytes;
    shared += stretch.shared ? uint64_t{held} * stretch.shape.bytes : 0;
    if (parent(EntryId{i})) ++children[stretch.parent.value];
  }
  QUIRE_CHECK(bytes == content_bytes_ && shared == shared_bytes_ && count == count_);
  for (uint32_t i = 0; i < children.size(); ++i) {
    QUIRE_CHECK(holds_[i].blocks == 0 || holds_[i].children == children[i]);
    const bool may_go = holds_[i].blocks > 0 && holds_[i].children == 0;
    QUIRE_CHECK(!may_go || entries_.place(EntryId{i}) != 0);
  }
}

}  // namespace quire::cache
