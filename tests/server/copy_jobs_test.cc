#include "server/rings/copy_jobs.h"

#include <gtest/gtest.h>

namespace quire::server::copy_jobs_test {
namespace {

TEST(CopyJobs, Law06_DomainGetsNoMoreThanItLeavesFree) {
  CopyJobs jobs = CopyJobs::create().value();
  const model::DomainId greedy{0};
  const model::DomainId other{1};
  std::vector<CopyJob*> taken;
  while (CopyJob* job = jobs.take(greedy)) taken.push_back(job);
  EXPECT_EQ(taken.size(), kMaxCopyJobs / 2);
  EXPECT_FALSE(jobs.has_room(greedy));
  for (uint32_t i = 0; i < kMaxCopyJobs / 4; ++i) ASSERT_NE(jobs.take(other), nullptr) << i;
  jobs.give_back(taken.back());
  EXPECT_EQ(jobs.take(greedy), nullptr) << "the other one's are missing now";
  EXPECT_NE(jobs.take(other), nullptr);
}

}  // namespace
}  // namespace quire::server::copy_jobs_test
