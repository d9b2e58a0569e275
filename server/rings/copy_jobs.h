// Records of copies and checks under way on the copy workers: preallocated, found by address. A
// domain gets no more of them than it leaves free, so that one always remains for another domain.
// Threads: core only; a worker touches a job's task between submit and poll.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/fill/fill_table.h"
#include "model/result.h"
#include "server/rings/pending.h"
#include "server/rings/session.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

inline constexpr uint32_t kMaxCopyJobs = 4096;  // beyond it commits wait in their rings

enum class CopyPurpose : uint8_t { kCommit, kVerify, kMemory };

struct CopyJob {
  tiering::CopyTask task;  // task.id = index of this record
  CopyPurpose purpose;
  Attachment* attachment;  // null for kMemory
  PendingId pending;       // kCommit, kVerify: its request
  model::FillId fill;      // kCommit
  model::NodeId node;      // kMemory
  uint32_t page_count;
  std::array<tiering::CopyPage, cache::kMaxPagesPerObject> pages;
  std::array<uint8_t, cache::kMaxPagesPerObject> page_indexes;  // kCommit: in the fill
};

class CopyJobs {
 public:
  // kResourceExhausted: no address space.
  static model::Result<CopyJobs> create();
  // Null when the domain has its share.
  CopyJob* take(model::DomainId domain);
  // Precondition: back from the workers, or never submitted.
  void give_back(CopyJob* job);
  // Whether take() would succeed now.
  bool has_room(model::DomainId domain) const { return taken_[domain.value] < free_.size(); }
  // Whether some were given back since it was asked last.
  bool take_news() { return std::exchange(given_back_, false); }
  // Of a task that poll() gave back.
  CopyJob* of(const tiering::CopyTask& task) { return &jobs_[task.id]; }

 private:
  allocator::FlatArray<CopyJob> jobs_;
  std::vector<uint32_t> free_;
  bool given_back_ = false;
  std::array<uint32_t, cache::kMaxDomains> taken_{};
};

}  // namespace quire::server
