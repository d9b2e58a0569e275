// A tier below RAM, as everything that stands above it sees it (DESIGN section 12.5).
//
//   Demotion --reserve, write--> +------+ --kWritten, kLost, kRoomier--> Demotion
//   Loads ---read--------------> | Tier | --kRead--------------------> Loads
//   given up copies --erase----> +------+     (events(), routed by TierSet)
//
// What a tier owes: it calls nobody. An accepted job ends in events, exactly one for each of its
// objects, however the device fares (law 9), and memory of a job is touched until then only. Bytes
// are checked both ways (law 4). An object counts as written when it survives a crash; what is
// erased is erased durably before its room serves again (law 8).
// What its callers owe: objects of a job stay pinned, and its slots reserved, until their event; a
// parent is written before or with its child. Errors of the world are codes in events and mode(),
// never an end of the daemon.
// What it is not: order, classes, deadlines, shares and budgets are Loads' and Demotion's, who must
// not know how a tier stores what it has.
// Threads: core only. Nothing here blocks. Lifetime: the cache outlives the tier.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/objects/object_store.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/page_plan.h"
#include "model/result.h"
#include "model/ring_frames.h"
#include "model/session_shm.h"
#include "tiering/chain_search.h"
#include "tiering/io/load_estimator.h"
#include "tiering/shared_notes.h"

namespace quire::tiering {

// Objects of one job: what a tier moves in one piece. As many as a run of candidates below RAM has.
inline constexpr uint32_t kMaxJobObjects = 16;
// Pages stand in memory, and lie on tiers, in whole blocks of this size.
inline constexpr uint64_t kTierBlockBytes = 4096;

// What an object of this plan takes as it is.
inline uint64_t object_bytes(const model::PagePlan& plan) {
  return std::accumulate(plan.pages.begin(), plan.pages.end(), uint64_t{0},
                         [](uint64_t sum, const auto& page) {
                           return sum + model::align_up(page.bytes, kTierBlockBytes);
                         });
}

// What a tier can do now (law 9): everything; read what it has; nothing.
enum class TierMode : uint8_t { kOk = 0, kReadOnly = 1, kOff = 2 };
constexpr bool may_read(TierMode mode) { return mode != TierMode::kOff; }
constexpr bool may_write(TierMode mode) { return mode == TierMode::kOk; }
constexpr std::string_view tier_mode_name(TierMode mode) {
  return mode == TierMode::kOk ? "ok" : mode == TierMode::kReadOnly ? "read-only" : "off";
}

// 0, 1 and 2.
constexpr model::MetricState metric_state(TierMode mode) {
  return {tier_mode_name(mode), static_cast<uint8_t>(mode)};
}
inline constexpr const char* kTierStateHelp = "What the tier can do now: 0 ok, 1 read-only, 2 off";

struct TierState {
  TierMode mode = TierMode::kOff;
  bool whole = false;  // it works, and all that it holds is served
  std::string reason;  // why it is not whole: one line, else empty
  std::string action;  // what an operator can do about it
};

// Whether a tier can take an object.
enum class Fit : uint8_t {
  kFits,
  kLater,     // room, records or memory are short; asked again, it may fit
  kTooLarge,  // never: larger than the tier can hold
  kTooDeep,   // nor with all that stands before it on its path
};

struct Fitting {
  Fit fit = Fit::kFits;
  uint64_t bytes = 0;  // that the tier would store: of the object as it is, or encoded
};

class Tier;

// Room on a tier for the first objects of a run. Goes back when nothing is written to it. A tier
// has one at a time.
class WriteRoom {
 public:
  WriteRoom() = default;
  WriteRoom(Tier* tier, uint32_t objects, uint64_t bytes)
      : tier_(tier), objects_(objects), bytes_(bytes) {}
  WriteRoom(WriteRoom&& other) noexcept { swap(other); }
  WriteRoom& operator=(WriteRoom&& other) noexcept {
    WriteRoom taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~WriteRoom();

  uint32_t objects() const { return objects_; }  // of the run, from its first on
  uint64_t bytes() const { return bytes_; }      // that the tier will write
  // The tier's own call: the room is used from now on.
  void take() { tier_ = nullptr; }

 private:
  void swap(WriteRoom& other) noexcept {
    std::swap(tier_, other.tier_);
    std::swap(objects_, other.objects_);
    std::swap(bytes_, other.bytes_);
  }

  Tier* tier_ = nullptr;
  uint32_t objects_ = 0;
  uint64_t bytes_ = 0;
};

struct WriteOffer {
  Fit fit = Fit::kLater;
  WriteRoom room;  // where it fits
};

struct ReadObject {
  model::NodeId node;                    // on this tier
  std::span<const model::SlotId> slots;  // in RAM, of its pages in plan order
};

struct ReadRun {
  uint32_t job = 0;
  model::LoadClass load_class = model::LoadClass::kInteractive;
  model::LoadOrder order = model::LoadOrder::kBlockMajor;
  std::span<const ReadObject> objects;  // of one path, the head first; lent for the call
};

// What came of objects [first, first + count) of a job, or of a copy.
struct TierEvent {
  enum class Kind : uint8_t {
    // kOk: in their slots, checksums in the page table. kIoError; kCorrupt: not what was written.
    kRead,
    // kOk: durable at `place`, those behind the first in the slots and generations behind it.
    // kIoError; kCorrupt: not what was sealed; kBusy: no fault, it is to be offered again.
    kWritten,
    kLost,     // the copy of `node`, which is in RAM, was given up: it may be written again
    kRoomier,  // what did not fit may fit now
    kFound,    // a question of this job is answered: ChainSearch::take_found
  };
  Kind kind = Kind::kRead;
  model::Errc code = model::Errc::kOk;
  uint32_t job = 0;
  uint32_t first = 0;
  uint32_t count = 1;
  cache::CopyPlace place;
  model::NodeId node;
};

// What stands above a tier, told before each step.
struct StepHints {
  bool quiet = false;          // no client waits for the core: it may do a worker's work
  bool writes_coming = false;  // candidates wait: what makes writes durable may wait for company
  bool short_of_ram = false;   // but not where they are waited for
};

// The parts of a tier's row, in the order in which an operator looks.
enum class TierSection : uint8_t { kItself, kWritten, kRead, kErrors, kOwn };

// What an operator can have some tiers do about what they hold. Errors: texts for people.
class Upkeep {
 public:
  virtual ~Upkeep() = default;
  // Reads all there is at this rate and checks it; 0: as the tier is configured.
  virtual void start_scrub(uint64_t bytes_per_second) = 0;
  virtual void stop_scrub() = 0;
  virtual void describe_scrub(model::MetricSink& sink) const = 0;
  // kInvalidArgument: nothing is ever kept for a reason of this name. Empty: any.
  virtual model::Result<void> check_reason(std::string_view reason) const = 0;
  // What is kept for this reason and not served is erased in the steps that follow. kBusy: the
  // tier takes no writes now.
  virtual model::Result<void> drop_kept(std::string_view reason) = 0;
  virtual void describe_kept(model::MetricSink& sink) const = 0;
};

class Tier {
 public:
  virtual ~Tier() = default;

  virtual model::TierId id() const = 0;
  virtual std::string_view name() const = 0;  // for people: "ssd"
  virtual TierMode mode() const = 0;
  virtual TierState state() const = 0;

  // Whether a node that is in RAM could ever be held; never kLater. Makes no promise.
  virtual Fitting fits(model::NodeId node) = 0;
  // Room for the first of these: spans in RAM, each the child of the one before, or one checkpoint,
  // kMaxJobObjects at most. Their parent has a copy here, or is being written, or is the root.
  virtual WriteOffer reserve(std::span<const model::NodeId> nodes) = 0;
  // Copies make way for what is written from now on, or will for the next region's worth of it.
  virtual bool is_full() const { return false; }
  // Writes the room's objects, of the nodes that it was reserved for. One event or several.
  virtual void write(WriteRoom&& room, std::span<const model::NodeId> nodes, uint32_t job) = 0;
  // Begins to read the first objects of the run: as many as go in one piece. Returns how many; 0:
  // none now. kIoError, kResourceExhausted: not at all.
  virtual model::Result<uint32_t> read(const ReadRun& run) = 0;
  // Copies that the cache needs no more.
  virtual void erase(std::span<const cache::GivenUpCopy> copies) = 0;

  // Takes what the device brought and does one bounded step of the tier's own work. True: something
  // moved. Events of it, and of what was called since, are in events(); the taker empties it.
  virtual bool step(const StepHints& hints) = 0;
  virtual std::vector<TierEvent>& events() = 0;
  // Hands what was begun since to the device. True: more could go.
  virtual bool submit() = 0;
  // Nothing is under way, nor waiting to become durable or erased as far as that is possible now.
  virtual bool idle() const = 0;
  // Something of this domain is on its way, and pinned by that.
  virtual bool moves_for(model::DomainId domain) const = 0;
  // Readable when there is something for step().
  virtual int wake_fd() const = 0;
  // A segment is about to be unmapped: precondition, none of its slots is in use.
  virtual void forget_segment(const std::byte* data) = 0;

  // How long its reads take, which it teaches itself.
  virtual LoadEstimator& estimator() = 0;
  // Of an object as it is stored: a larger one is never held.
  virtual uint64_t largest_object_bytes() const = 0;
  virtual void describe(model::MetricSink& sink, TierSection section) const = 0;
  virtual Upkeep* upkeep() { return nullptr; }  // null: it needs none
  // Null: all that it holds is in the tree.
  virtual ChainSearch* search() { return nullptr; }
  // Null: no other daemon has it.
  virtual SharedNotes* notes() { return nullptr; }

 private:
  friend class WriteRoom;
  virtual void give_back_room() = 0;
};

inline WriteRoom::~WriteRoom() {
  if (tier_ != nullptr) tier_->give_back_room();
}

}  // namespace quire::tiering
