// What somebody knows who hears events (model/event_wire.h): applies records in their order, and
// compares with what the cache holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "model/event_wire.h"
#include "tests/support/inspector.h"

namespace quire::tests {

class EventMap {
 public:
  // Root's hash, kind, hash.
  using Key = std::tuple<std::string, uint8_t, std::string>;

  void apply(const model::EventRecord& record) {
    switch (static_cast<model::EventKind>(record.kind)) {
      case model::EventKind::kStart:
        next_ = record.sequence;
        return;
      case model::EventKind::kRoot:
        roots_[record.root] = text(record.hash);
        return;
      case model::EventKind::kReadable:
        readable_ = record.tiers;
        return;
      case model::EventKind::kGap:
        if (record.sequence != 0 && record.sequence != next_) ++wrong_numbers_;
        next_ = record.last + 1;
        missed_ += record.sequence == 0 ? 1 : record.last - record.sequence + 1;
        ++gaps_;
        whole_ = in_snapshot_ = false;
        return;
      case model::EventKind::kSnapshotBegin:
        tiers_.clear();
        held_count_ = 0;
        whole_ = false;
        in_snapshot_ = true;
        return;
      case model::EventKind::kHeld:
        ++held_count_;
        tiers_[key(record)] = record.tiers;
        return;
      case model::EventKind::kSnapshotEnd:
        if (in_snapshot_ && record.count != held_count_) ++wrong_numbers_;
        whole_ = in_snapshot_;
        in_snapshot_ = false;
        ++snapshots_;
        return;
      case model::EventKind::kStored:
        take_number(record);
        ++events_;
        tiers_[key(record)] |= record.tiers;
        return;
      case model::EventKind::kRemoved: {
        take_number(record);
        ++events_;
        uint8_t& tiers = tiers_[key(record)];
        tiers = static_cast<uint8_t>(tiers & ~record.tiers);
        if (tiers == 0) tiers_.erase(key(record));
        return;
      }
      case model::EventKind::kCleared:
        take_number(record);
        ++events_;
        std::erase_if(tiers_, [&](const auto& entry) {
          return std::get<0>(entry.first) == text(record.hash);
        });
        return;
    }
  }
  // Since the last snapshot's end nothing was missed; or since the start, where nothing was held.
  bool is_whole() const { return whole_; }
  void start_whole() { whole_ = true; }

  const std::map<Key, uint8_t>& tiers() const { return tiers_; }
  uint64_t events() const { return events_; }
  uint64_t gaps() const { return gaps_; }
  uint64_t missed() const { return missed_; }
  uint64_t snapshots() const { return snapshots_; }
  uint64_t next() const { return next_; }
  uint8_t readable() const { return readable_; }
  size_t roots() const { return roots_.size(); }
  uint32_t highest_root() const { return roots_.empty() ? 0 : roots_.rbegin()->first; }
  // Numbers with holes that no gap told, and snapshots that counted wrongly.
  uint64_t wrong_numbers() const { return wrong_numbers_; }

  static std::map<Key, uint8_t> of(const std::vector<FoundObject>& objects) {
    std::map<Key, uint8_t> tiers;
    for (const FoundObject& one : objects) {
      tiers[{text(one.root), static_cast<uint8_t>(one.kind), text(one.hash)}] = one.tiers;
    }
    return tiers;
  }

 private:
  static std::string text(const model::Hash256& hash) {
    return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
  }
  // A root that was not described is the empty one, which is no object's.
  Key key(const model::EventRecord& record) {
    return {roots_[record.root], record.fill, text(record.hash)};
  }
  void take_number(const model::EventRecord& record) {
    if (record.sequence != next_) ++wrong_numbers_;
    next_ = record.sequence + 1;
  }

  std::map<uint32_t, std::string> roots_;  // by number
  std::map<Key, uint8_t> tiers_;
  bool whole_ = false;
  bool in_snapshot_ = false;
  uint64_t held_count_ = 0;
  uint64_t next_ = 0;
  uint64_t events_ = 0;
  uint64_t gaps_ = 0;
  uint64_t missed_ = 0;
  uint64_t snapshots_ = 0;
  uint64_t wrong_numbers_ = 0;
  uint8_t readable_ = 0;
};

}  // namespace quire::tests
