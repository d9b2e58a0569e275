// Runs transfers: hands their operations to the engine in the order of their class, within a bound
// of bytes and operations in flight, and has every page checked off the core thread.
//
// Batch loads keep at most batch_bytes in flight, so that the first span of an interactive load
// waits for little; demotion gives way to loads in the same manner, and loads leave it a quarter.
// Merges operations that are adjacent on the device and in memory, up to merge_bytes. Threads: core
// only. Bounds: kMaxTransfers records, engine depth, max_bytes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/disk/ssd_files.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_port.h"
#include "tiering/io/load_estimator.h"
#include "tiering/ssd/bounce_buffers.h"
#include "tiering/ssd/ssd_health.h"
#include "tiering/ssd/ssd_transfer.h"

namespace quire::tiering {

// Records by class. What has been written keeps its record until it is durable.
inline constexpr std::array<uint32_t, kTransferClasses> kRecords = {88, 144, 16, 8};
inline constexpr uint32_t kMaxTransfers = 256;
static_assert(kRecords[0] + kRecords[1] + kRecords[2] + kRecords[3] == kMaxTransfers);

struct MoverOptions {
  uint64_t max_bytes = 32ull << 20;      // in flight, all classes
  uint64_t demote_bytes = 12ull << 20;   // of demotion; half of it while interactive loads wait
  uint64_t batch_bytes = 2ull << 20;     // of batch loads, and of a scrub
  uint64_t merge_bytes = 1ull << 20;     // adjacent pages become one operation up to this
  uint64_t bounce_bytes = 128ull << 20;  // for encoded objects; demotion takes half of it at most
};

struct MoverParts {
  cache::Cache* cache = nullptr;
  IoEngine* engine = nullptr;    // for the registration of memory
  IoPort* io = nullptr;          // to that engine
  CopyEngine* checks = nullptr;  // takes kMaxTransfers * kMaxRunObjects tasks
  SsdFiles* files = nullptr;
  SsdHealth* health = nullptr;
  LoadEstimator* estimator = nullptr;
  const model::Clock* clock = nullptr;
};

struct WrittenCounters {
  model::Counter written_bytes{"bytes", "Bytes written to the data files"};
  model::Counter write_ops{"operations", "Writes of these"};
};
struct ReadCounters {
  model::Counter read_bytes{"bytes", "Bytes read from the data files"};
  model::Counter read_ops{"operations", "Reads of these"};
};
struct MoverCounters : WrittenCounters, ReadCounters {
  model::Counter unregistered_segments{"unregistered_segments",
                                       "Segments that the I/O engine could not register"};
};

class SsdMover {
 public:
  static model::Result<std::unique_ptr<SsdMover>> create(const MoverParts& parts,
                                                         const MoverOptions& options,
                                                         const std::array<uint8_t, 16>& instance);
  ~SsdMover();

  // A record to be filled in; null when all of this class are in use. Each class has its own: a
  // long load must not keep the others from starting.
  Transfer* take(TransferKind kind, TransferClass priority);
  void give_back(Transfer* transfer);
  // What an object takes in a slot as it is: its pages in whole blocks.
  uint64_t object_bytes(model::NodeId node) const;
  // Of a node with a copy that is encoded, its slot; 0: the copy is as it is.
  uint64_t encoded_slot_bytes(model::NodeId node) const;
  // How many objects in such slots one transfer may have: several go at once.
  uint32_t max_encoded(TransferKind kind, uint64_t slot_bytes) const;
  // The objects of the transfer, max_encoded() at most, are, or are to be, encoded in slots of this
  // size. False: there is no memory for that many at present.
  bool set_encoded(Transfer& transfer, uint32_t objects, uint64_t slot_bytes);
  uint64_t codec_memory_bytes() const { return bounce_.held_bytes(); }
  // All its objects are settled: their stored form is not needed any more.
  void drop_stored_form(Transfer& transfer);
  // Adds an object whose pages lie in these RAM slots, in plan order. At most kMaxRunObjects.
  void add_object(Transfer& transfer, model::NodeId node, std::span<const model::SlotId> slots);
  // Adds an object to be read into scratch memory.
  void add_scratch_object(Transfer& transfer, model::NodeId node, std::byte* scratch);
  // Goes on by itself from here. Preconditions: objects in adjacent slots from `first` on, their
  // region opened in SsdFiles; demote: headers filled in but for the pages; of these the element
  // of those to encode.
  void start(Transfer& transfer);

  // Nobody waits for the core: checks of what an interactive load waits for are made on this
  // thread, which spares two wake-ups.
  void set_quiet(bool quiet) { quiet_ = quiet; }
  // Takes what the port and the checks brought. Objects that reached a final state since the last
  // call are in settled(); a transfer with none left is the caller's again.
  bool poll();
  struct Settled {
    Transfer* transfer = nullptr;
    uint32_t object = 0;
  };
  std::vector<Settled>& settled() { return settled_; }
  // Hands a few operations to the engine, in one system call: with small pages under the pool each
  // costs the kernel tens of microseconds. True when more could go.
  bool issue();

  // A segment goes away: it is no longer registered.
  void forget_segment(const std::byte* data);
  void find_hangs(int64_t now_ns, int64_t hang_ns);

  uint64_t queued_bytes_of(TransferClass one) const {
    return queued_bytes_[static_cast<size_t>(one)];
  }
  uint64_t queued_bytes() const;  // of all classes
  uint32_t in_use_count() const { return in_use_count_; }
  bool idle() const { return in_use_count_ == 0; }
  // Something of this domain is on its way, and pinned by that.
  bool moves_for(model::DomainId domain) const;
  const MoverCounters& counters() const { return counters_; }

 private:
  SsdMover(const MoverParts& parts, const MoverOptions& options,
           const std::array<uint8_t, 16>& instance)
      : parts_(parts), options_(options), instance_(instance), transfers_(kMaxTransfers) {}
  uint64_t bounce_limit(TransferKind kind) const;
  void register_segment(model::SlotId slot);
  void plan_ops(Transfer& transfer);
  void add_page_ops(Transfer& transfer, IoKind kind, std::optional<uint32_t> first_layer);
  void add_stored_ops(Transfer& transfer, IoKind kind);
  uint32_t first_layer_of(model::NodeId node, model::GroupIndex group) const;
  void add_op(Transfer& transfer, const IoOp& io, uint32_t object);
  // Operations for `bytes` of the object's slot from `offset` on.
  void add_slot_ops(Transfer& transfer, IoKind kind, uint32_t object, uint64_t offset,
                    std::span<std::byte> memory);
  void start_checks(Transfer& transfer, uint32_t object);
  void prepare_check(Transfer& transfer, uint32_t object);
  void finish_op(Transfer& transfer, TransferOp& op);
  void finish_check(Transfer& transfer, uint32_t object);
  bool header_matches(const Transfer& transfer, uint32_t object) const;
  bool header_fits_pages(const Transfer& transfer, uint32_t object) const;
  bool pages_match(const Transfer& transfer, uint32_t object) const;
  void fill_pages(Transfer& transfer, uint32_t object);
  void settle(Transfer& transfer, uint32_t object, ObjectState state);
  bool may_issue(const Transfer& transfer, uint64_t bytes) const;
  bool issue_from(Transfer& transfer);
  void learn(const Transfer& transfer, const IoOp& io);

  MoverParts parts_;
  MoverOptions options_;
  std::array<uint8_t, 16> instance_;
  allocator::ReservedMemory header_memory_;
  std::vector<Transfer> transfers_;
  std::array<std::vector<Transfer*>, kTransferClasses> free_;
  BounceBuffers bounce_;
  uint32_t in_use_count_ = 0;
  std::array<std::deque<Transfer*>, kTransferClasses> queues_;  // have operations to hand out
  std::array<uint64_t, kTransferClasses> class_bytes_{};        // in flight
  std::array<uint64_t, kTransferClasses> queued_bytes_{};       // started, not yet transferred
  uint64_t bytes_in_flight_ = 0;
  bool quiet_ = false;
  uint32_t issued_ = 0;  // in this call of issue()
  std::vector<Settled> settled_;
  std::vector<const std::byte*> registered_;  // segments, sorted by address
  // The device has been reading without a pause since then; for the estimate of its bandwidth.
  int64_t busy_since_ns_ = 0;
  uint64_t busy_bytes_ = 0;
  uint64_t reads_in_flight_ = 0;
  MoverCounters counters_;
  IoClient client_;  // tag: transfer << 32 | operation
};

}  // namespace quire::tiering
