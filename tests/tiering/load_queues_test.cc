#include "tiering/load_queues.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

namespace quire::tests::load_queues_test {

namespace {

using model::LoadClass;
using tiering::kMaxOvertakes;
using tiering::LoadQueues;
using tiering::LoadRecord;

class LoadQueuesTest : public testing::Test {
 protected:
  ~LoadQueuesTest() override { queues_.check_invariants(); }

  LoadRecord& add(uint32_t tenant, LoadClass load_class = LoadClass::kInteractive,
                  uint16_t domain = 0) {
    LoadRecord& load = loads_.emplace_back();
    load.domain = model::DomainId{domain};
    load.tenant = model::TenantId{tenant};
    load.load_class = load_class;
    queues_.add(load);
    return load;
  }
  LoadRecord& add_batch(uint32_t tenant) { return add(tenant, LoadClass::kBatch); }
  // As Loads does it: the load whose turn it is gets all it needs at once.
  LoadRecord* serve_next() {
    LoadRecord* load = queues_.to_reserve(*queues_.next_tenant());
    if (load != nullptr) queues_.note_reserved(*load);
    return load;
  }
  std::vector<LoadRecord*> reading(LoadQueues::Tenant& tenant) {
    std::vector<LoadRecord*> loads;
    queues_.for_each_to_read(tenant, [&](LoadRecord& load) {
      loads.push_back(&load);
      return true;
    });
    return loads;
  }
  LoadQueues::Domain& domain() { return queues_.domain(model::DomainId{0}); }

  std::deque<LoadRecord> loads_;
  LoadQueues queues_;
};

TEST_F(LoadQueuesTest, TenantsTakeTurns) {
  LoadRecord& first = add(1);
  LoadRecord& second = add(1);
  LoadRecord& other = add(7);
  EXPECT_EQ(serve_next(), &first);
  EXPECT_EQ(serve_next(), &other) << "whatever the first tenant has waiting";
  EXPECT_EQ(serve_next(), &second);
  EXPECT_EQ(serve_next(), nullptr) << "the other one has all it needs";
}

TEST_F(LoadQueuesTest, InteractiveLoadsGoFirstAndOfAClassTheFirstCome) {
  LoadRecord& batch = add_batch(1);
  LoadRecord& first = add(1);
  LoadRecord& second = add(1);
  EXPECT_EQ(serve_next(), &first);
  EXPECT_EQ(serve_next(), &second);
  EXPECT_EQ(serve_next(), &batch);
}

// Law 15: nothing is unbounded in time.
TEST_F(LoadQueuesTest, ABatchLoadIsOvertakenSoOftenAtMost) {
  LoadRecord& first = add_batch(1);
  LoadRecord& second = add_batch(1);
  uint32_t overtakes = 0;
  for (LoadRecord* waits : {&first, &second}) {
    for (overtakes = 0;; ++overtakes) {
      add(1);
      add(1);
      if (serve_next() == waits) break;
      ASSERT_LE(overtakes, kMaxOvertakes);
    }
    EXPECT_EQ(overtakes, kMaxOvertakes);
  }
}

// It would never end: who came later would wait for what it holds, and it for its turn.
TEST_F(LoadQueuesTest, NobodyOvertakesALoadThatHoldsAPart) {
  LoadRecord& batch = add_batch(1);
  ASSERT_EQ(queues_.to_reserve(*queues_.next_tenant()), &batch);
  domain().reserving = &batch;
  LoadRecord& interactive = add(1);
  EXPECT_EQ(queues_.to_reserve(*queues_.next_tenant()), &batch);
  EXPECT_TRUE(queues_.has_rival(batch)) << "where it finds no room, the other one may try";
  queues_.give_way(batch);
  EXPECT_EQ(domain().reserving, nullptr);
  EXPECT_EQ(queues_.to_reserve(*queues_.next_tenant()), &interactive);
  EXPECT_FALSE(queues_.has_rival(interactive));
}

TEST_F(LoadQueuesTest, OnlyAnotherTenantOfTheDomainIsARival) {
  LoadRecord& load = add(1);
  add(1);
  add(2, LoadClass::kInteractive, /*domain=*/1);
  EXPECT_FALSE(queues_.has_rival(load));
  LoadRecord& other = add(3);
  EXPECT_TRUE(queues_.has_rival(load));
  queues_.note_reserved(other);
  EXPECT_FALSE(queues_.has_rival(load)) << "it has all it needs";
}

TEST_F(LoadQueuesTest, ALoadLeavesFromWhereverItStands) {
  LoadRecord& waiting = add(1);
  LoadRecord& reading = add(1);
  LoadRecord& issued = add(1);
  queues_.note_reserved(reading);
  queues_.note_reserved(issued);
  queues_.note_issued(issued);
  EXPECT_EQ(domain().reserved, 2u);
  domain().reserving = &waiting;
  for (LoadRecord* load : {&waiting, &reading, &issued}) queues_.remove(*load);
  EXPECT_EQ(domain().reserved, 0u);
  EXPECT_EQ(domain().waiting_tenants, 0u);
  EXPECT_EQ(domain().reserving, nullptr);
  EXPECT_EQ(queues_.next_tenant(), nullptr);
  queues_.maybe_forget(model::DomainId{0});
  EXPECT_EQ(queues_.find_domain(model::DomainId{0}), nullptr);
}

TEST_F(LoadQueuesTest, WhatIsReadIsInteractiveFirstButNotForEver) {
  LoadRecord& batch = add_batch(1);
  LoadRecord& interactive = add(1);
  queues_.note_reserved(batch);
  queues_.note_reserved(interactive);
  LoadQueues::Tenant& tenant = *queues_.next_tenant();
  uint32_t batch_first = 0;
  for (uint32_t turn = 0; turn < 2 * (kMaxOvertakes + 1); ++turn) {
    const std::vector<LoadRecord*> order = reading(tenant);
    ASSERT_EQ(order.size(), 2u);
    batch_first += order.front() == &batch ? 1 : 0;
  }
  EXPECT_EQ(batch_first, 2u);
}

// Any order of arrivals, ends and turns: each batch load within its bound, nothing lost.
TEST_F(LoadQueuesTest, RandomSchedulesKeepTheBound) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    struct Batch {
      LoadRecord* load;
      uint32_t tenant;
      uint64_t before;
      uint64_t bound;
    };
    std::vector<Batch> waiting;
    std::vector<uint64_t> served(4);
    const auto stop_waiting = [&](LoadRecord* load) {
      std::erase_if(waiting, [&](const Batch& one) { return one.load == load; });
    };
    for (int event = 0; event < 3000; ++event) {
      const auto tenant = static_cast<uint32_t>(random() % served.size());
      if (random() % 8 == 0) {
        uint64_t places = 1;
        for (const Batch& one : waiting) places += one.tenant == tenant ? 1 : 0;
        waiting.push_back({&add_batch(tenant), tenant, served[tenant], places * kMaxOvertakes});
      } else {
        add(tenant);
      }
      if (random() % 16 == 0 && !waiting.empty()) {  // a client dies
        LoadRecord* gone = waiting[random() % waiting.size()].load;
        stop_waiting(gone);
        queues_.remove(*gone);
      }
      LoadRecord* load = queues_.next_tenant() == nullptr ? nullptr : serve_next();
      if (load == nullptr) continue;
      if (!load->is_batch()) ++served[load->tenant.value];
      stop_waiting(load);
      queues_.remove(*load);
      for (const Batch& one : waiting)
        ASSERT_LE(served[one.tenant] - one.before, one.bound) << seed;
    }
    queues_.check_invariants();
    while (queues_.next_tenant() != nullptr) {
      LoadRecord* load = serve_next();
      if (load != nullptr) queues_.remove(*load);
    }
  }
}

}  // namespace

}  // namespace quire::tests::load_queues_test
