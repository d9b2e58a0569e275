// Runs transfers: has every page checked off the core thread (ObjectChecker), and hands operations
// (OpPlanner) to the engine as their class allows (TransferQueues).
//
//   take, add_object, start --> demote: check --> queue --> device ---------> settled
//                               promote, scrub: queue --> device --> check --> settled
//
// A transfer is its owner's until start() and from the settling of its last object on; in between
// it owns the memory that it names. Threads: core only. Bounds: kMaxTransfers records, the engine's
// depth, QueueLimits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_port.h"
#include "tiering/io/load_estimator.h"
#include "tiering/space/ssd_files.h"
#include "tiering/transfer/object_checker.h"
#include "tiering/transfer/op_planner.h"
#include "tiering/transfer/read_pace.h"
#include "tiering/transfer/registered_segments.h"
#include "tiering/transfer/ssd_health.h"
#include "tiering/transfer/stored_forms.h"
#include "tiering/transfer/transfer_queues.h"
#include "tiering/transfer/transfer_table.h"

namespace quire::tiering {

struct MoverOptions : QueueLimits {
  uint64_t merge_bytes = 1ull << 20;     // adjacent pages become one operation up to this
  uint64_t bounce_bytes = 128ull << 20;  // for encoded objects (StoredForms)
};

struct MoverParts {
  cache::Cache* cache = nullptr;
  IoEngine* engine = nullptr;    // for the registration of memory
  IoPort* io = nullptr;          // to that engine
  CopyEngine* checks = nullptr;  // takes kMaxTransfers * kMaxRunObjects tasks
  SsdFiles* files = nullptr;
  StoredForms* forms = nullptr;
  SsdHealth* health = nullptr;
  LoadEstimator* estimator = nullptr;
  const model::Clock* clock = nullptr;
  std::array<uint8_t, 16> instance{};  // of the directory
};

struct WrittenCounters {
  model::Counter written_bytes{
      "bytes", "Bytes written to the data files", {model::MetricFamily::kStoredBytes}};
  model::Counter write_ops{"operations", "Writes of these"};
};
struct ReadCounters {
  model::Counter read_bytes{
      "bytes", "Bytes read from the data files", {model::MetricFamily::kReadBytes}};
  model::Counter read_ops{"operations", "Reads of these"};
};
struct MoverCounters : WrittenCounters, ReadCounters {
  model::Counter unregistered_segments{"unregistered_segments",
                                       "Segments that the I/O engine could not register"};
};

class SsdMover {
 public:
  static model::Result<std::unique_ptr<SsdMover>> create(const MoverParts& parts,
                                                         const MoverOptions& options);

  // As TransferTable's; a record that goes back gives its stored form back as well.
  Transfer* take(TransferKind kind, TransferClass priority) {
    return transfers_->take(kind, priority);
  }
  void give_back(Transfer* transfer);
  // Adds an object whose pages lie in these RAM slots, in plan order. At most kMaxRunObjects.
  void add_object(Transfer& transfer, model::NodeId node, std::span<const model::SlotId> slots);
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
  void forget_segment(const std::byte* data) { segments_.forget(data); }
  void find_hangs(int64_t now_ns, int64_t hang_ns);

  uint64_t queued_bytes_of(TransferClass one) const { return queues_.queued_bytes_of(one); }
  uint32_t in_use_count() const { return transfers_->in_use_count(); }
  bool idle() const { return in_use_count() == 0; }
  // Something of this domain is on its way, and pinned by that.
  bool moves_for(model::DomainId domain) const;
  const MoverCounters& counters() const { return counters_; }
  void check_invariants() const;

 private:
  SsdMover(const MoverParts& parts, const MoverOptions& options,
           std::unique_ptr<TransferTable> transfers);
  void queue(Transfer& transfer);
  void start_check(Transfer& transfer, uint32_t object);
  void finish_check(Transfer& transfer, uint32_t object);
  void write_checked(Transfer& transfer);
  void finish_op(Transfer& transfer, TransferOp& op);
  void tell_health(const Transfer& transfer, const IoOp& io);
  uint64_t plain_bytes(const Transfer& transfer, const IoOp& io) const;
  void settle(Transfer& transfer, uint32_t object, ObjectState state);
  bool issue_from(Transfer& transfer);

  MoverParts parts_;
  std::unique_ptr<TransferTable> transfers_;
  RegisteredSegments segments_;
  OpPlanner planner_;
  ObjectChecker checker_;
  TransferQueues queues_;
  ReadPace pace_;
  bool quiet_ = false;
  uint32_t issued_ = 0;  // in this call of issue()
  std::vector<Settled> settled_;
  MoverCounters counters_;
  IoClient client_;  // tag: transfer << 32 | operation
};

}  // namespace quire::tiering
