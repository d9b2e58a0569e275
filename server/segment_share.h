// Which clients map which segments, and how a segment is taken back (DESIGN section 4): clients are
// told, unmap and acknowledge (or die); then it is closed and its memory may serve another domain.
// Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cache/cache.h"
#include "model/wire.h"
#include "server/connection.h"

namespace quire::server {

class SegmentShare {
 public:
  // `before_unmap` is called with the start of a segment that is about to go.
  SegmentShare(cache::Cache* cache, allocator::SegmentSupply* supply,
               std::function<void(const std::byte*)> before_unmap)
      : cache_(cache), supply_(supply), before_unmap_(std::move(before_unmap)) {}

  struct Told {
    std::vector<model::SegmentInfo> infos;
    std::vector<int> descriptors;  // of the first infos, at most kMaxDescriptorsPerFrame
  };
  // The domain's present segments, for hello; the connection is taken to know those whose
  // descriptor it is given.
  Told tell_all(Connection& connection);
  // kNotFound: not a segment of this domain.
  model::Result<Told> tell(Connection& connection, model::SegmentId segment);

  // Announces segments that the cache gave up. Call once a turn.
  void retire_pending(const std::vector<std::unique_ptr<Connection>>& connections);
  void acknowledged(Connection& connection, model::SegmentId segment);
  // The client is gone: so are its mappings.
  void forget(Connection& connection);

  size_t retiring_count() const { return retiring_.size(); }

 private:
  struct Retiring {
    cache::RetiredSegment retired;
    uint32_t unacknowledged = 0;
  };
  void release_if_unmapped();

  cache::Cache* cache_;
  allocator::SegmentSupply* supply_;
  std::function<void(const std::byte*)> before_unmap_;
  std::vector<Retiring> retiring_;
};

}  // namespace quire::server
