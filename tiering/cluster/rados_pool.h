// One pool of a Ceph cluster through librados, which no other file includes: operations go in, and
// come back when the cluster answered, or when their time was up.
//
//   core:   submit() --queue--> "quire-rados": librados' asynchronous calls   (never waits for one)
//                    \-queue--> "quire-rados-mon": probe, usage, list         (waits, each in turn)
//           poll() <--list under a lock, eventfd-- librados' own threads
//
// 1. Every operation that was taken comes back, once: the cluster's clients have a time limit
//    (operation_ms), after which librados answers ETIMEDOUT itself.
// 2. There is no connection before a probe made one: other operations come back with ENOTCONN. A
//    probe that makes it anew goes alone: it is submitted, and ends, while nothing else is under
//    way. So threads need no lock for it: what they see was handed to them through the core.
// 3. A pool that is full refuses writes (ENOSPC, EDQUOT) instead of letting them wait.
// Threads: core only, but for what is said above. Lifetime: the destructor waits for what is under
// way, an operation's time limit at most, and for a probe, which takes three of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "model/clock.h"
#include "model/fd_guard.h"
#include "model/helper_thread.h"
#include "model/result.h"
#include "tiering/cluster/rados_op.h"
#include "tiering/io/spsc_queue.h"

namespace quire::tiering {

struct RadosOptions {
  std::string conf;  // ceph.conf, which also says where the keyring is
  std::string pool;
  std::string user = "quire";      // client.NAME of CephX
  uint32_t operation_ms = 10'000;  // in whole seconds
};

class RadosPool {
 public:
  // At once; nothing is connected yet. kIoError, kResourceExhausted: no eventfd, no thread.
  static model::Result<std::unique_ptr<RadosPool>> create(const RadosOptions& options);
  ~RadosPool();

  static constexpr uint32_t kMaxOps = 8192;

  // False: kMaxOps are under way; nothing was taken.
  bool submit(RadosOp* op);
  // What came back since the last call; lent until the next one.
  std::span<RadosOp* const> poll();
  uint32_t in_flight() const { return in_flight_; }
  // Readable when there is something for poll().
  int wake_fd() const { return wake_.get(); }
  const std::string& name() const { return options_.pool; }

 private:
  struct Connection;  // librados' handles

  explicit RadosPool(const RadosOptions& options);
  static bool waits(RadosKind kind) { return kind >= RadosKind::kProbe; }
  std::chrono::milliseconds step(SpscQueue<RadosOp*>& queue);
  void begin(RadosOp& op);
  void finish(RadosOp* op);
  static void on_complete(void* completion, void* argument);
  // What they began is in op.handles.
  int begin_read(RadosOp& op, void* completion);
  int begin_read_entries(RadosOp& op, void* completion);
  int begin_change(RadosOp& op, void* completion);
  static void take_entries(RadosOp& op);
  void run_waiting(RadosOp& op);
  void probe(RadosOp& op);
  int connect(std::string& what);
  int read_usage(RadosOp& op);
  int list(RadosOp& op);

  RadosOptions options_;
  model::FdGuard wake_;
  std::unique_ptr<Connection> connection_;
  std::string id_;          // of the cluster; the waiting helper's
  uint32_t in_flight_ = 0;  // core's count
  std::atomic<uint32_t> begun_{
      0};                        // with librados: +1 before the call, -1 (release) when it is back
  std::mutex done_lock_;         // held for a push or a swap
  std::vector<RadosOp*> done_;   // under done_lock_
  std::vector<RadosOp*> taken_;  // what poll() lends
  SpscQueue<RadosOp*> queue_{kMaxOps};
  SpscQueue<RadosOp*> waiting_queue_{64};
  // Last, so that they end before what they use.
  model::HelperThread helper_;
  model::HelperThread waiting_helper_;
};

}  // namespace quire::tiering
