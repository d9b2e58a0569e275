#include "tiering/ssd/write_codec.h"

#include <algorithm>

namespace quire::tiering {

using model::NodeId;

namespace {

constexpr uint64_t kMaxEncodedBytes = 16 << 20;  // of an object: what is larger is stored as it is
constexpr size_t kMaxMisfits = 1 << 12;          // remembered: beyond it they are tried encoded

}  // namespace

const cache::KnownLayout& WriteCodec::layout_of(NodeId node) const {
  const cache::Node& link = cache_->store().tree().node(node);
  return *cache_->names().root(link.root()).layout;
}

uint64_t WriteCodec::slot_bytes(NodeId node) {
  const uint64_t plain = forms_->object_bytes(node);
  if (plain > kMaxEncodedBytes || as_it_is(node)) return plain;
  return chooser_.slot_size(layout_of(node), cache_->store().presence().plan_of(node));
}

uint32_t WriteCodec::alike(std::span<const NodeId> nodes) const {
  const bool plain = as_it_is(nodes.front());
  const auto other = std::find_if(nodes.begin(), nodes.end(),
                                  [&](NodeId node) { return as_it_is(node) != plain; });
  return static_cast<uint32_t>(other - nodes.begin());
}

void WriteCodec::choose(Transfer& transfer, uint32_t index) {
  TransferObject& object = transfer.objects[index];
  const cache::KnownLayout& layout = layout_of(object.node);
  if (transfer.stored_form != nullptr) {
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      transfer.headers[index].pages[p].element_bytes = chooser_.element_bytes(layout, page.group);
    }
  } else if (const auto trial =
                 chooser_.next_trial(layout, cache_->store().presence().plan_of(object.node))) {
    object.check.sampled_page = trial->page;
    object.check.sample = trial->sample;
  }
}

void WriteCodec::learn(const Transfer& transfer, uint32_t written) {
  bool fitted = true;
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const TransferObject& object = transfer.objects[i];
    learn_pages(transfer, object);
    if (object.check.good) continue;
    ++counters_.encoded_misfits;
    fitted = false;
  }
  if (transfer.stored_form == nullptr) return;
  const NodeId first = transfer.objects[0].node;
  chooser_.observe_fit(cache_->store().presence().plan_of(first), transfer.object_count, fitted);
  counters_.encoded_objects += written;
  counters_.encoded_plain_bytes += written * forms_->object_bytes(first);
  counters_.encoded_stored_bytes += written * transfer.stored_slot_bytes;
}

// Of a plain object the page that was tried, of one that fitted encoded each page.
void WriteCodec::learn_pages(const Transfer& transfer, const TransferObject& object) {
  const cache::KnownLayout& layout = layout_of(object.node);
  if (const PageSample& sample = object.check.sample; sample.plain_bytes > 0) {
    const TransferPage& page = transfer.pages[object.first_page + object.check.sampled_page];
    chooser_.observe(layout, page.group, sample.plain_bytes, sample.stored_bytes);
  }
  if (transfer.stored_form == nullptr || !object.check.good) return;
  for (uint32_t p = 0; p < object.page_count; ++p) {
    const TransferPage& page = transfer.pages[object.first_page + p];
    const StoredPage& stored = object.check.stored[p];
    // A block or less cannot take fewer, and says nothing of its group.
    if (page.bytes <= kSsdBlockBytes || chooser_.element_bytes(layout, page.group) == 0) continue;
    chooser_.observe(layout, page.group, page.bytes,
                     stored.element_bytes != 0 ? stored.stored_bytes : 0);
  }
}

// All of them go at once where they are too many: one that is tried in vain is remembered again.
void WriteCodec::note_misfit(NodeId node) {
  if (misfits_.size() >= kMaxMisfits) misfits_.clear();
  misfits_.insert(node.value);
}

}  // namespace quire::tiering
