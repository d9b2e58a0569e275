#include "tiering/cluster/rados_pool.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/cluster/rados_rig.h"

namespace quire::tests::rados_pool_test {

namespace {

using tiering::RadosOp;

class RadosPool : public testing::Test {
 protected:
  void SetUp() override {
    QUIRE_NEEDS_CEPH();
    rig_ = std::make_unique<RadosRig>(scratch_options());
    const RadosOp probe = rig_->connect();
    ASSERT_EQ(probe.error, 0) << probe.failure;
    EXPECT_TRUE(probe.can_read);
  }
  RadosRig& rig() { return *rig_; }

  std::unique_ptr<RadosRig> rig_;
  std::string object_ = "test/" + fresh_name();
};

TEST_F(RadosPool, BytesComeBackAndMayBeRead) {
  ASSERT_EQ(rig().write(object_, "0123456789"), 0);
  EXPECT_EQ(rig().read(object_, 4, 3), "3456");
  EXPECT_EQ(rig().read(object_, 100), "0123456789") << "as many as there are";
  ASSERT_EQ(rig().remove(object_), 0);
  EXPECT_EQ(rig().read(object_, 4), "");
  EXPECT_EQ(rig().error, ENOENT);
  EXPECT_EQ(rig().remove(object_), ENOENT);
}

TEST_F(RadosPool, EntriesAreAnyBytes) {
  const std::string key("s\0\xff", 3);
  const std::string value("\0v", 2);
  ASSERT_EQ(rig().change({.object = object_, .entries = {{key, value}, {"t", "w"}}}), 0);
  const RadosOp one = rig().entries(object_, {key, "no such key"});
  ASSERT_EQ(one.entries.size(), 1u);
  EXPECT_EQ(one.entries[0].key, key);
  EXPECT_EQ(one.entries[0].value, value);
  EXPECT_EQ(rig().entries(object_).entries.size(), 2u) << "all that there are";
  EXPECT_EQ(rig().entries(object_ + "-absent", {key}).error, ENOENT);
}

TEST_F(RadosPool, AChangeHoldsOnlyWhereItsExpectationDoes) {
  ASSERT_EQ(rig().change({.object = object_, .entries = {{"a", "1"}}, .create = true}), 0);
  EXPECT_EQ(rig().change({.object = object_, .entries = {{"a", "2"}}, .create = true}), EEXIST);
  EXPECT_EQ(rig().change({.object = object_, .entries = {{"b", "1"}}, .expected = {{"a", ""}}}),
            ECANCELED);
  EXPECT_EQ(rig().change({.object = object_, .entries = {{"b", "1"}}, .expected = {{"b", ""}}}), 0);
  EXPECT_EQ(rig().change({.object = object_, .keys = {"a"}, .expected = {{"a", "2"}}}), ECANCELED);
  EXPECT_EQ(rig().change({.object = object_, .keys = {"a"}, .expected = {{"a", "1"}}}), 0);
  const RadosOp left = rig().entries(object_);
  ASSERT_EQ(left.entries.size(), 1u);
  EXPECT_EQ(left.entries[0].key, "b");
}

TEST_F(RadosPool, AnObjectThatIsNotThereCannotBeExpectedOf) {
  EXPECT_EQ(rig().change({.object = object_, .entries = {{"b", "1"}}, .expected = {{"b", ""}}}),
            ENOENT);
}

TEST_F(RadosPool, ListsWhatIsThere) {
  ASSERT_EQ(rig().write(object_, "x"), 0);
  const std::vector<std::string> names = rig().list();
  EXPECT_NE(std::find(names.begin(), names.end(), object_), names.end());
}

TEST_F(RadosPool, WithoutAConnectionEverythingComesBack) {
  RadosRig fresh(scratch_options());
  EXPECT_EQ(fresh.write(object_, "x"), ENOTCONN);
  EXPECT_EQ(fresh.entries(object_).error, ENOTCONN);
}

TEST_F(RadosPool, AProbeSaysWhatIsWrong) {
  tiering::RadosOptions options = scratch_options();
  options.pool = "no-such-pool";
  const RadosOp no_pool = RadosRig(options).connect();
  EXPECT_EQ(no_pool.error, ENOENT);
  EXPECT_NE(no_pool.failure.find("no-such-pool"), std::string::npos) << no_pool.failure;
  options = scratch_options();
  options.user = "stranger";
  EXPECT_NE(RadosRig(options).connect().error, 0);
  options = scratch_options();
  options.conf = "/no/such/ceph.conf";
  EXPECT_EQ(RadosRig(options).connect().error, ENOENT);
}

}  // namespace

}  // namespace quire::tests::rados_pool_test
