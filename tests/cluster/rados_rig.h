// Operations on a pool, one after the other, each waited for.
#pragma once

#include <poll.h>

#include <cstring>
#include <memory>
#include <string>

#include "tests/cluster/scratch_ceph.h"
#include "tiering/cluster/rados_pool.h"

namespace quire::tests {

class RadosRig {
 public:
  explicit RadosRig(const tiering::RadosOptions& options)
      : pool_(tiering::RadosPool::create(options).value()) {}

  // Returns when it is back: librados' own time limit bounds that.
  tiering::RadosOp& run(tiering::RadosOp& op) {
    QUIRE_CHECK(pool_->submit(&op));
    while (pool_->in_flight() > 0) {
      pollfd ready{.fd = pool_->wake_fd(), .events = POLLIN};
      ::poll(&ready, 1, -1);
      pool_->poll();
    }
    return op;
  }
  tiering::RadosOp connect() {
    tiering::RadosOp op;
    op.kind = tiering::RadosKind::kProbe;
    op.object = "p/test";
    op.create = true;
    return run(op);
  }
  int write(const std::string& object, std::string bytes) {
    tiering::RadosOp op;
    op.kind = tiering::RadosKind::kWriteWhole;
    op.object = object;
    op.data = reinterpret_cast<std::byte*>(bytes.data());
    op.bytes = bytes.size();
    return run(op).error;
  }
  int remove(const std::string& object) {
    tiering::RadosOp op;
    op.kind = tiering::RadosKind::kRemove;
    op.object = object;
    return run(op).error;
  }
  // What is there of so many bytes; "": an error, which is in `error`.
  std::string read(const std::string& object, uint64_t bytes, uint64_t offset = 0) {
    std::string into(bytes, '\0');
    tiering::RadosOp op;
    op.object = object;
    op.data = reinterpret_cast<std::byte*>(into.data());
    op.bytes = bytes;
    op.offset = offset;
    error = run(op).error;
    into.resize(op.got);
    return into;
  }
  tiering::RadosOp entries(const std::string& object, const std::vector<std::string>& keys = {}) {
    tiering::RadosOp op;
    op.kind = tiering::RadosKind::kReadEntries;
    op.object = object;
    op.keys = keys;
    return run(op);
  }
  int change(tiering::RadosOp op) {
    op.kind = tiering::RadosKind::kChangeEntries;
    return run(op).error;
  }
  std::vector<std::string> list() {
    tiering::RadosOp op;
    op.kind = tiering::RadosKind::kList;
    op.bytes = 1;
    QUIRE_CHECK(run(op).error == 0);
    return op.names;
  }

  int error = 0;

 private:
  std::unique_ptr<tiering::RadosPool> pool_;
};

}  // namespace quire::tests
