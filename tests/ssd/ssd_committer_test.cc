// The committer by itself: written runs of a mover's transfers, real files and a manifest, which
// both fail on demand. Steps are the test's; the manifest writes where it is submitted to.
#include "tiering/commit/ssd_committer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/ssd/mover_rig.h"

namespace quire::tiering::ssd_committer_test {
namespace {

using model::NodeId;
using std::chrono::milliseconds;
using tests::FileOperation;
using tests::MoverRig;

using Transfers = std::vector<Transfer*>;

class SsdCommitterTest : public testing::Test {
 protected:
  // Written to the device, and not durable.
  Transfer& write(std::span<const NodeId> nodes) {
    Transfer& transfer = rig_.begin_write(nodes);
    rig_.describe_run(transfer, nodes);
    rig_.mover().start(transfer);
    for (uint32_t settled = 0; settled < nodes.size();) {
      rig_.turn();
      settled += static_cast<uint32_t>(rig_.mover().settled().size());
      rig_.mover().settled().clear();
      if (rig_.device().in_flight() > 0) wait();
    }
    return transfer;
  }
  void wait() { QUIRE_CHECK(tests::wait_readable(rig_.device().wake_fd())); }
  // Steps until nothing is under way; what it began waits for no company.
  void run(bool hurry = true) {
    for (int i = 0; i < 100; ++i) {
      committer_.step(hurry, false);
      rig_.io().hand_over();
      rig_.io().flush();
      if (rig_.device().in_flight() > 0) wait();
      rig_.io().poll();
      if (!committer_.busy() && !committer_.step(hurry, false)) return;
    }
    FAIL() << "it goes on";
  }
  // The copy of the object in this slot is given up.
  void give_up(const Transfer& transfer, uint32_t object) {
    committer_.add_release({.slot = transfer.first.value + object,
                            .root = rig_.root_of(chain_.front()),
                            .units = transfer.run.key.units + object,
                            .unit_step = 1,
                            .kind = cache::NodeKind::kSpan});
  }
  std::vector<std::string> order_of_commit(const std::function<void()>& commit) {
    std::vector<std::string> order;
    rig_.device().set_hook([&](const IoOp& op, uint64_t) {
      if (op.kind == IoKind::kSync) order.push_back("data");
    });
    rig_.file_system().set_hook([&](const tests::FileEvent& event) {
      if (event.operation == FileOperation::kSync &&
          (order.empty() || order.back() != "manifest")) {
        order.push_back("manifest");
      }
    });
    commit();
    rig_.device().set_hook({});
    rig_.file_system().set_hook({});
    return order;
  }
  uint64_t freeing() { return rig_.space().usage().freeing_slots; }
  uint64_t used() { return rig_.space().usage().used_slots; }
  void drop(Transfers& transfers) {
    for (Transfer* transfer : transfers) rig_.mover().give_back(transfer);
    transfers.clear();
  }

  MoverRig rig_;
  const std::vector<NodeId> chain_ = rig_.add_chain(4, 1);
  SsdCommitter committer_{{.cache = &rig_.cache(),
                           .mover = &rig_.mover(),
                           .forms = &rig_.forms(),
                           .io = &rig_.io(),
                           .manifest = rig_.contents().manifest(),
                           .directory = rig_.contents().directory(),
                           .files = &rig_.files(),
                           .space = &rig_.space(),
                           .roots = rig_.contents().roots(),
                           .kept = rig_.contents().kept(),
                           .health = &rig_.health(),
                           .clock = &rig_.clock,
                           .instance = rig_.instance()}};
};

TEST_F(SsdCommitterTest, Law08_DataIsSyncedBeforeTheManifestNamesIt) {
  Transfer& transfer = write(chain_);
  committer_.add_written(&transfer);
  EXPECT_TRUE(committer_.durable().empty());
  EXPECT_EQ(order_of_commit([&] { run(); }), (std::vector<std::string>{"data", "manifest"}));
  EXPECT_EQ(committer_.durable(), Transfers{&transfer});
  EXPECT_TRUE(committer_.failed().empty());
  EXPECT_EQ(committer_.counters().durable_objects, chain_.size());
  EXPECT_TRUE(committer_.idle());
  drop(committer_.durable());
}

// Their layout too: without it a restart could not serve them.
TEST_F(SsdCommitterTest, Law08_TheLayoutIsStoredWithTheFirstBatchThatNeedsIt) {
  EXPECT_TRUE(rig_.contents().directory()->layouts().list().empty());
  committer_.add_written(&write(chain_));
  run();
  EXPECT_EQ(rig_.contents().directory()->layouts().list().size(), 1u);
  drop(committer_.durable());
}

TEST_F(SsdCommitterTest, WhatComesMeanwhileGoesWithTheNextCycle) {
  Transfer& first = write(std::span(chain_).first(2));
  committer_.add_written(&first);
  committer_.step(false, false);
  ASSERT_TRUE(committer_.busy());
  Transfer& second = write(std::span(chain_).subspan(2));
  committer_.add_written(&second);
  run();
  EXPECT_EQ(committer_.durable(), (Transfers{&first, &second}));
  EXPECT_EQ(committer_.counters().cycles, 2u);
  drop(committer_.durable());
}

TEST_F(SsdCommitterTest, ACycleWaitsForCompanyThatIsComing) {
  committer_.add_written(&write(std::span(chain_).first(2)));
  run();
  committer_.add_written(&write(std::span(chain_).subspan(2)));
  EXPECT_FALSE(committer_.step(false, true));
  rig_.clock.advance(milliseconds(200));
  EXPECT_TRUE(committer_.step(false, true)) << "not for ever";
  run();
  drop(committer_.durable());
}

// The kernel may have dropped the pages: a second sync would prove nothing.
TEST_F(SsdCommitterTest, Law08_AfterASyncThatFailedNothingOfItsFileIsNamed) {
  rig_.device().add_fault({.kinds = tests::kSyncs});
  Transfer& transfer = write(chain_);
  committer_.add_written(&transfer);
  run();
  EXPECT_EQ(committer_.failed(), Transfers{&transfer});
  EXPECT_TRUE(rig_.files().is_sealed(transfer.first.region()));
  EXPECT_EQ(used(), 0u) << "no record was ever made of its slots";
  EXPECT_EQ(freeing(), 0u);
  EXPECT_FALSE(rig_.health().may_write());
  EXPECT_EQ(committer_.counters().failed_batches, 0u);
  drop(committer_.failed());
}

// Nobody knows whether the record is on the device.
TEST_F(SsdCommitterTest, Law08_SlotsOfABatchThatFailedAreReusedAfterADurableErasure) {
  Transfer& transfer = write(chain_);
  committer_.add_written(&transfer);
  rig_.file_system().fail_change(1, EIO, true);
  run();
  EXPECT_EQ(committer_.failed(), Transfers{&transfer});
  EXPECT_EQ(committer_.counters().failed_batches, 1u);
  EXPECT_EQ(freeing(), chain_.size());
  EXPECT_EQ(committer_.pending_erasures(), 1u);
  drop(committer_.failed());
  rig_.file_system().lift();
  ASSERT_TRUE(rig_.contents().make_writable().ok());
  rig_.clock.advance(std::chrono::nanoseconds(SsdHealthOptions{}.first_probe_ns));
  ASSERT_TRUE(rig_.health().probe_due(rig_.clock.now_ns()));
  rig_.health().probe_finished(true, true, rig_.clock.now_ns());
  run();
  EXPECT_EQ(freeing(), 0u);
  EXPECT_EQ(committer_.counters().erased_objects, chain_.size());
  EXPECT_TRUE(committer_.idle());
}

TEST_F(SsdCommitterTest, WhatADeviceTakesNoWritesForIsGivenUp) {
  Transfer& transfer = write(chain_);
  rig_.health().write_failed(EIO, "a write", rig_.clock.now_ns());
  committer_.add_written(&transfer);
  EXPECT_TRUE(committer_.step(false, false));
  EXPECT_EQ(committer_.failed(), Transfers{&transfer});
  EXPECT_EQ(committer_.counters().cycles, 0u);
  EXPECT_EQ(used(), 0u);
  drop(committer_.failed());
}

TEST_F(SsdCommitterTest, Law08_AReleasedSlotIsFreeWhenItsErasureIsDurable) {
  Transfer& transfer = write(chain_);
  committer_.add_written(&transfer);
  run();
  give_up(transfer, 3);
  give_up(transfer, 2);
  EXPECT_EQ(committer_.pending_erasures(), 1u) << "one change of their run";
  EXPECT_EQ(freeing(), 2u);
  EXPECT_FALSE(committer_.step(false, false)) << "alone they wait for company";
  rig_.clock.advance(milliseconds(200));
  run(false);
  EXPECT_EQ(freeing(), 0u);
  EXPECT_EQ(used(), 2u);
  EXPECT_EQ(committer_.counters().erased_objects, 2u);
  EXPECT_EQ(rig_.contents().roots()->count(), 1u);
  drop(committer_.durable());
}

TEST_F(SsdCommitterTest, ARootGoesWithItsLastRun) {
  Transfer& transfer = write(chain_);
  committer_.add_written(&transfer);
  run();
  for (uint32_t object = 4; object > 0; --object) give_up(transfer, object - 1);
  run();
  EXPECT_EQ(used() + freeing(), 0u);
  EXPECT_EQ(rig_.contents().roots()->count(), 0u);
  drop(committer_.durable());
}

}  // namespace
}  // namespace quire::tiering::ssd_committer_test
