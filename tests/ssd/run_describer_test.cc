// What is said of a run, and how the writer chooses its form. Both over real transfers.
#include "tiering/ssd/run_describer.h"

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "tests/ssd/mover_rig.h"
#include "tiering/ssd/write_codec.h"

namespace quire::tiering::run_describer_test {
namespace {

using model::NodeId;
using tests::MoverRig;

class RunDescriberTest : public testing::Test {
 protected:
  Transfer& describe(std::span<const NodeId> nodes) {
    Transfer& transfer = rig_.begin_write(nodes);
    describer_.begin_run(transfer, nodes.front(), static_cast<uint32_t>(nodes.size()));
    for (uint32_t i = 0; i < nodes.size(); ++i) describer_.add(transfer, i);
    return transfer;
  }

  MoverRig rig_;
  const std::vector<NodeId> chain_ = rig_.add_chain(5, 1);
  RunDescriber describer_{{.cache = &rig_.cache(),
                           .roots = rig_.contents().roots(),
                           .space = &rig_.space(),
                           .instance = rig_.instance()},
                          1000};
};

TEST_F(RunDescriberTest, HeadersSayWhatTheRecordSays) {
  Transfer& transfer = describe(std::span(chain_).first(3));
  const RunRecord& run = transfer.run;
  ASSERT_EQ(run.keys.size(), 3u);
  EXPECT_EQ(run.key.slot.value, transfer.first.value);
  for (uint32_t i = 0; i < 3; ++i) {
    const ExtentHeader& header = transfer.headers[i];
    EXPECT_EQ(header.key, run.keys[i]) << i;
    EXPECT_EQ(header.generation, run.generation + i) << i;
    EXPECT_EQ(header.slot, run.key.slot.value + i) << i;
    EXPECT_EQ(header.units, run.key.units + i * run.unit_step) << i;
    EXPECT_EQ(header.parent_key, i == 0 ? run.parent_key : run.keys[i - 1]) << i;
    EXPECT_EQ(header.instance, rig_.instance()) << i;
  }
  EXPECT_EQ(run.parent_key, transfer.headers[0].root) << "the root's child";
  EXPECT_EQ(run.parent_units, 0u);
  rig_.mover().give_back(&transfer);
}

TEST_F(RunDescriberTest, NoTwoObjectsShareAGeneration) {
  Transfer& first = describe(std::span(chain_).first(3));
  Transfer& second = describe(std::span(chain_).subspan(3));
  EXPECT_EQ(first.run.generation, 1000u);
  EXPECT_EQ(second.run.generation, 1003u);
  EXPECT_EQ(second.run.parent_key, first.run.keys.back());
  rig_.mover().give_back(&first);
  rig_.mover().give_back(&second);
  describer_.set_first_generation(5000);
  Transfer& late = describe(std::span(chain_).first(1));
  EXPECT_EQ(late.run.generation, 5000u);
  rig_.mover().give_back(&late);
}

class WriteCodecTest : public RunDescriberTest {
 protected:
  WriteCodec codec_{&rig_.cache(), &rig_.forms(), CodecOptions{}};
};

TEST_F(WriteCodecTest, WithoutSamplesAnObjectIsStoredAsItIs) {
  EXPECT_EQ(codec_.slot_bytes(chain_[0]), rig_.forms().object_bytes(chain_[0]));
}

TEST_F(WriteCodecTest, ATransferHoldsMisfitsOrOthers) {
  const std::span<const NodeId> all(chain_);
  EXPECT_EQ(codec_.alike(all), chain_.size());
  codec_.note_misfit(chain_[2]);
  EXPECT_EQ(codec_.alike(all), 2u);
  EXPECT_EQ(codec_.alike(all.subspan(2)), 1u);
  codec_.forget_misfit(chain_[2]);
  EXPECT_EQ(codec_.alike(all), chain_.size());
}

TEST_F(WriteCodecTest, WhatDidNotFitIsCountedAndNotTakenForWritten) {
  Transfer& transfer = describe(std::span(chain_).first(2));
  transfer.objects[1].check.good = false;
  codec_.learn(transfer, 1);
  EXPECT_EQ(codec_.counters().encoded_misfits, 1u);
  EXPECT_EQ(codec_.counters().encoded_objects, 0u) << "it is stored as it is";
  rig_.mover().give_back(&transfer);
}

}  // namespace
}  // namespace quire::tiering::run_describer_test
