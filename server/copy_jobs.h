// Records of copies and checks under way on the copy workers: preallocated, found by address.
// Threads: core only; a worker touches a job's task between submit and poll.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/fill_table.h"
#include "model/result.h"
#include "server/session.h"
#include "tiering/copy_engine.h"

namespace quire::server {

inline constexpr uint32_t kMaxCopyJobs = 4096;  // beyond it commits wait in their rings

enum class CopyPurpose : uint8_t { kCommit, kVerify };

struct CopyJob {
  tiering::CopyTask task;  // task.id = index of this record
  CopyPurpose purpose;
  Attachment* attachment;
  uint64_t user_data;
  model::FillId fill;  // kCommit
  uint64_t hit_check;  // kVerify: the number in HitChecks
  uint32_t page_count;
  std::array<tiering::CopyPage, cache::kMaxPagesPerObject> pages;
  std::array<uint8_t, cache::kMaxPagesPerObject> page_indexes;  // kCommit: in the fill
};

class CopyJobs {
 public:
  static model::Result<CopyJobs> create();
  // Null when all are in use.
  CopyJob* take();
  void give_back(CopyJob* job);
  bool empty() const { return free_.empty(); }
  CopyJob* of(const tiering::CopyTask& task) { return &jobs_[task.id]; }

 private:
  allocator::FlatArray<CopyJob> jobs_;
  std::vector<uint32_t> free_;
};

}  // namespace quire::server
