#include "tiering/demotion/demotion_runs.h"

namespace quire::tiering {

using model::NodeId;

void DemotionRuns::clear() {
  runs_.clear();
  ends_.clear();
  in_runs_.clear();
}

// The walk ends at the first ancestor that has a copy or is in a run: what stands before that does
// or is, too.
void DemotionRuns::add(const Candidate& candidate) {
  const cache::PrefixTree& tree = cache_->store().tree();
  std::vector<NodeId> path;
  for (NodeId up = candidate.node; wants_copy(*cache_, tier_, up) && !in_runs_.contains(up.value);
       up = tree.parent(up)) {
    path.push_back(up);
  }
  for (auto at = path.rbegin(); at != path.rend(); ++at) append(*at, candidate);
}

void DemotionRuns::append(NodeId node, const Candidate& candidate) {
  const cache::PrefixTree& tree = cache_->store().tree();
  in_runs_.insert(node.value);
  if (tree.node(node).is_span()) {
    const auto end = ends_.find(tree.parent(node).value);
    const bool fits = end != ends_.end() && runs_[end->second].nodes.size() < kMaxJobObjects &&
                      tree.node(NodeId{end->first}).retention() == tree.node(node).retention();
    if (fits) {
      const size_t at = end->second;
      runs_[at].nodes.push_back(node);
      // The parent's place is taken: its next child begins a run of its own.
      ends_.erase(end);
      ends_.emplace(node.value, at);
      return;
    }
    ends_.emplace(node.value, runs_.size());
  }
  runs_.push_back({{node}, candidate.batch, candidate.since_ns});
}

}  // namespace quire::tiering
