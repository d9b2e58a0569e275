// Which clients map which segments, and how a segment is taken back (DESIGN section 4): clients are
// told, unmap and acknowledge (or die); then it is closed. What they said is not believed: its
// memory serves another domain when the kernel says that nobody keeps it
// (allocator::SegmentRemains), and until then it is charged to the domain that it was taken from.
// Only the domain that it was taken for waits, and may have another one after kPatienceNs. Threads:
// core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cache/cache.h"
#include "model/wire.h"
#include "server/rings/client_process.h"

namespace quire::server {

// An engine in the middle of a step answers later than this.
inline constexpr int64_t kPatienceNs = 1'000'000'000;

class SegmentShare {
 public:
  // `before_unmap` is called with the start of a segment that is about to go.
  SegmentShare(cache::Cache* cache, std::function<void(const std::byte*)> before_unmap)
      : cache_(cache), before_unmap_(std::move(before_unmap)) {}

  struct Told {
    std::vector<model::SegmentInfo> infos;
    std::vector<int> descriptors;  // of the first infos, at most kMaxDescriptorsPerFrame
  };
  // The domain's present segments, for hello; the connection is taken to know those whose
  // descriptor it is given.
  Told tell_all(ClientProcess& client);
  // kNotFound: not a segment of this domain.
  model::Result<Told> tell(ClientProcess& client, model::SegmentId segment);

  // Announces segments that the cache gave up, and hands out what came back. Called often.
  void retire_pending(int64_t now_ns);
  // The client says that it unmapped a segment. Of one that is not asked back: nothing happens.
  void acknowledged(ClientProcess& client, model::SegmentId segment);
  // The client is gone: so are its mappings.
  void forget(ClientProcess& client);

  // Segments asked back that some client has yet to unmap.
  size_t retiring_count() const { return retiring_.size(); }

 private:
  struct Retiring {
    cache::RetiredFrom from;
    int64_t since_ns = 0;
    uint32_t unacknowledged = 0;
    bool late = false;
  };
  void note(ClientProcess& client, model::SegmentId segment);
  void announce(cache::RetiredFrom from, int64_t now_ns);
  void release_if_unmapped();

  cache::Cache* cache_;
  std::function<void(const std::byte*)> before_unmap_;
  std::vector<ClientProcess*> clients_;  // that know a segment, in the order they came
  std::vector<Retiring> retiring_;
};

}  // namespace quire::server
