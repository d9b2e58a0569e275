#include "tiering/transfer/registered_segments.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/ssd/mover_rig.h"

namespace quire::tests::registered_segments_test {

namespace {

using model::NodeId;

// Knows memory, and moves nothing.
class MemoryTable final : public tiering::IoEngine {
 public:
  bool full = false;
  uint32_t asked = 0;
  std::map<const std::byte*, uint64_t> buffers;

  std::string_view name() const override { return "table"; }
  model::Result<tiering::FileIndex> add_file(int) override { return tiering::FileIndex{0}; }
  void remove_file(tiering::FileIndex) override {}
  model::Result<void> add_buffer(std::span<std::byte> memory) override {
    ++asked;
    if (full) return model::make_error(model::Errc::kResourceExhausted, "full");
    QUIRE_CHECK(buffers.emplace(memory.data(), memory.size()).second);
    return {};
  }
  void remove_buffer(const std::byte* start) override { buffers.erase(start); }
  uint64_t registered_bytes() const override { return 0; }
  bool submit(tiering::IoOp*) override { return false; }
  void flush() override {}
  size_t poll(std::span<tiering::IoOp*>) override { return 0; }
  size_t in_flight() const override { return 0; }
  uint32_t queue_depth() const override { return 1; }
  uint64_t stale_completions() const override { return 0; }
  int wake_fd() const override { return -1; }
};

class RegisteredSegmentsTest : public testing::Test {
 protected:
  bool cover(NodeId node) { return segments_->cover(rig_.pool(), rig_.slots_of(node).front()); }

  MoverRig rig_;
  std::vector<NodeId> chain_ = rig_.add_chain(3, 1);
  MemoryTable engine_;
  std::unique_ptr<tiering::RegisteredSegments> segments_ =
      std::make_unique<tiering::RegisteredSegments>(&engine_);
};

TEST_F(RegisteredSegmentsTest, ASegmentIsRegisteredOnceAndWhole) {
  for (const NodeId node : chain_) EXPECT_TRUE(cover(node));
  ASSERT_EQ(engine_.buffers.size(), 1u);
  EXPECT_EQ(engine_.asked, 1u);
  EXPECT_EQ(engine_.buffers.begin()->second, MoverRig::kSegmentBytes);
  for (const NodeId node : chain_) {
    const std::byte* page = rig_.inspect().pages(node).front().bytes.data();
    EXPECT_GE(page, engine_.buffers.begin()->first);
    EXPECT_LT(page, engine_.buffers.begin()->first + MoverRig::kSegmentBytes);
  }
}

TEST_F(RegisteredSegmentsTest, ASegmentThatGoesIsForgottenAndMayComeBack) {
  EXPECT_TRUE(cover(chain_[0]));
  const std::byte* segment = engine_.buffers.begin()->first;
  segments_->forget(segment + 4096);
  EXPECT_EQ(engine_.buffers.size(), 1u) << "nobody's start";
  segments_->forget(segment);
  EXPECT_TRUE(engine_.buffers.empty());
  EXPECT_TRUE(cover(chain_[0]));
  EXPECT_EQ(engine_.asked, 2u);
}

TEST_F(RegisteredSegmentsTest, WhatTheEngineRefusedIsToldOnceAndNotTriedForEveryPage) {
  engine_.full = true;
  EXPECT_FALSE(cover(chain_[0]));
  EXPECT_TRUE(cover(chain_[1]));
  EXPECT_EQ(engine_.asked, 1u);
}

TEST_F(RegisteredSegmentsTest, NothingStaysRegistered) {
  EXPECT_TRUE(cover(chain_[0]));
  segments_.reset();
  EXPECT_TRUE(engine_.buffers.empty());
}

}  // namespace

}  // namespace quire::tests::registered_segments_test
