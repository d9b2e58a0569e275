#include "tiering/cluster/note_sweep.h"

#include <utility>

namespace quire::tiering {

namespace {

// Of these times nothing was seen of it: it is gone.
constexpr int64_t kStaleTimesKept = 24;

}  // namespace

std::vector<RadosOp*> NoteSweep::look_at(std::span<const std::string> names) {
  notes_.clear();
  std::vector<RadosOp*> reads;
  for (const std::string& name : names) {
    if (!name.starts_with("h/") || notes_.size() == kMaxNotes) continue;
    Note& note = *notes_.emplace_back(std::make_unique<Note>());
    note.op.kind = RadosKind::kRead;
    note.op.object = name;
    note.op.data = reinterpret_cast<std::byte*>(note.bytes.data());
    note.op.bytes = note.bytes.size();
    reads.push_back(&note.op);
  }
  return reads;
}

std::vector<RadosOp*> NoteSweep::judge(int64_t now_ns) {
  std::erase_if(seen_, [&](const auto& one) {
    return now_ns - one.second.last_ns > kStaleTimesKept * stale_ns_;
  });
  std::vector<RadosOp*> removals;
  for (const auto& note : notes_) {
    if (note->op.error != 0 || !is_stale(*note, now_ns)) continue;
    std::string object = std::move(note->op.object);
    seen_.erase(object);
    note->op = {};
    note->op.kind = RadosKind::kRemove;
    note->op.object = std::move(object);
    removals.push_back(&note->op);
  }
  return removals;
}

bool NoteSweep::is_stale(const Note& note, int64_t now_ns) {
  const auto known = seen_.find(note.op.object);
  if (known == seen_.end() && seen_.size() == kMaxSeen) return false;
  Seen& seen = known == seen_.end() ? seen_[note.op.object] : known->second;
  std::string value(note.bytes.data(), note.op.got);
  if (known == seen_.end() || seen.value != value) {
    seen = {.value = std::move(value), .since_ns = now_ns, .last_ns = now_ns};
    return false;
  }
  seen.last_ns = now_ns;
  return now_ns - seen.since_ns >= stale_ns_;
}

}  // namespace quire::tiering
