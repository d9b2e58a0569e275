// What the tests of encoded objects share: a daemon whose device can be told to fail, in memory,
// that has learnt that bf16 groups of small_packing_layout pay, and content that does not compress.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tests/ssd/ssd_faults.h"

namespace quire::tests {

class PackedSsd {
 public:
  explicit PackedSsd(const OptionsChange& change = {}, const std::string& engine = "auto");

  FaultySsd& ssd() { return ssd_; }
  SsdRig& rig() { return ssd_.rig(); }
  client::Client& client() { return *client_; }
  std::string ssd_path() const { return memory_.ssd_path(); }
  DemoterCounters demoter() { return rig().status().demoter; }

  // Commits kLearnt + 1 short contexts, so that what comes is encoded: kFirstLearnt and those
  // behind it, with two spans each.
  static constexpr uint64_t kFirstLearnt = 900;
  static constexpr uint64_t kLearnt = 4;
  static constexpr uint32_t kLearntTokens = 16;
  bool learn(const model::Layout& layout = small_packing_layout(), uint64_t first = kFirstLearnt);
  // Commits every span of the context and a checkpoint at its end, and waits until all is durable.
  // Where `noise` says so of a
  // span's number its pages are random also in bf16 groups; the checkpoint is as the last span.
  bool commit(uint64_t context, uint32_t tokens,
              const model::Layout& layout = small_packing_layout(),
              const std::function<bool(uint32_t)>& noise = {});
  // As commit(), without waiting.
  bool put(uint64_t context, uint32_t tokens, const model::Layout& layout = small_packing_layout(),
           const std::function<bool(uint32_t)>& noise = {});
  Hit hit(uint64_t context, uint32_t tokens, const model::Layout& layout = small_packing_layout(),
          const client::LoadOptions& options = {});
  // All of the context is there, every byte right.
  bool is_whole(uint64_t context, uint32_t tokens,
                const model::Layout& layout = small_packing_layout(),
                const client::LoadOptions& options = {});

  void stop();
  void start();
  void restart();

 private:
  MemoryDirectory memory_;
  FaultySsd ssd_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace quire::tests
