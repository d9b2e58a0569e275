#include "tiering/disk/codec_chooser.h"

#include <algorithm>
#include <array>

namespace quire::tiering {

using cache::KnownLayout;
using model::ElementFormat;
using model::PagePlan;

namespace {

constexpr uint32_t kSteps = 16;
constexpr uint32_t kObjectsToForget = 256;  // without a misfit, before a step is taken back
constexpr double kMargin = 1.02;            // objects differ

uint8_t bytes_of(ElementFormat format) {
  switch (format) {
    case ElementFormat::kBf16:
    case ElementFormat::kFp16:
      return 2;
    case ElementFormat::kFp32:
      return 4;
    default:
      return 1;
  }
}

}  // namespace

std::vector<CodecSampler>& CodecChooser::samplers(const KnownLayout& layout) {
  std::vector<CodecSampler>& groups = samplers_[&layout];
  if (groups.empty()) {
    groups.assign(layout.layout.groups.size(), CodecSampler(options_.sampler));
  }
  return groups;
}

uint64_t CodecChooser::expected_bytes(const KnownLayout& layout, const PagePlan& plan) {
  const std::vector<CodecSampler>& groups = samplers(layout);
  uint64_t bytes = 0;
  for (const model::PlannedPage& page : plan.pages) {
    const CodecSampler& sampler = groups[page.group];
    const double ratio = sampler.worthwhile() ? std::min(1.0, sampler.ratio() * kMargin) : 1.0;
    bytes += whole_blocks(static_cast<uint64_t>(static_cast<double>(page.bytes) * ratio));
  }
  return bytes;
}

// A size once chosen stays while it is at most a step too large: each size has regions of its own.
uint64_t CodecChooser::slot_size(const KnownLayout& layout, const PagePlan& plan) {
  const uint64_t plain = slot_bytes(plan);
  if (!options_.enabled) return plain;
  const uint64_t step = whole_blocks((plain + kSteps - 1) / kSteps);
  Slot& slot = slots_[&plan];
  const auto wanted =
      static_cast<uint32_t>((expected_bytes(layout, plan) + step - 1) / step) + slot.extra;
  if (wanted > slot.steps || wanted + 1 < slot.steps) slot.steps = wanted;
  return std::min(plain, slot.steps * step);
}

uint8_t CodecChooser::element_bytes(const KnownLayout& layout, model::GroupIndex group) {
  if (!samplers(layout)[group].worthwhile()) return 0;
  return bytes_of(layout.layout.groups[group].element_format);
}

std::optional<CodecChooser::Trial> CodecChooser::next_trial(const KnownLayout& layout,
                                                            const PagePlan& plan) {
  if (!options_.enabled) return std::nullopt;
  forget_misfits(slots_[&plan], 1);
  std::optional<Trial> trial;
  std::vector<CodecSampler>& groups = samplers(layout);
  for (uint32_t p = 0; p < plan.pages.size(); ++p) {
    const model::PlannedPage& page = plan.pages[p];
    // A block or less cannot take fewer.
    if (page.bytes <= kSsdBlockBytes || trial || !groups[page.group].should_try()) continue;
    const ElementFormat format = layout.layout.groups[page.group].element_format;
    trial = Trial{.page = p, .sample = {.element_bytes = bytes_of(format), .turn = turn_++}};
  }
  return trial;
}

void CodecChooser::observe(const KnownLayout& layout, model::GroupIndex group, uint64_t plain_bytes,
                           uint64_t stored_bytes) {
  samplers(layout)[group].observe(plain_bytes, stored_bytes);
}

void CodecChooser::observe_fit(const PagePlan& plan, uint32_t objects, bool fitted) {
  Slot& slot = slots_[&plan];
  if (fitted) return forget_misfits(slot, objects);
  slot.extra = std::min(slot.extra + 1, kSteps);
  slot.since_misfit = 0;
}

void CodecChooser::forget_misfits(Slot& slot, uint32_t objects) {
  slot.since_misfit += objects;
  if (slot.extra == 0 || slot.since_misfit < kObjectsToForget) return;
  --slot.extra;
  slot.since_misfit = 0;
}

void CodecChooser::forget(const cache::KnownLayout& layout) {
  samplers_.erase(&layout);
  slots_.erase(&layout.span_plan);
  slots_.erase(&layout.checkpoint_plan);
  slots_.erase(&layout.checkpoint_tail_plan);
}

template <typename Visit>
void CodecChooser::for_each_tried(Visit&& visit) const {
  for (const auto& [layout, groups] : samplers_) {
    for (size_t g = 0; g < groups.size(); ++g) {
      if (groups[g].observed() > 0) visit(layout->layout, layout->layout.groups[g], groups[g]);
    }
  }
}

std::vector<CodecGroupStatus> CodecChooser::status() const {
  std::vector<CodecGroupStatus> status;
  for_each_tried(
      [&](const model::Layout& layout, const model::Group& group, const CodecSampler& sampler) {
        status.push_back({.layout = layout.name,
                          .group = group.name,
                          .ratio = sampler.ratio(),
                          .worthwhile = sampler.worthwhile()});
      });
  return status;
}

void CodecChooser::describe(model::MetricSink& sink) const {
  size_t total = 0;
  for_each_tried([&](const auto&, const auto&, const auto&) { ++total; });
  sink.gauge("groups_total", total, "Groups whose pages were tried");
  const auto list = sink.list({.key = "groups", .prefix = "group"});
  size_t rows = 0;
  for_each_tried(
      [&](const model::Layout& layout, const model::Group& group, const CodecSampler& sampler) {
        if (++rows > model::kMaxMetricRows) return;
        const std::array<model::MetricLabel, 2> labels{
            {{.name = "layout", .text = layout.name}, {.name = "group", .text = group.name}}};
        const auto row = sink.row(labels);
        sink.ratio("ratio", sampler.ratio(), "Stored by plain bytes, of what was tried");
        sink.flag("pays", sampler.worthwhile(), "Pages of the group are stored encoded");
      });
}

}  // namespace quire::tiering
