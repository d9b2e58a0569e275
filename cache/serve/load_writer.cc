#include "cache/serve/load_writer.h"

#include <algorithm>
#include <array>

#include "cache/fill/fill_table.h"
#include "cache/objects/path.h"

namespace quire::cache {

using allocator::PageEntry;
using model::Errc;
using model::GroupIndex;
using model::LoadForm;
using model::NodeId;
using model::PageRun;
using model::SlotId;

namespace {

std::span<PageRun> as_runs(std::span<model::PageDescriptor> room) {
  return {reinterpret_cast<PageRun*>(room.data()), room.size()};
}

}  // namespace

ObjectPages LoadWriter::span_pages(const Load& load) const {
  return {*store_, names_->root(load.root).layout->span_plan, load.groups};
}

ObjectPages LoadWriter::checkpoint_pages(const Load& load) const {
  return {*store_, store_->presence().plan_of(load.checkpoint), load.groups};
}

uint32_t LoadWriter::count_checkpoint_pages(const Load& load) const {
  return load.checkpoint.valid() ? checkpoint_pages(load).count() : 0;
}

// Calls walk(write_span), where write_span(span, block) writes down one span in RAM; `block` counts
// from the start of the range. A walk for each form, so that neither asks for it at each span.
template <typename Walk>
void LoadWriter::write(const Load& load, const LoadTarget& target, Walk&& walk) const {
  const ObjectPages pages = span_pages(load);
  const size_t per_span = load.pages_per_span;
  if (load.form == LoadForm::kPages) {
    PageWriter writer(*store_, pages, target.out, target.slots);
    walk([&](NodeId span, uint32_t block) { writer.write(span, block * per_span); });
    return;
  }
  const std::span<PageRun> out = as_runs(target.out);
  walk([&](NodeId span, uint32_t block) {
    pages.for_each(span, [&](uint32_t which, GroupIndex group, SlotId slot, const PageEntry& page) {
      if (target.slots != nullptr) (*target.slots)[block * per_span + which] = slot;
      target.runs->add(which, {group, slot, page.generation(), load.first_block + block},
                       store_->pool(), out);
    });
  });
}

// Nodes and pages of a session lie in order, as a rule: then none of these looks waits for the one
// before it, and the processor makes many at a time.
uint32_t LoadWriter::pin_adjacent(RunWriter& runs, NodeId span, uint32_t most,
                                  PathPins& pins) const {
  const PrefixTree& tree = store_->tree();
  most = std::min(most, runs.most_in_front());
  uint32_t spans = 0;
  while (spans < most) {
    const NodeId below{span.value - spans};
    const NodeId above{below.value - 1};
    const Node& node = tree.node(above);
    const bool goes_on = tree.parent(below) == above && node.is_in_ram() &&
                         !node.is_quarantined() &&
                         runs.goes_on(spans + 1, SlotId{tree.marks().place(above)}, store_->pool());
    if (!goes_on) break;
    ++spans;
  }
  pins.add_adjacent(NodeId{span.value - 1}, spans);
  runs.go_on(spans);
  return spans;
}

void LoadWriter::pin_path(PendingLoad& pending, PathPins& pins, uint32_t count,
                          const LoadTarget& target) const {
  const PrefixTree& tree = store_->tree();
  const uint32_t first = pending.blocks_left - count;
  const Path path(tree, pending.next, count);
  auto step = path.begin();
  // Runs tell spans in stretches, where they tell whole spans and nobody wants slots.
  const bool in_stretches =
      pending.load.form == LoadForm::kRuns && target.slots == nullptr &&
      pending.load.pages_per_span == names_->root(pending.load.root).layout->span_plan.pages.size();
  write(pending.load, target, [&](auto&& write_span) {
    for (; step != path.end(); ++step) {
      const auto [block, span] = *step;
      // Pinned also where it is missing: once a tier has brought it, it stays until it is
      // delivered.
      pins.add(span);
      const Node& node = tree.node(span);
      if (node.is_quarantined()) [[unlikely]] {
        pending.load.is_damaged = true;
      } else if (node.is_in_ram()) {
        write_span(span, first + block);
        if (in_stretches) step.skip(pin_adjacent(*target.runs, span, block, pins));
      } else {
        pending.missing.push_back(span);
      }
    }
  });
  pending.next = step.span();
  pending.blocks_left = first;
}

NodeId LoadWriter::write_path(const Load& load, NodeId last, const BlockSpan& blocks,
                              const LoadTarget& target) const {
  const Path path(store_->tree(), last, blocks.count);
  auto step = path.begin();
  write(load, target, [&](auto&& write_span) {
    for (; step != path.end(); ++step) {
      const auto [block, span] = *step;
      write_span(span, blocks.first + block);
    }
  });
  return step.span();
}

void LoadWriter::write_checkpoint(const Load& load, size_t index, const LoadTarget& target) const {
  const ObjectPages pages = checkpoint_pages(load);
  if (target.slots != nullptr) target.slots->resize(index + pages.count());
  if (load.form == LoadForm::kPages) {
    PageWriter(*store_, pages, target.out, target.slots).write(load.checkpoint, index, true);
    return;
  }
  // Runs are written backwards, so the last page comes first.
  std::array<RunWriter::Page, kMaxPagesPerObject> listed;
  uint32_t count = 0;
  pages.for_each(load.checkpoint,
                 [&](uint32_t which, GroupIndex group, SlotId slot, const PageEntry& page) {
                   if (target.slots != nullptr) (*target.slots)[index + which] = slot;
                   listed[count++] = {group, slot, page.generation(), which};
                 });
  while (count > 0) {
    target.runs->add_checkpoint(listed[--count], store_->pool(), as_runs(target.out));
  }
}

Errc LoadWriter::finish(const Load& load, uint32_t blocks, bool with_checkpoint,
                        const LoadTarget& target, model::LoadResult& result) const {
  const size_t span_pages = size_t{blocks} * load.pages_per_span;
  result = {};
  result.block_count = blocks;
  if (load.form == LoadForm::kRuns) target.runs->finish(as_runs(target.out));
  if (with_checkpoint) {
    result.checkpoint_count = count_checkpoint_pages(load);
    write_checkpoint(load, span_pages, target);
  }
  result.descriptor_count = static_cast<uint32_t>(span_pages + result.checkpoint_count);
  if (load.form == LoadForm::kPages) return Errc::kOk;
  if (target.runs->overflowed()) {
    result = {};
    return Errc::kResourceExhausted;
  }
  result.run_count = target.runs->count();
  result.first_run = target.runs->first_run();
  return Errc::kOk;
}

}  // namespace quire::cache
