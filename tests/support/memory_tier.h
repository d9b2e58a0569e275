// A tier below RAM that is nothing but memory, and misbehaves on command: the second implementation
// of tiering::Tier, for tests of what stands above a tier, and for simulations.
//
// It keeps the bytes of what is written, and gives them back checked, as a tier must. Jobs end so
// many steps after they began as its seed says, out of order where that differs. A fault names the
// n-th object that is written or read, counted from add_fault(). It has a capacity, and gives up
// its least useful copies when that is reached.
//
// As kCluster it is a store that others write to as well: objects are found by root, kind and key,
// stay when the cache forgets them, and are searched along a chain (ChainSearch). A search ends
// after as many steps as a job, and finds what is there then.
// Threads: core only. Lifetime: cache and clock outlive it; what it holds goes with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/fd_guard.h"
#include "tiering/tier.h"

namespace quire::tests {

struct MemoryTierOptions {
  model::TierId id = model::TierId::kSsd;  // or kCluster
  uint64_t seed = 1;
  uint32_t least_steps = 1;  // from the beginning of a job to its end
  uint32_t most_steps = 1;
  uint32_t max_jobs = 64;                          // at once; more find no record
  uint32_t job_objects = tiering::kMaxJobObjects;  // what goes in one piece
  uint64_t capacity_bytes = 1ull << 30;
  uint64_t largest_object_bytes = 1ull << 30;
};

enum class TierFault : uint8_t {
  kFail,    // the object is not written, or not read
  kDamage,  // a bit of what is kept is inverted
  kForget,  // what was acknowledged is not there any more
};

// What a tier was asked to do, in order.
struct TierCall {
  bool write = false;
  uint32_t job = 0;
  std::vector<model::NodeId> nodes;
};

class MemoryTier final : public tiering::Tier,
                         public tiering::ChainSearch,
                         public tiering::SharedNotes {
 public:
  explicit MemoryTier(cache::Cache* cache, const MemoryTierOptions& options = {});

  // --- what tests do to it ---
  void fail_write(uint64_t nth, bool from_then_on = false);
  void fail_read(uint64_t nth, TierFault fault = TierFault::kFail);
  void clear_faults();
  // While they are held no jobs end, those that come neither.
  void hold(bool held) { held_ = held; }
  void set_mode(tiering::TierMode mode) { mode_ = mode; }
  // Its capacity from now on; what was refused is told that it may fit.
  void grow(uint64_t capacity_bytes);
  // As an operator's check that found the copy of a node bad.
  void lose(model::NodeId node);
  // All that it holds is gone, and nobody is told.
  void wipe();
  // What a cluster holds outlives a daemon: the next one's tier is given it.
  struct Contents;
  std::unique_ptr<Contents> take_contents();
  void put_contents(std::unique_ptr<Contents> contents);
  // Of a cluster: the object is not there any more.
  void remove(model::NodeId node);
  // Of a cluster: the second object that a search names is not of its chain.
  void lie(bool lies) { lies_ = lies; }
  uint64_t questions() const { return questions_; }
  size_t question_count() const { return searches_.size(); }  // under way
  const std::vector<TierCall>& calls() const { return calls_; }
  size_t job_count() const { return jobs_.size(); }
  size_t object_count() const { return objects_.size(); }
  uint64_t held_bytes() const { return bytes_; }
  uint64_t rooms_given_back() const { return rooms_given_back_; }
  // Nothing could make room for the object that was offered last.
  bool is_full() const override { return is_full_; }
  const tiering::StepHints& last_hints() const { return hints_; }

  // --- tiering::Tier ---
  model::TierId id() const override { return options_.id; }
  std::string_view name() const override { return "memory"; }
  tiering::TierMode mode() const override { return mode_; }
  tiering::TierState state() const override;
  tiering::Fitting fits(model::NodeId node) override;
  tiering::WriteOffer reserve(std::span<const model::NodeId> nodes) override;
  void write(tiering::WriteRoom&& room, std::span<const model::NodeId> nodes,
             uint32_t job) override;
  model::Result<uint32_t> read(const tiering::ReadRun& run) override;
  void erase(std::span<const cache::GivenUpCopy> copies) override;
  bool step(const tiering::StepHints& hints) override;
  std::vector<tiering::TierEvent>& events() override { return events_; }
  bool submit() override { return false; }
  bool idle() const override { return jobs_.empty() && searches_.empty() && events_.empty(); }
  bool moves_for(model::DomainId domain) const override;
  int wake_fd() const override { return wake_.get(); }
  void forget_segment(const std::byte*) override {}
  tiering::LoadEstimator& estimator() override { return estimator_; }
  uint64_t largest_object_bytes() const override { return options_.largest_object_bytes; }
  void describe(model::MetricSink& sink, tiering::TierSection section) const override;
  tiering::ChainSearch* search() override { return is_cluster() ? this : nullptr; }

  tiering::SharedNotes* notes() override { return is_cluster() ? this : nullptr; }

  // --- tiering::SharedNotes: at once, but what comes while it is held stays away ---
  std::array<uint8_t, 16> store() const override { return {1}; }
  void write(uint32_t job, const std::string& name, const std::string& value) override;
  void read(uint32_t job, const std::string& name) override;
  void remove(const std::string& name) override { notes_.erase(name); }
  std::vector<tiering::NoteAnswer>& answers() override { return note_answers_; }
  const std::map<std::string, std::string>& all_notes() const { return notes_; }

  // --- tiering::ChainSearch ---
  model::Result<void> ask(const tiering::ChainQuestion& question) override;
  tiering::FoundChain take_found(uint32_t job) override;

 private:
  struct StoredPage {
    std::vector<std::byte> bytes;
    uint32_t crc32c = 0;
  };
  // Of an object that is named by key: its root's hash, its kind, its key.
  using Name = std::tuple<std::array<uint8_t, 32>, cache::NodeKind, std::array<uint8_t, 32>>;
  struct Search {
    uint32_t job = 0;
    uint64_t due_step = 0;
    model::Hash256 root;
    uint32_t known_units = 0;
    uint32_t block_units = 1;
    std::vector<model::Hash256> chain;
  };
  struct Stored {
    model::Hash256 key;
    std::vector<StoredPage> pages;
    uint64_t bytes = 0;
  };
  using Objects = std::unordered_map<uint32_t, Stored>;  // by slot
  using Slots = std::map<Name, uint32_t>;
  struct JobObject {
    model::NodeId node;
    std::vector<model::SlotId> slots;  // of a read
  };
  struct Job {
    bool write = false;
    uint32_t number = 0;
    uint64_t due_step = 0;
    uint64_t bytes = 0;  // of a write
    std::vector<JobObject> objects;
  };
  struct Faults {
    uint64_t seen = 0;
    uint64_t nth = UINT64_MAX;
    bool from_then_on = false;
    TierFault fault = TierFault::kFail;
    bool hits();
  };

  bool is_cluster() const { return options_.id == model::TierId::kCluster; }
  static Name name_of(const model::Hash256& root, cache::NodeKind kind, const model::Hash256& key);
  Name name_of(model::NodeId node) const;
  // Where it keeps what the node has here; nullopt: it does not.
  std::optional<uint32_t> slot_of(model::NodeId node) const;
  tiering::FoundChain look(const Search& search) const;
  bool end_searches();
  void give_back_room() override;
  uint64_t bytes_of(model::NodeId node) const;
  uint64_t room_left() const;
  size_t jobs_of(bool write) const;
  uint32_t fitting(std::span<const model::NodeId> nodes, uint64_t& bytes) const;
  bool make_room(std::span<const model::NodeId> nodes);
  Job& begin(bool write, uint32_t number);
  void end_write(const Job& job);
  void end_read(const Job& job);
  model::Errc keep(model::NodeId node, uint32_t slot);
  model::Errc bring(const JobObject& object);
  void drop(uint32_t slot);

  cache::Cache* cache_;
  MemoryTierOptions options_;
  std::mt19937_64 random_;
  model::FdGuard wake_;  // nothing ever comes by itself: step() is all it needs
  tiering::TierMode mode_ = tiering::TierMode::kOk;
  bool held_ = false;
  bool is_full_ = false;
  bool lies_ = false;
  uint64_t step_ = 0;
  uint32_t next_slot_ = 0;
  Objects objects_;
  Slots slots_;  // of a cluster
  std::vector<Search> searches_;
  std::unordered_map<uint32_t, tiering::FoundChain> found_;  // by job, until it is taken
  uint64_t questions_ = 0;
  std::map<std::string, std::string> notes_;
  std::vector<tiering::NoteAnswer> note_answers_;
  uint64_t bytes_ = 0;
  uint64_t room_bytes_ = 0;   // of the room that is given out; 0: none is
  uint64_t write_bytes_ = 0;  // of writes under way
  std::vector<Job> jobs_;
  Faults write_faults_;
  Faults read_faults_;
  std::vector<tiering::TierEvent> events_;
  std::vector<TierCall> calls_;
  tiering::StepHints hints_;
  uint64_t rooms_given_back_ = 0;
  tiering::LoadEstimator estimator_{tiering::EstimatorOptions{}};
};

struct MemoryTier::Contents {
  Objects objects;
  Slots slots;
  uint64_t bytes = 0;
  uint32_t next_slot = 0;
};

}  // namespace quire::tests
