#include "bench/replay_simulation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "bench/measure.h"
#include "cache/eviction/eviction_board.h"
#include "cache/ghosts/auto_policy.h"
#include "cache/ghosts/ghosts.h"
#include "model/check.h"

namespace quire::bench {

namespace {

using cache::NodeKind;
using cache::PinKind;
using model::NodeId;
using model::TierId;

// Any tier would do; copies on this one need no pages.
constexpr TierId kTier = TierId::kSsd;
constexpr uint32_t kSwitchedEntriesPerRequest = 1024;

model::Layout simulated_layout(uint32_t block_tokens) {
  model::Layout layout;
  layout.name = "simulated";
  layout.unit_tokens = block_tokens;
  layout.block_tokens = block_tokens;
  layout.groups.push_back(
      {.name = "append", .kind = model::GroupKind::kAppend, .page_bytes = kSimulatedBytes});
  return layout;
}

class SimulatedTier {
 public:
  SimulatedTier(const ReplayTrace& trace, const SimulationOptions& options)
      : trace_(trace),
        capacity_(options.capacity_blocks),
        admission_(options.admission),
        nodes_(trace.parents.size()) {}
  model::Result<void> open(const std::string& policy);
  void serve(const ReplayRequest& request);
  const SimulationFigures& figures() const { return figures_; }

 private:
  NodeId node_of(const std::vector<uint32_t>& path, size_t end) const {
    return end == 0 ? root_ : nodes_[path[end - 1]];
  }
  size_t find_end() const;
  bool make_room(NodeId parent, const model::Hash256& key);
  void evict(NodeId node);
  void follow_ghosts(const ReplayRequest& request, uint32_t found);
  NodeId add(NodeId parent, uint32_t block, uint32_t position);
  void offer(NodeId node) {
    if (presence_->may_leave(node, kTier)) board_->offered(node, kTier);
  }
  void hold(NodeId node) {
    if (node != root_) tree_->marks().add_pin(node, PinKind::kPresence);
  }
  void release(NodeId node) {
    if (node == root_) return;
    tree_->marks().remove_pin(node, PinKind::kPresence);
    offer(node);
  }

  const ReplayTrace& trace_;
  const uint64_t capacity_;
  const bool admission_;
  cache::LayoutTable layouts_;
  cache::NamespaceTable names_{&layouts_};
  cache::WorkMeter work_;
  std::unique_ptr<cache::PrefixTree> tree_;
  std::unique_ptr<cache::Presence> presence_;
  std::unique_ptr<cache::EvictionBoard> board_;
  NodeId root_;
  std::vector<NodeId> nodes_;     // by block; invalid: not there
  std::vector<uint32_t> path_;    // of the request that is served
  std::vector<uint32_t> blocks_;  // by node
  uint64_t count_ = 0;
  SimulationFigures figures_;
  // Of `auto`.
  std::unique_ptr<cache::Ghosts> ghosts_;
  cache::AutoPolicy choice_;
  std::vector<uint64_t> keys_;
  int64_t told_us_ = 0;
};

model::Result<void> SimulatedTier::open(const std::string& policy) {
  // Ids are given out in runs that stay partly empty: one run a block at worst.
  const uint64_t max_nodes = (capacity_ + 1024) * 16;
  tree_ = QUIRE_TRY(cache::PrefixTree::create(max_nodes, 1));
  presence_ = std::make_unique<cache::Presence>(tree_.get(), nullptr, &names_, &work_);
  board_ = std::make_unique<cache::EvictionBoard>(tree_.get(), presence_.get(), &names_, max_nodes);
  cache::RootKey key;
  key.domain = QUIRE_TRY(names_.intern_domain("simulated"));
  key.layout = QUIRE_TRY(layouts_.add(simulated_layout(trace_.block_tokens)));
  const model::RootId root = QUIRE_TRY(names_.open_root(key, *layouts_.find(key.layout)));
  const auto node = tree_->add_root(root);
  QUIRE_CHECK(node.has_value());
  names_.root(root).node = root_ = *node;
  if (policy != cache::kAutoName) {
    return board_->open_tier({.tier = kTier, .policy = policy});
  }
  ghosts_ = QUIRE_TRY(cache::Ghosts::create(
      {.capacity_bytes = capacity_ * kSimulatedBytes, .asks_admission = admission_}));
  return board_->open_tier({.tier = kTier, .policy = choice_.chosen()});
}

// Presence along a path is prefix-closed.
size_t SimulatedTier::find_end() const {
  const auto end = std::partition_point(path_.begin(), path_.end(),
                                        [&](uint32_t block) { return nodes_[block].valid(); });
  return static_cast<size_t>(end - path_.begin());
}

void SimulatedTier::evict(NodeId node) {
  const NodeId parent = tree_->parent(node);
  board_->left(node, kTier, cache::Why::kEvicted, parent == root_ ? NodeId{} : parent);
  presence_->clear_copy(node, kTier);
  nodes_[blocks_[node.value]] = NodeId{};
  tree_->remove(node);
  --count_;
  if (parent != root_) offer(parent);
}

bool SimulatedTier::make_room(NodeId parent, const model::Hash256& key) {
  if (count_ < capacity_) return true;
  if (admission_ && !board_->admits(parent, key, kTier)) return false;
  const NodeId victim = board_->choose(kTier, {});
  if (!victim.valid()) return false;
  evict(victim);
  return true;
}

NodeId SimulatedTier::add(NodeId parent, uint32_t block, uint32_t position) {
  const auto node = tree_->add(parent, NodeKind::kSpan, simulated_key(block), position + 1);
  QUIRE_CHECK(node.has_value());
  presence_->set_copy(*node, kTier, {});
  if (blocks_.size() <= node->value) blocks_.resize(node->value + size_t{1});
  blocks_[node->value] = block;
  nodes_[block] = *node;
  board_->added(*node, kTier);
  ++count_;
  ++figures_.inserts;
  return *node;
}

void SimulatedTier::serve(const ReplayRequest& request) {
  board_->set_now(request.time_us);
  trace_.path(request, path_);
  const size_t found = find_end();
  figures_.hits += found;
  if (found > 0) board_->used_path(nodes_[path_[found - 1]]);
  NodeId tip = node_of(path_, found);
  hold(tip);
  for (size_t i = found; i < path_.size(); ++i) {
    if (!make_room(tip, simulated_key(path_[i]))) break;
    const NodeId node = add(tip, path_[i], static_cast<uint32_t>(i));
    hold(node);
    release(tip);
    tip = node;
  }
  release(tip);
  if (ghosts_ != nullptr) follow_ghosts(request, static_cast<uint32_t>(found));
}

// Paced by the trace's own time, as in a daemon.
void SimulatedTier::follow_ghosts(const ReplayRequest& request, uint32_t found) {
  keys_.clear();
  for (const uint32_t block : path_) keys_.push_back(simulated_key(block).word(1));
  ghosts_->matched({.time_us = request.time_us,
                    .keys = keys_,
                    .shape = {.tokens = trace_.block_tokens, .bytes = kSimulatedBytes},
                    .prompt_tokens = request.block_count * trace_.block_tokens,
                    .found_blocks = found,
                    .known_blocks = request.block_count});
  ghosts_->pace(std::max<int64_t>(0, request.time_us - told_us_));
  told_us_ = request.time_us;
  // kBusy: the last switch goes on; it is asked for again.
  (void)board_->set_policy(kTier, choice_.choose(*ghosts_, request.time_us)).ok();
  board_->step(kSwitchedEntriesPerRequest);
}

}  // namespace

model::Hash256 simulated_key(uint32_t block) {
  model::Hash256 key;
  uint64_t word = block;
  for (size_t i = 0; i < key.bytes.size(); i += sizeof(word)) {
    word = (word ^ word >> 31) * 0x9e3779b97f4a7c15ull + i + 1;
    std::memcpy(key.bytes.data() + i, &word, sizeof(word));
  }
  return key;
}

model::Result<SimulationFigures> simulate(const ReplayTrace& trace,
                                          const SimulationOptions& options) {
  SimulatedTier tier(trace, options);
  QUIRE_TRY(tier.open(options.policy));
  const Stopwatch watch;
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    const uint64_t before = tier.figures().hits;
    tier.serve(trace.requests[i]);
    if (options.served) options.served(i, tier.figures().hits - before);
  }
  SimulationFigures figures = tier.figures();
  figures.seconds = watch.seconds();
  return figures;
}

}  // namespace quire::bench
