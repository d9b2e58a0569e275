// Which groups of a layout are stored encoded, and how large the slots of encoded objects are.
//
// A sampler a group says whether encoding pays (CodecSampler). The slot of an object is expected
// before it is encoded, from the ratios of its groups, in sixteenths of its plain size, so that a
// region's slots are of one size; an object that does not fit is written plain, and objects of its
// kind get a sixteenth more for a while. Threads: core only. Bound: groups of known layouts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache/tree/layout_table.h"
#include "model/metrics.h"
#include "tiering/disk/stored_pages.h"
#include "tiering/io/byte_plane_codec.h"

namespace quire::tiering {

struct CodecOptions {
  bool enabled = true;
  CodecSamplerOptions sampler{.sample_every = 128};
};

struct CodecGroupStatus {
  std::string layout;
  std::string group;
  double ratio = 1;  // stored / plain, of what was tried
  bool worthwhile = false;
};

class CodecChooser {
 public:
  explicit CodecChooser(const CodecOptions& options) : options_(options) {}

  // Of the slot for an object of this plan: slot_bytes(plan) when it is to be stored as it is.
  uint64_t slot_size(const cache::KnownLayout& layout, const model::PagePlan& plan);
  // For StoredPage::element_bytes of a page in a smaller slot; 0: this page as it is.
  uint8_t element_bytes(const cache::KnownLayout& layout, model::GroupIndex group);

  // An object of the plan is stored as it is: the page that the codec should be tried on to learn
  // what it would make of it, if any.
  struct Trial {
    uint32_t page = 0;  // in the plan
    PageSample sample;
  };
  std::optional<Trial> next_trial(const cache::KnownLayout& layout, const model::PagePlan& plan);

  // What became of a page; stored_bytes 0: it did not get smaller.
  void observe(const cache::KnownLayout& layout, model::GroupIndex group, uint64_t plain_bytes,
               uint64_t stored_bytes);
  // What became of objects of one plan that were encoded together: whether all fitted.
  void observe_fit(const model::PagePlan& plan, uint32_t objects, bool fitted);

  // The layout is about to go.
  void forget(const cache::KnownLayout& layout);
  // Of groups that were tried; describe() tells of the first kMaxMetricRows.
  std::vector<CodecGroupStatus> status() const;
  void describe(model::MetricSink& sink) const;

 private:
  struct Slot {
    uint32_t steps = 0;         // sixteenths of the plain size; 0: not chosen yet
    uint32_t extra = 0;         // of them, for objects that compress less than the average
    uint32_t since_misfit = 0;  // objects
  };
  std::vector<CodecSampler>& samplers(const cache::KnownLayout& layout);
  static void forget_misfits(Slot& slot, uint32_t objects);
  uint64_t expected_bytes(const cache::KnownLayout& layout, const model::PagePlan& plan);
  // Calls visit(layout, group, sampler) for each group that was tried.
  template <typename Visit>
  void for_each_tried(Visit&& visit) const;

  CodecOptions options_;
  std::map<const cache::KnownLayout*, std::vector<CodecSampler>> samplers_;  // by group
  std::map<const model::PagePlan*, Slot> slots_;  // plans of those layouts
  uint64_t turn_ = 0;
};

}  // namespace quire::tiering
