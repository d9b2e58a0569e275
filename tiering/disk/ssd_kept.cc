#include "tiering/disk/ssd_kept.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

namespace {

struct Words {
  std::string_view name;
  std::string_view text;
  std::string_view action;
};

// By KeptReason.
constexpr std::array<Words, kKeptReasons> kWords = {{
    {"no_layout", "the file of their layout is missing or damaged",
     "put the file back below layouts/ and restart; or have an engine write pages of the layout, "
     "which writes the file anew, and restart"},
    {"segment_too_small", "a page of theirs is larger than --segment_bytes",
     "start with the --segment_bytes they were written with"},
    {"tables_full", "there is no place for their domain, layout or root",
     "restart: places that are in use now are free then"},
    {"index_full", "the index has no place for them",
     "use several --ssd_path, each with a daemon of its own; or drop them"},
    {"no_data", "their data file is missing or too short",
     "put the file back and restart; or drop them"},
    {"misfit", "their records do not agree with their layout", "run `quirectl rebuild`"},
    {"parent_unknown", "records that cannot be read may hold what they depend on",
     "run `quirectl rebuild`"},
    {"duplicate", "another copy of the same object is served", ""},
}};

constexpr uint32_t bits_from(uint32_t first) { return first >= 32 ? 0 : ~0u << first; }

}  // namespace

std::string_view kept_reason_name(KeptReason reason) {
  return kWords[static_cast<size_t>(reason)].name;
}
std::string_view kept_reason_text(KeptReason reason) {
  return kWords[static_cast<size_t>(reason)].text;
}
std::string_view kept_reason_action(KeptReason reason) {
  return kWords[static_cast<size_t>(reason)].action;
}

std::optional<KeptReason> parse_kept_reason(std::string_view name) {
  for (size_t i = 0; i < kKeptReasons; ++i) {
    if (kWords[i].name == name) return static_cast<KeptReason>(i);
  }
  return std::nullopt;
}

void SsdKept::count(const Run& run, int64_t sign) {
  KeptCount& count = counts_[static_cast<size_t>(run.reason)];
  const auto objects = static_cast<uint64_t>(std::popcount(run.kept));
  const uint64_t bytes = run.slot_bytes != 0 ? objects * (run.slot_bytes + kSsdBlockBytes) : 0;
  count.runs += static_cast<uint64_t>(sign);
  count.objects += static_cast<uint64_t>(sign) * objects;
  count.bytes += static_cast<uint64_t>(sign) * bytes;
}

void SsdKept::note_regions(const Run& run, int sign) {
  if (run.held) return;
  const auto note = [&](uint32_t region) {
    if ((runs_in_[region] += sign) == 0) runs_in_.erase(region);
  };
  note(run.key.slot.region());
  for (const uint16_t region : run.more) note(region);
}

void SsdKept::add(const Run& run) {
  QUIRE_CHECK(run.kept != 0 && run.count <= kMaxRunObjects);
  note_regions(run, +1);
  QUIRE_CHECK(runs_.emplace(run.key.slot.value, run).second);
  count(run, +1);
}

std::vector<SsdSlot> SsdKept::truncate(SsdSlot first, uint32_t left) {
  std::vector<SsdSlot> slots;
  const auto at = runs_.find(first.value);
  if (at == runs_.end()) return slots;
  Run& run = at->second;
  count(run, -1);
  for (uint32_t i = left; i < run.count; ++i) {
    if ((run.kept >> i & 1) != 0) slots.push_back({first.value + i});
  }
  run.count = std::min(run.count, left);
  run.kept &= ~bits_from(left);
  if (run.kept == 0) {
    note_regions(run, -1);
    runs_.erase(at);
  } else {
    count(run, +1);
  }
  return slots;
}

void SsdKept::drop(std::optional<KeptReason> reason) {
  dropping_.clear();
  for (const auto& [first, run] : runs_) {
    if (!reason || run.reason == *reason) dropping_.push_back(first);
  }
}

std::optional<SsdKept::Dropped> SsdKept::next_dropped() {
  while (!dropping_.empty()) {
    const SsdSlot first{dropping_.back()};
    dropping_.pop_back();
    const auto at = runs_.find(first.value);
    if (at == runs_.end()) continue;
    const uint32_t served = ~at->second.kept & ~bits_from(at->second.count);
    const auto left = static_cast<uint32_t>(std::bit_width(served));
    if (left == at->second.count) continue;
    Dropped dropped{.key = at->second.key, .left = left, .slots = {}, .held = {}};
    const bool held = at->second.held;
    if (held) {
      dropped.held.assign(at->second.more.begin(), at->second.more.end());
      dropped.held.push_back(first.region());
    }
    std::vector<SsdSlot> slots = truncate(first, left);
    if (!held) dropped.slots = std::move(slots);
    return dropped;
  }
  return std::nullopt;
}

std::vector<uint32_t> SsdKept::take_missing_regions() {
  if (counts_[static_cast<size_t>(KeptReason::kNoData)].runs > 0) return {};
  return std::exchange(missing_regions_, {});
}

// In the order of the enumerators.
std::optional<KeptReason> SsdKept::worst() const {
  for (size_t i = 0; i < kKeptReasons; ++i) {
    const auto reason = static_cast<KeptReason>(i);
    if (counts_[i].runs > 0 && reason != KeptReason::kDuplicate) return reason;
  }
  return std::nullopt;
}

}  // namespace quire::tiering
