#include "tiering/cluster/cluster_search.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace quire::tiering {

using cache::NodeKind;
using model::Errc;
using model::Hash256;

namespace {

constexpr size_t kMaxKeys = 1024;  // of one read of entries
// Where the last segments have no checkpoint, so many rounds look further up.
constexpr uint32_t kCheckpointRounds = 3;
constexpr uint32_t kCheckpointSegments = 8;  // of each
constexpr uint32_t kBatchGrowth = 4;

uint32_t segment_count(uint32_t blocks) { return blocks == 0 ? 0 : segment_of_block(blocks) + 1; }

const RadosEntry* find_entry(const RadosOp& op, const std::string& key) {
  const auto found = std::find_if(op.entries.begin(), op.entries.end(),
                                  [&](const RadosEntry& entry) { return entry.key == key; });
  return found == op.entries.end() ? nullptr : &*found;
}

}  // namespace

model::Result<void> ClusterSearch::ask(const ChainQuestion& question) {
  if (!may_read(parts_.health->mode())) {
    return model::make_error(Errc::kIoError, "the cluster tier is off");
  }
  if (under_way_.size() == kMaxChainQuestions) {
    return model::make_error(Errc::kResourceExhausted, "too many searches of the cluster");
  }
  const cache::Root& root = parts_.cache->names().root(question.root);
  auto search = std::make_unique<Search>();
  search->job = question.job;
  search->key = root.key;
  search->root = root.hash;
  search->step = root.layout->units_per_block;
  search->known_blocks = question.known_units / search->step;
  search->blocks = question.chain.count() / search->step;
  search->has_checkpoints = root.layout->needs_checkpoint;
  search->keys.reserve(question.chain.count());
  for (uint32_t u = 1; u <= question.chain.count(); ++u) {
    search->keys.push_back(question.chain.after(u));
  }
  search->next_segment = segment_of_block(search->known_blocks + 1);
  search->spans_end = search->known_blocks >= search->blocks;
  ++counters_.questions;
  parts_.epochs->raise(root.key);
  SearchOp& epoch = add_op(*search, RadosKind::kReadEntries);
  epoch.epoch = true;
  epoch.object = parts_.epochs->object_of(root.key);
  add_segments(*search);
  begin_round(*search);
  under_way_.push_back(std::move(search));
  return {};
}

FoundChain ClusterSearch::take_found(uint32_t job) {
  auto node = found_.extract(job);
  return node.empty() ? FoundChain{} : std::move(node.mapped());
}

ClusterSearch::SearchOp& ClusterSearch::add_op(Search& search, RadosKind kind) {
  SearchOp& op = *search.ops.emplace_back(std::make_unique<SearchOp>());
  op.kind = kind;
  op.client = &client_;
  op.search = &search;
  return op;
}

Hash256 ClusterSearch::segment_key(const Search& search, uint32_t segment) const {
  return search.key_of_block(first_block_of(segment));
}

void ClusterSearch::add_segments(Search& search) {
  if (search.spans_end) return;
  const uint32_t end = std::min(segment_count(search.blocks), search.next_segment + search.batch);
  for (; search.next_segment < end; ++search.next_segment) {
    SearchOp& op = add_op(search, RadosKind::kReadEntries);
    op.segment = search.next_segment;
    op.object = segment_object(search.root, segment_key(search, op.segment));
    const uint32_t first = std::max(first_block_of(op.segment), search.known_blocks + 1);
    const uint32_t last = std::min(first_block_of(op.segment + 1) - 1, search.blocks);
    for (uint32_t block = first; block <= last; ++block) {
      op.keys.push_back(entry_key(NodeKind::kSpan, search.key_of_block(block)));
    }
  }
  search.batch = std::min(search.batch * kBatchGrowth, kMaxSegments);
}

void ClusterSearch::add_headers(Search& search) {
  for (auto& [run, asked] : search.runs) {
    if (std::exchange(asked, true)) continue;
    SearchOp& op = add_op(search, RadosKind::kRead);
    op.run = run;
    op.object = run_object(search.root, run, 0);
    op.data = reinterpret_cast<std::byte*>(&op.header);
    op.bytes = sizeof(op.header);
  }
}

// Of a checkpoint the position may be any; its entry stands with the span before it.
void ClusterSearch::add_checkpoints(Search& search) {
  const uint32_t end_block = search.known_blocks + search.proved;
  const uint32_t segments = std::max(1u, segment_count(end_block));
  if (!search.has_checkpoints || search.checkpoint_rounds == kCheckpointRounds ||
      search.last_asked >= segments || !search.checkpoints.empty()) {
    return;
  }
  ++search.checkpoint_rounds;
  const auto units = static_cast<uint32_t>(search.keys.size());
  const auto add_keys = [&](const std::string& object, uint32_t first, uint32_t last) {
    SearchOp* op = nullptr;
    for (uint32_t u = std::max(1u, first); u <= std::min(last, units); ++u) {
      if (op == nullptr || op->keys.size() == kMaxKeys) {
        op = &add_op(search, RadosKind::kReadEntries);
        op->object = object;
        op->checkpoints = true;
      }
      op->keys.push_back(entry_key(NodeKind::kCheckpoint, search.keys[u - 1]));
    }
  };
  const uint32_t until = std::min(segments, search.last_asked + kCheckpointSegments);
  for (; search.last_asked < until; ++search.last_asked) {
    const uint32_t segment = segments - 1 - search.last_asked;
    if (segment == 0) add_keys(segment_object(search.root, {}), 1, search.step - 1);
    if (end_block == 0) continue;
    const uint32_t first = first_block_of(segment);
    const uint32_t last = std::min(first_block_of(segment + 1) - 1, end_block);
    add_keys(segment_object(search.root, segment_key(search, segment)), first * search.step,
             (last + 1) * search.step - 1);
  }
}

void ClusterSearch::begin_round(Search& search) {
  search.left = static_cast<uint32_t>(search.ops.size());
  ++search.found.round_trips;
  ++counters_.round_trips;
  for (const auto& op : search.ops) parts_.ops->submit(op.get());
}

void ClusterSearch::take_segment(Search& search, const SearchOp& op) {
  if (search.spans_end) return;
  const uint32_t first = std::max(first_block_of(op.segment), search.known_blocks + 1);
  const uint32_t last = std::min(first_block_of(op.segment + 1) - 1, search.blocks);
  for (uint32_t block = first; block <= last; ++block) {
    const ObjectName name{
        .root = search.root, .key = search.key_of_block(block), .kind = NodeKind::kSpan};
    const RadosEntry* entry =
        op.error == 0 ? find_entry(op, entry_key(name.kind, name.key)) : nullptr;
    const auto place = entry == nullptr ? std::nullopt : opened(entry->value, name);
    if (!place || place->units != block * search.step ||
        place->weights_epoch != search.key.weights_epoch) {
      search.spans_end = true;
      return;
    }
    search.spans.push_back({.name = name, .place = *place});
    search.runs.try_emplace(place->run, false);
  }
}

void ClusterSearch::take_checkpoints(Search& search, const SearchOp& op) {
  const auto units = static_cast<uint32_t>(search.keys.size());
  for (const RadosEntry& entry : op.entries) {
    if (op.error != 0 || entry.key.size() != 1 + sizeof(Hash256)) continue;
    ObjectName name{.root = search.root, .kind = NodeKind::kCheckpoint};
    std::copy(entry.key.begin() + 1, entry.key.end(),
              reinterpret_cast<char*>(name.key.bytes.data()));
    const auto place = opened(entry.value, name);
    const bool good = place && place->units >= 1 && place->units <= units &&
                      search.keys[place->units - 1] == name.key &&
                      place->weights_epoch == search.key.weights_epoch;
    if (!good) continue;
    search.checkpoints.push_back({.name = name, .place = *place});
    search.runs.try_emplace(place->run, false);
  }
}

void ClusterSearch::take_round(Search& search) {
  const std::vector<std::unique_ptr<SearchOp>> ops = std::exchange(search.ops, {});
  for (const auto& done : ops) {
    const SearchOp& op = *done;
    if (!is_answer(op.error)) search.failed = true;
    if (op.epoch) {
      if (op.error == 0 && !parts_.epochs->learn(search.key, ClusterEpochs::epoch_in(op))) {
        ++counters_.stale;
        search.spans_end = true;
        search.has_checkpoints = false;
      }
    } else if (op.kind == RadosKind::kRead) {
      const bool whole = op.error == 0 && op.got == sizeof(op.header) &&
                         is_header_of(op.header, search.root, op.run);
      if (whole) search.headers.emplace(op.run, op.header);
    } else if (op.checkpoints) {
      take_checkpoints(search, op);
    } else {
      take_segment(search, op);
    }
  }
  if (!search.failed) return;
  search.spans_end = true;
  search.has_checkpoints = false;
}

bool ClusterSearch::is_proved(const Search& search, const Entry& span) const {
  const auto header = search.headers.find(span.place.run);
  return header != search.headers.end() && holds(header->second, span.name, span.place);
}

// As far as headers were asked for: at the first that does not have its object the chain ends.
void ClusterSearch::prove(Search& search) {
  while (search.proved < search.spans.size()) {
    const Entry& span = search.spans[search.proved];
    if (!search.runs.at(span.place.run)) return;
    if (!is_proved(search, span)) {
      ++counters_.unproved;
      search.spans.resize(search.proved);
      search.spans_end = true;
      return;
    }
    ++search.proved;
  }
}

void ClusterSearch::next(Search& search) {
  take_round(search);
  prove(search);
  search.spans_end = search.spans_end || search.next_segment >= segment_count(search.blocks);
  add_segments(search);
  if (!search.failed) add_headers(search);
  // The spans are proved by then, so that their end is known.
  if (search.ops.empty()) add_checkpoints(search);
  if (search.ops.empty()) return finish(search);
  begin_round(search);
}

void ClusterSearch::finish(Search& search) {
  search.spans.resize(search.proved);
  std::erase_if(search.checkpoints, [&](const Entry& one) { return !is_proved(search, one); });
  std::sort(search.checkpoints.begin(), search.checkpoints.end(),
            [](const auto& a, const auto& b) { return a.place.units < b.place.units; });
  const auto add = [&](const Entry& one) {
    parts_.places->set(one.name, one.place);
    search.found.objects.push_back(
        {.kind = one.name.kind, .key = one.name.key, .units = one.place.units});
  };
  std::for_each(search.spans.begin(), search.spans.end(), add);
  std::for_each(search.checkpoints.begin(), search.checkpoints.end(), add);
  counters_.found_spans += search.spans.size();
  counters_.found_checkpoints += search.checkpoints.size();
  if (search.failed) ++counters_.failed;
  search.found.cut_short = search.failed;
  const uint32_t job = search.job;
  found_.insert_or_assign(job, std::move(search.found));
  std::erase_if(under_way_, [&](const auto& one) { return one.get() == &search; });
  parts_.events->push_back({.kind = TierEvent::Kind::kFound, .job = job});
}

void ClusterSearch::step() {
  for (RadosOp* op : client_.take()) {
    Search& search = *static_cast<SearchOp*>(op)->search;
    if (--search.left == 0) next(search);
  }
}

}  // namespace quire::tiering
