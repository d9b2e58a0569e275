// Which spans a tier was just asked for and does not have, so that a prompt that is nowhere, or the
// end of one that is, is not asked for again with each match. A span that is remembered is a miss
// though another host may have written it meanwhile: so only for a moment.
//
// A chain hash binds its root and all before it, so it names the span alone. Bounds: kMaxSpans, the
// oldest goes; kKeptNs. Threads: core only.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

#include "model/hash256.h"

namespace quire::tiering {

class NowhereTable {
 public:
  static constexpr size_t kMaxSpans = 4096;
  static constexpr int64_t kKeptNs = 1'000'000'000;

  bool has(const model::Hash256& span, int64_t now_ns) const {
    const auto found = spans_.find(span);
    return found != spans_.end() && now_ns - found->second < kKeptNs;
  }
  void add(const model::Hash256& span, int64_t now_ns) {
    if (!spans_.insert_or_assign(span, now_ns).second) return;  // its turn in the order stays
    order_.push_back(span);
    if (order_.size() <= kMaxSpans) return;
    spans_.erase(order_.front());
    order_.pop_front();
  }

 private:
  struct Word {
    size_t operator()(const model::Hash256& hash) const { return hash.word(0); }
  };
  std::unordered_map<model::Hash256, int64_t, Word> spans_;  // since when
  std::deque<model::Hash256> order_;
};

}  // namespace quire::tiering
