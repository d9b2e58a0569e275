#include "tiering/load_queues.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
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

// Bytes that each tenant's reads got, of as many pieces as were offered.
class ReadShares : public LoadQueuesTest {
 protected:
  static constexpr uint64_t kPiece = 1 << 20;

  LoadRecord& add_reading(uint32_t tenant) {
    LoadRecord& load = add(tenant);
    queues_.note_reserved(load);
    return load;
  }
  // Offers pieces to whoever reads; of a tenant that `refuses` nothing is taken.
  std::map<uint32_t, uint64_t> read(uint32_t pieces, const std::map<uint32_t, uint32_t>& weights,
                                    std::optional<uint32_t> refuses = std::nullopt) {
    std::map<uint32_t, uint64_t> bytes;
    more_ = queues_.read_by_share(pieces, [&](LoadQueues::Tenant& tenant) {
      uint32_t id = 0;
      queues_.for_each_to_read(tenant, [&](const LoadRecord& load) {
        id = load.tenant.value;
        return false;
      });
      if (refuses == id) return LoadQueues::Taken{};
      bytes[id] += kPiece;
      return LoadQueues::Taken{kPiece, weights.at(id)};
    });
    return bytes;
  }

  bool more_ = false;
};

TEST_F(ReadShares, BytesGoByWeight) {
  for (const uint32_t tenant : {1u, 2u, 3u}) add_reading(tenant);
  const auto bytes = read(700, {{1, 1}, {2, 2}, {3, 4}});
  EXPECT_NEAR(bytes.at(1) / kPiece, 100, 1);
  EXPECT_NEAR(bytes.at(2) / kPiece, 200, 1);
  EXPECT_NEAR(bytes.at(3) / kPiece, 400, 1);
}

// However many loads it has.
TEST_F(ReadShares, ATenantWithManyLoadsGetsNoMore) {
  for (uint32_t i = 0; i < 50; ++i) add_reading(1);
  add_reading(2);
  const auto bytes = read(100, {{1, 1}, {2, 1}});
  EXPECT_EQ(bytes.at(1), bytes.at(2));
}

TEST_F(ReadShares, WhoHadNothingToReadSavesNothingUp) {
  add_reading(1);
  read(1000, {{1, 1}});
  add_reading(2);
  const auto bytes = read(100, {{1, 1}, {2, 1}});
  EXPECT_NEAR(bytes.at(1) / kPiece, 50, 1);
}

TEST_F(ReadShares, WhatOneDoesNotTakeTheOthersGet) {
  for (const uint32_t tenant : {1u, 2u}) add_reading(tenant);
  const std::map<uint32_t, uint32_t> weights{{1, 1000}, {2, 1}};
  const auto bytes = read(100, weights, /*refuses=*/1);
  EXPECT_EQ(bytes.at(2), 99 * kPiece) << "it was asked once in vain";
  EXPECT_TRUE(more_);
  EXPECT_GE(read(1001, weights).at(1), 1000 * kPiece) << "and again in the next round";
}

TEST_F(ReadShares, WhoHasNothingToReadIsNotAsked) {
  LoadRecord& issued = add_reading(1);
  LoadRecord& ended = add_reading(2);
  queues_.note_issued(issued);
  queues_.remove(ended);
  EXPECT_TRUE(read(10, {{1, 1}, {2, 1}}).empty());
  EXPECT_FALSE(more_);
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
