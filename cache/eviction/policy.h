// Policies choose, mechanisms act (DESIGN sections 6 and 12.3).
//
// A policy orders the entries of one scope of a tier. It sees only what may leave now: spans
// without children there, and checkpoints; so the order within a path is deepest first whatever the
// policy. It names an entry and the evictor acts: choose() looks, gone() confirms. What it may know
// of an entry is in EntryTable and History, which it shares with whoever was in charge before it
// and will be after it; what its object's place in the tree says, EntryFacts tells.
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

// What an entry's place in the tree says of it, computed when asked, so that it costs no memory.
class EntryFacts {
 public:
  virtual ~EntryFacts() = default;
  // The entry of its parent on the tier; nullopt: that is a root, or its own entry.
  virtual std::optional<EntryId> parent(EntryId entry) const = 0;
  // Where it ends in its prompt; of a run, its deepest object.
  virtual uint64_t end_tokens(EntryId entry) const = 0;
  // Of that object's pages, and of a span of its layout.
  virtual uint64_t bytes(EntryId entry) const = 0;
  virtual uint64_t span_bytes(EntryId entry) const = 0;
  // Of its key: the same when it comes back.
  virtual uint32_t fingerprint(EntryId entry) const = 0;
  // Children on the tier of that object; of a ghost's stretch, too.
  virtual uint32_t children(EntryId entry) const = 0;
  // How many it counts for where a policy counts entries along a path.
  virtual uint32_t spans(EntryId) const { return 1; }
  // Of one entry of a real tier, by which an entry counts where a policy has a least size: below 1
  // for a ghost, which has few entries for many.
  virtual double share() const { return 1; }
};

// Somebody offers an object to a full tier.
struct Newcomer {
  std::optional<EntryId> parent;  // on the tier; nullopt: a root
  uint32_t fingerprint = 0;
};

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  // New on the tier. `seen`: what History remembered of it.
  virtual void inserted(EntryId entry, Seen seen) = 0;
  // Whether it makes anything of `seen`. A tier keeps its history whatever the policy, for the next
  // one; a ghost, which stays with its own, need not.
  virtual bool needs_history() const { return false; }
  // Was on the tier under another policy: only the table knows its past.
  virtual void adopted(EntryId entry) = 0;
  // The table knows of the use already, which may have been some time ago: last_use() says when;
  // `before`: the last one until then.
  virtual void used(EntryId entry, uint64_t before) = 0;
  // The child goes, and was used after its parent was: a use of the parent that the table knows of.
  // The child's facts, and what the policy keeps of it, can still be read.
  virtual void handed_up(EntryId parent, EntryId child, uint64_t before) {
    (void)child;
    used(parent, before);
  }
  // Its last use was set back, below all uses: it goes first.
  virtual void done_with(EntryId entry) = 0;
  // May leave from now on; may have been told before.
  virtual void offered(EntryId entry) = 0;
  // May not leave after all; offered again when it may.
  virtual void withdrawn(EntryId entry) = 0;
  // Who should go next; nullopt: nobody may. The same one until something changes.
  virtual std::optional<EntryId> choose() = 0;
  // Whether the newcomer is worth what would go for it. Asked where a tier can do without: a policy
  // that only orders takes everything; one that learns remembers whom it refused.
  virtual bool admits(const Newcomer&) { return true; }
  // Not on the tier any more, or another policy's from now on. The table still has its facts.
  virtual void gone(EntryId entry) = 0;
  // Memory that is the policy's own; facts are counted with the table.
  virtual uint64_t held_bytes() const = 0;
  virtual void check_invariants() const = 0;
};

struct PolicyParts {
  EntryTable* entries = nullptr;
  const History* history = nullptr;
  const UseClock* clock = nullptr;
  const EntryFacts* facts = nullptr;
  uint64_t max_entries = 0;
};

// A use of a path is told for so many of its blocks, from its end on: enough for a policy that
// learns, and little beside a match. The others hear of it when their children go (handed_up()).
inline constexpr uint32_t kUsedOfPath = 64;

// Not one of them: whichever the ghosts say is best (cache/ghosts).
inline constexpr std::string_view kAutoName = "auto";

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
