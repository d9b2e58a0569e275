// Policies choose, mechanisms act (DESIGN sections 6 and 12.3).
//
// A policy orders the entries of one scope of a tier. It sees only what may leave now: spans
// without children there, and checkpoints; so the order within a path is deepest first whatever the
// policy. It names an entry and the evictor acts: choose() looks, gone() confirms. What it may know
// of an entry is in EntryTable and History, which it shares with whoever was in charge before it
// and will be after it.
//
// A new policy is one file in policies/, which defines make_NAME(); the build lists them.
// Threads: core only. Implementations allocate nothing per call, and do O(log n) a call at most.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cache/eviction/entry_table.h"
#include "cache/eviction/history.h"
#include "cache/objects/candidate_listener.h"
#include "model/result.h"

namespace quire::cache {

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  // New on the tier. `seen`: what History remembered of it.
  virtual void inserted(EntryId entry, Seen seen) = 0;
  // Was on the tier under another policy: only the table knows its past.
  virtual void adopted(EntryId entry) = 0;
  // The table knows of the use already.
  virtual void used(EntryId entry) = 0;
  // Its last use was set back, below all uses: it goes first.
  virtual void done_with(EntryId entry) = 0;
  // May leave from now on; may have been told before.
  virtual void offered(EntryId entry) = 0;
  // May not leave after all; offered again when it may.
  virtual void withdrawn(EntryId entry) = 0;
  // Who should go next; nullopt: nobody may. The same one until something changes.
  virtual std::optional<EntryId> choose() = 0;
  // Not on the tier any more, or another policy's from now on. The table still has its facts.
  virtual void gone(EntryId entry) = 0;
  virtual uint64_t held_bytes() const = 0;
  virtual void check_invariants() const = 0;
};

struct PolicyParts {
  EntryTable* entries = nullptr;
  const History* history = nullptr;
  const UseClock* clock = nullptr;
  uint64_t max_entries = 0;
};

using PolicyMaker = model::Result<std::unique_ptr<EvictionPolicy>> (*)(const PolicyParts& parts);

struct NamedPolicy {
  std::string_view name;
  PolicyMaker make;
};

// Every policy in policies/, by name.
std::span<const NamedPolicy> all_policies();
// "arc, lru, ...": for help texts and refusals.
std::string policy_names();
// Null: no such policy.
const NamedPolicy* find_policy(std::string_view name);

}  // namespace quire::cache
