#include "tiering/cluster/rados_pool.h"

#include <rados/librados.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace quire::tiering {

using model::HelperThread;

struct RadosPool::Connection {
  rados_t cluster = nullptr;  // null: not connected
  rados_ioctx_t pool = nullptr;

  void close_pool() {
    if (pool != nullptr) rados_ioctx_destroy(std::exchange(pool, nullptr));
  }
  void close() {
    close_pool();
    if (cluster != nullptr) rados_shutdown(std::exchange(cluster, nullptr));
  }
};

namespace {

std::string with_error(const std::string& what, int error) {
  std::array<char, 128> text{};
  return what + ": " + ::strerror_r(error, text.data(), text.size());
}

// librados takes keys and values as two arrays of pointers with their lengths.
struct Pointers {
  std::vector<const char*> keys;
  std::vector<size_t> key_bytes;
  std::vector<const char*> values;
  std::vector<size_t> value_bytes;

  void add(const std::string& key) {
    keys.push_back(key.data());
    key_bytes.push_back(key.size());
  }
  void add(const RadosEntry& entry) {
    add(entry.key);
    values.push_back(entry.value.data());
    value_bytes.push_back(entry.value.size());
  }
};

}  // namespace

RadosPool::RadosPool(const RadosOptions& options)
    : options_(options),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      connection_(std::make_unique<Connection>()) {}

model::Result<std::unique_ptr<RadosPool>> RadosPool::create(const RadosOptions& options) {
  std::unique_ptr<RadosPool> made(new RadosPool(options));
  RadosPool* pool = made.get();
  if (!pool->wake_.valid()) return model::errno_error("eventfd");
  QUIRE_TRY(pool->helper_.start({.name = "quire-rados"},
                                [pool](const auto&) { return pool->step(pool->queue_); }));
  QUIRE_TRY(pool->waiting_helper_.start({.name = "quire-rados-mon"}, [pool](const auto&) {
    return pool->step(pool->waiting_queue_);
  }));
  return made;
}

// librados calls back into this until its last operation has ended.
RadosPool::~RadosPool() {
  helper_.stop();
  waiting_helper_.stop();
  while (begun_.load(std::memory_order_acquire) != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  connection_->close();
}

bool RadosPool::submit(RadosOp* op) {
  SpscQueue<RadosOp*>& queue = waits(op->kind) ? waiting_queue_ : queue_;
  if (in_flight_ == kMaxOps || !queue.push(op)) return false;
  ++in_flight_;
  (waits(op->kind) ? waiting_helper_ : helper_).wake();
  return true;
}

std::span<RadosOp* const> RadosPool::poll() {
  taken_.clear();
  uint64_t woken = 0;
  // Nothing to read: nothing came.
  if (in_flight_ == 0 || ::read(wake_.get(), &woken, sizeof(woken)) < 0) return {};
  {
    const std::lock_guard lock(done_lock_);
    taken_.swap(done_);
  }
  in_flight_ -= static_cast<uint32_t>(taken_.size());
  return taken_;
}

std::chrono::milliseconds RadosPool::step(SpscQueue<RadosOp*>& queue) {
  RadosOp* op = nullptr;
  if (!queue.pop(&op)) return HelperThread::kUntilWoken;
  if (waits(op->kind)) {
    run_waiting(*op);
    finish(op);
  } else {
    begin(*op);
  }
  return HelperThread::kAtOnce;
}

// Under the lock also when it is not the first: the core swaps before it looks at the next wake-up.
void RadosPool::finish(RadosOp* op) {
  bool first = false;
  {
    const std::lock_guard lock(done_lock_);
    first = done_.empty();
    done_.push_back(op);
  }
  const uint64_t one = 1;
  // Never full: it counts wake-ups that nobody read, one for each list that was swapped.
  if (first && ::write(wake_.get(), &one, sizeof(one)) < 0) return;
}

// --- what does not wait ---

// An operation with the pool and the completion that librados brings it back by.
void RadosPool::begin(RadosOp& op) {
  op.error = 0;
  op.got = 0;
  if (connection_->pool == nullptr) {
    op.error = ENOTCONN;
    return finish(&op);
  }
  op.handles[0] = this;
  rados_completion_t completion = nullptr;
  rados_aio_create_completion2(
      &op, [](rados_completion_t done, void* argument) { on_complete(done, argument); },
      &completion);
  begun_.fetch_add(1, std::memory_order_relaxed);
  int result = 0;
  switch (op.kind) {
    case RadosKind::kRead:
      result = begin_read(op, completion);
      break;
    case RadosKind::kReadEntries:
      result = begin_read_entries(op, completion);
      break;
    default:
      result = begin_change(op, completion);
  }
  rados_aio_release(completion);
  if (result >= 0) return;
  begun_.fetch_sub(1, std::memory_order_release);
  op.error = -result;
  finish(&op);
}

// On a thread of librados.
void RadosPool::on_complete(void* completion, void* argument) {
  auto* op = static_cast<RadosOp*>(argument);
  auto* pool = static_cast<RadosPool*>(op->handles[0]);
  const int result = rados_aio_get_return_value(completion);
  op->error = result < 0 ? -result : 0;
  if (op->kind == RadosKind::kRead && result > 0) op->got = static_cast<uint64_t>(result);
  if (op->kind == RadosKind::kReadEntries) take_entries(*op);
  pool->finish(op);
  pool->begun_.fetch_sub(1, std::memory_order_release);
}

int RadosPool::begin_read(RadosOp& op, void* completion) {
  return rados_aio_read(connection_->pool, op.object.c_str(), completion,
                        reinterpret_cast<char*>(op.data), op.bytes, op.offset);
}

int RadosPool::begin_read_entries(RadosOp& op, void* completion) {
  Pointers keys;
  for (const std::string& key : op.keys) keys.add(key);
  rados_read_op_t read = rados_create_read_op();
  auto* iterator = reinterpret_cast<rados_omap_iter_t*>(&op.handles[1]);
  op.entries.clear();
  op.step_error = 0;
  if (op.keys.empty()) {
    rados_read_op_omap_get_vals2(read, nullptr, nullptr, kMaxEntriesRead, iterator, nullptr,
                                 &op.step_error);
  } else {
    rados_read_op_omap_get_vals_by_keys2(read, keys.keys.data(), keys.keys.size(),
                                         keys.key_bytes.data(), iterator, &op.step_error);
  }
  const int result =
      rados_aio_read_op_operate(read, connection_->pool, completion, op.object.c_str(), 0);
  rados_release_read_op(read);
  return result;
}

void RadosPool::take_entries(RadosOp& op) {
  rados_omap_iter_t iterator = std::exchange(op.handles[1], nullptr);
  if (op.error == 0 && op.step_error < 0) op.error = -op.step_error;
  char* key = nullptr;
  char* value = nullptr;
  size_t key_bytes = 0;
  size_t value_bytes = 0;
  while (iterator != nullptr && op.error == 0 &&
         rados_omap_get_next2(iterator, &key, &value, &key_bytes, &value_bytes) == 0 &&
         key != nullptr) {
    op.entries.push_back({{key, key_bytes}, {value, value_bytes}});
  }
  if (iterator != nullptr) rados_omap_get_end(iterator);
}

int RadosPool::begin_change(RadosOp& op, void* completion) {
  rados_write_op_t write = rados_create_write_op();
  if (op.kind == RadosKind::kRemove) rados_write_op_remove(write);
  if (op.kind == RadosKind::kWriteWhole) {
    rados_write_op_write_full(write, reinterpret_cast<const char*>(op.data), op.bytes);
  }
  Pointers set;
  Pointers removed;
  if (op.kind == RadosKind::kChangeEntries) {
    if (op.create) rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, nullptr);
    for (const RadosEntry& entry : op.expected) {
      rados_write_op_omap_cmp2(write, entry.key.data(), LIBRADOS_CMPXATTR_OP_EQ, entry.value.data(),
                               entry.key.size(), entry.value.size(), nullptr);
    }
    for (const RadosEntry& entry : op.entries) set.add(entry);
    for (const std::string& key : op.keys) removed.add(key);
    if (!op.entries.empty()) {
      rados_write_op_omap_set2(write, set.keys.data(), set.values.data(), set.key_bytes.data(),
                               set.value_bytes.data(), set.keys.size());
    }
    if (!op.keys.empty()) {
      rados_write_op_omap_rm_keys2(write, removed.keys.data(), removed.key_bytes.data(),
                                   removed.keys.size());
    }
  }
  const int result =
      rados_aio_write_op_operate(write, connection_->pool, completion, op.object.c_str(), nullptr,
                                 LIBRADOS_OPERATION_FULL_TRY);
  rados_release_write_op(write);
  return result;
}

// --- what waits ---

void RadosPool::run_waiting(RadosOp& op) {
  op.error = 0;
  if (op.kind == RadosKind::kProbe) return probe(op);
  if (connection_->pool == nullptr) {
    op.error = ENOTCONN;
  } else {
    op.error = op.kind == RadosKind::kUsage ? read_usage(op) : list(op);
  }
}

// The whole way: a user's rights, the pool's name and its state may all be others than before. What
// is connected is kept while it answers, for connecting is the expensive part.
void RadosPool::probe(RadosOp& op) {
  op.failure.clear();
  op.can_read = false;
  if (op.create) {
    connection_->close_pool();
    op.error = connect(op.failure);
    if (op.error != 0) return connection_->close();
    op.names = {id_};
  }
  std::array<char, 8> bytes{"quire"};
  const std::string& object = op.object;
  const int read = rados_read(connection_->pool, object.c_str(), bytes.data(), bytes.size(), 0);
  op.can_read = read >= 0 || read == -ENOENT;
  if (!op.can_read) {
    op.error = -read;
    op.failure = with_error("read of an object in pool " + options_.pool, op.error);
    return op.create ? connection_->close() : void();
  }
  rados_write_op_t write = rados_create_write_op();
  rados_write_op_write_full(write, bytes.data(), bytes.size());
  const int written = rados_write_op_operate(write, connection_->pool, object.c_str(), nullptr,
                                             LIBRADOS_OPERATION_FULL_TRY);
  rados_release_write_op(write);
  if (written >= 0) return;
  op.error = -written;
  op.failure = with_error("write of an object in pool " + options_.pool, op.error);
}

int RadosPool::connect(std::string& what) {
  Connection& now = *connection_;
  int result = 0;
  if (now.cluster == nullptr) {
    const std::string user = "client." + options_.user;
    result = rados_create2(&now.cluster, "ceph", user.c_str(), 0);
    if (result < 0) return what = with_error("librados", -result), -result;
    result = rados_conf_read_file(now.cluster, options_.conf.c_str());
    if (result < 0) return what = with_error("read of " + options_.conf, -result), -result;
    const std::string seconds = std::to_string(std::max<uint32_t>(1, options_.operation_ms / 1000));
    for (const char* option :
         {"rados_osd_op_timeout", "rados_mon_op_timeout", "client_mount_timeout"}) {
      rados_conf_set(now.cluster, option, seconds.c_str());
    }
    // librados' log is the daemon's standard error otherwise, and its socket /var/run/ceph.
    rados_conf_set(now.cluster, "log_to_stderr", "false");
    rados_conf_set(now.cluster, "log_file", "");
    rados_conf_set(now.cluster, "admin_socket", "");
    result = rados_connect(now.cluster);
    if (result < 0) {
      return what = with_error("connecting as " + user + " by " + options_.conf, -result), -result;
    }
  }
  std::array<char, 64> id{};
  result = rados_cluster_fsid(now.cluster, id.data(), id.size());
  if (result < 0) return what = with_error("the cluster's id", -result), -result;
  id_ = id.data();
  result = rados_ioctx_create(now.cluster, options_.pool.c_str(), &now.pool);
  if (result < 0) return what = with_error("pool " + options_.pool, -result), -result;
  return 0;
}

int RadosPool::read_usage(RadosOp& op) {
  rados_pool_stat_t usage{};
  const int result = rados_ioctx_pool_stat(connection_->pool, &usage);
  if (result < 0) return -result;
  op.used_bytes = usage.num_bytes;
  op.object_count = usage.num_objects;
  return 0;
}

int RadosPool::list(RadosOp& op) {
  rados_ioctx_t pool = connection_->pool;
  constexpr size_t kAtOnce = 256;
  rados_object_list_cursor begin = rados_object_list_begin(pool);
  rados_object_list_cursor end = rados_object_list_end(pool);
  // librados moves these two; it makes none.
  rados_object_list_cursor at = rados_object_list_begin(pool);
  rados_object_list_cursor until = rados_object_list_end(pool);
  rados_object_list_slice(pool, begin, end, op.offset, op.bytes, &at, &until);
  op.names.clear();
  int result = 0;
  while (rados_object_list_cursor_cmp(pool, at, until) < 0) {
    std::array<rados_object_list_item, kAtOnce> items{};
    rados_object_list_cursor next = rados_object_list_end(pool);
    result = rados_object_list(pool, at, until, items.size(), nullptr, 0, items.data(), &next);
    if (result < 0) {
      rados_object_list_cursor_free(pool, next);
      break;
    }
    for (int i = 0; i < result; ++i) op.names.emplace_back(items[i].oid, items[i].oid_length);
    rados_object_list_free(static_cast<size_t>(result), items.data());
    rados_object_list_cursor_free(pool, std::exchange(at, next));
  }
  for (rados_object_list_cursor cursor : {begin, end, at, until}) {
    rados_object_list_cursor_free(pool, cursor);
  }
  return result < 0 ? -result : 0;
}

}  // namespace quire::tiering
