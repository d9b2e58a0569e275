// Pins as objects: who holds one keeps its node, and who lets go forgets nothing.
// The store outlives them. Threads: core only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "cache/objects/object_store.h"
#include "model/ids.h"

namespace quire::cache {

// One pin of one node.
class Pin {
 public:
  Pin() = default;
  Pin(ObjectStore* store, model::NodeId node, PinKind kind)
      : store_(store), node_(node), kind_(kind) {
    store_->pin(node_, kind_);
  }
  // Moves take the pin along: the node is pinned throughout, and once.
  Pin(Pin&& other) noexcept { swap(other); }
  Pin& operator=(Pin&& other) noexcept {
    Pin taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Pin() { reset(); }

  // Lets go now. The node may go in this call, and whoever waits for it be told.
  void reset() {
    if (node_.valid()) store_->unpin(std::exchange(node_, {}), kind_);
  }
  // None: it holds nothing.
  model::NodeId node() const { return node_; }
  bool valid() const { return node_.valid(); }

 private:
  void swap(Pin& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(node_, other.node_);
    std::swap(kind_, other.kind_);
  }

  ObjectStore* store_ = nullptr;
  model::NodeId node_;
  PinKind kind_ = PinKind::kPresence;
};

// Residency pins of adjacent spans of one path, taken and given back from its deep end on, in
// pieces: a path may have millions of spans.
class PathPins {
 public:
  PathPins() = default;
  explicit PathPins(ObjectStore* store) : store_(store) {}
  // Moves as a Pin does.
  PathPins(PathPins&& other) noexcept { swap(other); }
  PathPins& operator=(PathPins&& other) noexcept {
    PathPins taken(std::move(other));
    swap(taken);
    return *this;
  }
  // All at once: for ends where nobody counts steps. Holders release() in pieces before.
  ~PathPins() { release(count_); }

  // The parent of the one that was added before; the first one is the deepest.
  void add(model::NodeId span) {
    store_->pin(span, PinKind::kResidency);
    if (count_++ == 0) last_ = span;
  }
  // The same for so many, each of which is placed right in front of the one below it; `span` is
  // the deepest.
  void add_adjacent(model::NodeId span, uint32_t spans) {
    for (uint32_t i = 0; i < spans; ++i) {
      store_->pin(model::NodeId{span.value - i}, PinKind::kResidency);
    }
    if (count_ == 0) last_ = span;
    count_ += spans;
  }
  // From the deep end on, at most so many. Returns how many there were.
  uint32_t release(uint32_t budget) {
    const uint32_t released = std::min(count_, budget);
    for (uint32_t i = 0; i < released; ++i) {
      const model::NodeId span = last_;
      last_ = store_->tree().parent(span);  // before the span may go
      store_->unpin(span, PinKind::kResidency);
    }
    count_ -= released;
    return released;
  }
  uint32_t count() const { return count_; }
  // The deepest one that is left. Precondition: there is one.
  model::NodeId last() const { return last_; }

 private:
  void swap(PathPins& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(last_, other.last_);
    std::swap(count_, other.count_);
  }

  ObjectStore* store_ = nullptr;
  model::NodeId last_;
  uint32_t count_ = 0;
};

}  // namespace quire::cache
