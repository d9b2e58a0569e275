#include "server/rings/copy_jobs.h"

namespace quire::server {

model::Result<CopyJobs> CopyJobs::create() {
  CopyJobs jobs;
  jobs.jobs_ = QUIRE_TRY(allocator::FlatArray<CopyJob>::reserve(kMaxCopyJobs));
  jobs.free_.reserve(kMaxCopyJobs);
  // The last one that was used is taken first: its record is in the cache still.
  for (uint32_t i = kMaxCopyJobs; i > 0; --i) jobs.free_.push_back(i - 1);
  return jobs;
}

CopyJob* CopyJobs::take(model::DomainId domain) {
  if (!has_room(domain)) return nullptr;
  CopyJob* job = &jobs_[free_.back()];
  job->task.id = free_.back();
  job->task.client = domain.value;
  free_.pop_back();
  ++taken_[domain.value];
  return job;
}

void CopyJobs::give_back(CopyJob* job) {
  free_.push_back(static_cast<uint32_t>(job->task.id));
  --taken_[job->task.client];
  given_back_ = true;
}

}  // namespace quire::server
