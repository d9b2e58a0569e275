// Classes of times, and what is read off them.
#include "model/time_histogram.h"

#include <gtest/gtest.h>

namespace quire::model::time_histogram_test {
namespace {

size_t class_of(int64_t time_ns) {
  TimeHistogram times;
  times.add(time_ns);
  for (size_t i = 0; i <= TimeHistogram::kBoundsNs.size(); ++i) {
    if (times.count_of(i) == 1) return i;
  }
  ADD_FAILURE() << "in no class";
  return 0;
}

TEST(TimeHistogram, ABoundBelongsToItsClass) {
  for (size_t i = 0; i < TimeHistogram::kBoundsNs.size(); ++i) {
    EXPECT_EQ(class_of(TimeHistogram::kBoundsNs[i]), i);
    EXPECT_EQ(class_of(TimeHistogram::kBoundsNs[i] + 1), i + 1);
  }
  EXPECT_EQ(class_of(0), 0u);
  EXPECT_EQ(class_of(-5), 0u) << "a clock read twice for one moment";
  EXPECT_EQ(class_of(INT64_MAX), TimeHistogram::kBoundsNs.size());
}

TEST(TimeHistogram, CountsAndSumsWhatWasAdded) {
  TimeHistogram times;
  times.add(1'500, 3);
  times.add(20'000'000'000);
  times.add(-7);
  EXPECT_EQ(times.count(), 5u);
  EXPECT_EQ(times.sum_ns(), 20'000'004'500u);
}

TEST(TimeHistogram, AQuantileIsTheBoundOfItsClass) {
  TimeHistogram times;
  EXPECT_EQ(times.quantile_ns(0.99), 0) << "there are none";
  times.add(1'500, 98);
  times.add(3'000'000, 2);
  EXPECT_EQ(times.quantile_ns(0.5), 2'000);
  EXPECT_EQ(times.quantile_ns(0.99), 5'000'000);
  times.add(INT64_MAX / 1000, 1000);
  EXPECT_EQ(times.quantile_ns(0.99), 10'000'000'000) << "longer than all bounds";
}

}  // namespace
}  // namespace quire::model::time_histogram_test
