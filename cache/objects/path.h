// The spans of a path, from a deep one towards the root: the one way to walk them.
//
//   for (const auto [block, span] : Path(tree, last, count)) ...    block = count - 1 ... 0
//
// The tree may lose a span that the walk stands at: the next one was looked up before.
#pragma once

#include <cstdint>

#include "cache/accounts/path_hold.h"
#include "cache/objects/object_store.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"

namespace quire::cache {

struct PathStep {
  uint32_t block = 0;  // counted from the top of the walk
  model::NodeId span;
};

class Path {
 public:
  // `count` spans that end with `last`; the path must have as many.
  Path(const PrefixTree& tree, model::NodeId last, uint32_t count)
      : tree_(tree), last_(last), count_(count) {}

  // Compares by what is left of the walk: two of one path only.
  class Iterator {
   public:
    Iterator(const PrefixTree& tree, model::NodeId span, uint32_t left)
        : tree_(&tree), span_(span), left_(left) {
      look_up();
    }
    PathStep operator*() const { return {left_ - 1, span_}; }
    Iterator& operator++() {
      --left_;
      go_up();
      look_up();
      return *this;
    }
    // Over so many spans further up, each of which is placed right in front of the one below it.
    void skip(uint32_t spans) {
      left_ -= spans;
      span_.value -= spans;
      look_up();
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }
    // At the end of the walk: what lies above its top.
    model::NodeId span() const { return span_; }

   private:
    // NodeRuns places a span behind its parent as a rule. A processor that goes on with that guess
    // reads the next node while this one's parent is still on its way; following parents alone it
    // would wait for each. The empty asm keeps the compiler from making both branches one.
    void go_up() {
      uint32_t guess = span_.value - 1;
      if (parent_.value == guess) [[likely]] {
        asm("" : "+r"(guess));
        span_.value = guess;
      } else {
        span_ = parent_;
      }
    }
    void look_up() {
      if (left_ > 0) parent_ = tree_->parent(span_);
    }

    const PrefixTree* tree_;
    model::NodeId span_;
    model::NodeId parent_;
    uint32_t left_;
  };
  Iterator begin() const { return {tree_, last_, count_}; }
  Iterator end() const { return {tree_, last_, 0}; }

 private:
  const PrefixTree& tree_;
  model::NodeId last_;
  uint32_t count_;
};

// What the path that ends here could keep in RAM at most.
inline PathHold hold_path(ObjectStore& store, const Root& root, model::NodeId end) {
  return {&store.presence().accounts(), root.key.domain,
          root.layout->path_bytes(store.tree().node(end).units())};
}

}  // namespace quire::cache
