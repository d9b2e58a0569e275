// A bare loop of librados, which the cluster tier is compared with: objects of the same bytes, as
// many in flight, from and to memory that it leaves alone.
#pragma once

#include <rados/librados.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace quire::bench {

// The pool, which its user is called after too.
struct CephPlace {
  std::string conf;
  std::string pool = "quire";
};

// Of one asynchronous call after the other, `depth` at a time.
class RawLoop {
 public:
  RawLoop(const CephPlace& place, uint64_t object_bytes);
  RawLoop(const RawLoop&) = delete;
  RawLoop& operator=(const RawLoop&) = delete;
  ~RawLoop();

  // Seconds. Whichever is back first makes room for the next one.
  double run(bool write, const std::string& prefix, const std::vector<uint64_t>& objects,
             size_t depth);
  void remove(const std::string& prefix, size_t count);

 private:
  struct Flight {
    RawLoop* loop;
    size_t buffer;
  };
  void begin(bool write, const std::string& name, uint64_t bytes, size_t buffer);
  // On a thread of librados.
  static void end(rados_completion_t completion, void* argument);

  std::mutex done_lock_;
  std::condition_variable came_;
  std::vector<size_t> done_;  // buffers that are free again
  rados_t cluster_ = nullptr;
  rados_ioctx_t pool_ = nullptr;
  std::string buffer_;
  std::vector<std::string> buffers_;
};

}  // namespace quire::bench
