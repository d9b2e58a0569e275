#include "bench/cluster_bench_raw.h"

#include <memory>
#include <numeric>

#include "bench/measure.h"
#include "model/check.h"

namespace quire::bench {

RawLoop::RawLoop(const CephPlace& place, uint64_t object_bytes) : buffer_(object_bytes, 'q') {
  QUIRE_CHECK(rados_create2(&cluster_, "ceph", ("client." + place.pool).c_str(), 0) == 0);
  QUIRE_CHECK(rados_conf_read_file(cluster_, place.conf.c_str()) == 0);
  QUIRE_CHECK(rados_connect(cluster_) == 0);
  QUIRE_CHECK(rados_ioctx_create(cluster_, place.pool.c_str(), &pool_) == 0);
}

RawLoop::~RawLoop() {
  rados_ioctx_destroy(pool_);
  rados_shutdown(cluster_);
}

double RawLoop::run(bool write, const std::string& prefix, const std::vector<uint64_t>& objects,
                    size_t depth) {
  buffers_.resize(depth, buffer_);
  std::vector<size_t> free(depth);
  std::iota(free.begin(), free.end(), size_t{0});
  size_t next = 0;
  const Stopwatch watch;
  while (next < objects.size() || free.size() < depth) {
    for (; next < objects.size() && !free.empty(); ++next) {
      begin(write, prefix + std::to_string(next), objects[next], free.back());
      free.pop_back();
    }
    std::unique_lock lock(done_lock_);
    came_.wait(lock, [&] { return !done_.empty(); });
    free.insert(free.end(), done_.begin(), done_.end());
    done_.clear();
  }
  return watch.seconds();
}

void RawLoop::remove(const std::string& prefix, size_t count) {
  for (size_t i = 0; i < count; ++i) rados_remove(pool_, (prefix + std::to_string(i)).c_str());
}

void RawLoop::begin(bool write, const std::string& name, uint64_t bytes, size_t buffer) {
  rados_completion_t completion = nullptr;
  rados_aio_create_completion2(new Flight{this, buffer}, end, &completion);
  char* data = buffers_[buffer].data();
  const int begun = write ? rados_aio_write_full(pool_, name.c_str(), completion, data, bytes)
                          : rados_aio_read(pool_, name.c_str(), completion, data, bytes, 0);
  QUIRE_CHECK(begun == 0);
  rados_aio_release(completion);
}

void RawLoop::end(rados_completion_t completion, void* argument) {
  const std::unique_ptr<Flight> flight(static_cast<Flight*>(argument));
  QUIRE_CHECK(rados_aio_get_return_value(completion) >= 0);
  const std::lock_guard lock(flight->loop->done_lock_);
  flight->loop->done_.push_back(flight->buffer);
  flight->loop->came_.notify_one();
}

}  // namespace quire::bench
