// C ABI: what follows from a layout alone. Groups and layers, boundaries, page plans, chain hashes.
#include <cstring>
#include <vector>

#include "client/c_support.h"
#include "client/quire_c.h"
#include "model/boundary.h"
#include "model/chain_hash.h"
#include "model/page_plan.h"

namespace {

using quire::client::check_result;
using quire::client::ErrorSink;
using quire::client::guarded_call;
using quire::client::null_argument;
using quire::client::read_keys;
using quire::client::read_options;
using quire::client::value_or;
using quire::client::write_list;
using quire::client::write_result;
using quire::client::write_wanted;
using quire::model::CheckpointPolicy;
using quire::model::CheckpointWord;
using quire::model::Errc;
using quire::model::FillKind;
using quire::model::Hash256;
using quire::model::Layout;
using quire::model::make_error;
using quire::model::Result;

static_assert(QUIRE_GROUP_STATE == static_cast<int>(quire::model::GroupKind::kState));
static_assert(QUIRE_RULE_NONE == static_cast<int>(quire::model::CheckpointRule::kNone));
static_assert(QUIRE_BEFORE_TAIL == static_cast<int>(quire::model::CheckpointReason::kBeforeTail));
static_assert(QUIRE_OFFERED == static_cast<int>(quire::model::CheckpointReason::kOffered));

// Without a handle that would keep a text; the code says enough.
template <typename Body>
quire_status call(Body body) {
  return guarded_call(ErrorSink(quire_text_buffer{nullptr, 0}), body);
}

// kInvalidArgument: no such word, or a number that does not go with it.
Result<CheckpointPolicy> read_policy(uint32_t word, uint32_t every_tokens) {
  if (word == QUIRE_CHECKPOINTS_DEFAULT && every_tokens == 0) return CheckpointPolicy{};
  const bool has_number = every_tokens > 0;
  const bool known = word >= QUIRE_CHECKPOINTS_NONE && word <= QUIRE_CHECKPOINTS_ALL;
  if (!known || has_number != (word == QUIRE_CHECKPOINTS_EVERY) ||
      every_tokens > quire::model::kMaxEveryTokens) {
    return make_error(Errc::kInvalidArgument, "no such checkpoint policy");
  }
  return CheckpointPolicy{.word = static_cast<CheckpointWord>(word - 1),
                          .every_tokens = every_tokens};
}

Result<const quire::model::Group*> group_of(const quire_layout* layout, uint32_t group) {
  if (layout == nullptr) return null_argument();
  if (group >= layout->layout.groups.size()) return make_error(Errc::kNotFound, "no such group");
  return &layout->layout.groups[group];
}

}  // namespace

uint64_t quire_layout_append_groups(const quire_layout* layout) {
  return quire::model::append_groups(layout->layout);
}
uint64_t quire_layout_checkpoint_groups(const quire_layout* layout) {
  return quire::model::checkpoint_groups(layout->layout);
}

quire_status quire_layout_group(const quire_layout* layout, uint32_t group,
                                quire_group_info* info) {
  return call([&]() -> Result<void> {
    QUIRE_TRY(check_result(info));
    const quire::model::Group& found = *QUIRE_TRY(group_of(layout, group));
    quire_group_info out{};
    out.name = found.name.c_str();
    out.page_bytes = found.page_bytes;
    out.kind = static_cast<uint32_t>(found.kind);
    out.window_tokens = found.window_tokens;
    out.shard = found.shard;
    out.shard_count = found.shard_count;
    out.checkpoint_rule = static_cast<uint32_t>(found.checkpoints);
    out.checkpoint_every_tokens = found.checkpoint_every_tokens;
    out.replay_tokens = found.replay.tokens;
    out.replay_exact = found.replay.exact ? 1 : 0;
    out.layer_count = static_cast<uint32_t>(found.layers.size());
    write_result(out, info);
    return {};
  });
}

quire_status quire_layout_layers(const quire_layout* layout, uint32_t group,
                                 quire_layer_range* layers, size_t capacity, size_t* count) {
  return call([&]() -> Result<void> {
    if (count == nullptr) return null_argument();
    const quire::model::Group& found = *QUIRE_TRY(group_of(layout, group));
    *count = found.layers.size();
    write_list(found.layers, layers, capacity, [](const quire::model::LayerRange& range) {
      return quire_layer_range{range.layer, 0, range.offset, range.bytes};
    });
    return {};
  });
}

uint32_t quire_unit_floor(const quire_layout* layout, uint32_t tokens) {
  return quire::model::unit_floor(layout->layout, tokens);
}
uint32_t quire_block_floor(const quire_layout* layout, uint32_t tokens) {
  return quire::model::block_floor(layout->layout, tokens);
}
uint32_t quire_last_resume_point(const quire_layout* layout, uint32_t prompt_tokens) {
  return quire::model::last_resume_point(layout->layout, prompt_tokens);
}
int quire_has_tail(const quire_layout* layout, uint32_t tokens) {
  return quire::model::has_tail(layout->layout, tokens) ? 1 : 0;
}

quire_status quire_wanted_checkpoints(const quire_layout* layout,
                                      const quire_wanted_options* options,
                                      quire_wanted_checkpoint* wanted, size_t capacity,
                                      size_t* count) {
  return call([&]() -> Result<void> {
    if (layout == nullptr || count == nullptr) return null_argument();
    const quire_wanted_options given = QUIRE_TRY(read_options(options));
    const uint32_t tail = given.tail_tokens == QUIRE_NO_TAIL
                              ? 0
                              : value_or(given.tail_tokens, quire::model::kTailTokens);
    const auto all =
        quire::model::wanted_checkpoints(layout->layout,
                                         {.from_tokens = given.from_tokens,
                                          .end_tokens = given.end_tokens,
                                          .branch_tokens = given.branch_tokens,
                                          .tail_tokens = tail},
                                         QUIRE_TRY(read_policy(given.policy, given.every_tokens)));
    write_wanted(all, wanted, capacity, count);
    return {};
  });
}

quire_status quire_plan_pages(const quire_layout* layout, enum quire_fill_kind kind,
                              uint32_t end_tokens, uint64_t groups, quire_planned_page* pages,
                              size_t capacity, size_t* count, uint64_t* staging_bytes) {
  return call([&]() -> Result<void> {
    if (layout == nullptr || count == nullptr) return null_argument();
    const quire::model::PagePlan plan =
        quire::model::plan_pages(layout->layout, static_cast<FillKind>(kind), end_tokens, groups);
    *count = plan.pages.size();
    if (staging_bytes != nullptr) *staging_bytes = plan.staging_bytes;
    write_list(plan.pages, pages, capacity, [](const quire::model::PlannedPage& page) {
      return quire_planned_page{page.group, page.tail ? 1u : 0u, page.bytes, page.staging_offset};
    });
    return {};
  });
}

quire_status quire_chain_hashes(const uint8_t previous[QUIRE_HASH_BYTES],
                                const quire_keyed_tokens* from, uint8_t* hashes, size_t capacity,
                                size_t* count) {
  return call([&]() -> Result<void> {
    if (previous == nullptr || from == nullptr || count == nullptr) return null_argument();
    const quire_keyed_tokens given = QUIRE_TRY(read_options(from));
    // A chain goes on at unit ends only: in the middle of a unit no hash would ever be matched.
    if (given.unit_tokens == 0 || given.first_token % given.unit_tokens != 0) {
      return make_error(Errc::kInvalidArgument, "chain hashes: tokens[0] begins no unit");
    }
    std::vector<quire::model::UnitKey> keys = read_keys(given.keys, given.key_count);
    // As a session does: the order in which keys are folded is part of the hash.
    quire::model::sort_unit_keys(keys);
    Hash256 before;
    std::memcpy(before.bytes.data(), previous, sizeof before);
    std::vector<Hash256> chain;
    quire::model::extend_chain_with_keys(
        before, {given.first_token, {given.tokens, given.count}, keys}, given.unit_tokens, chain);
    *count = chain.size();
    const size_t written = hashes == nullptr ? 0 : std::min(capacity, chain.size());
    if (written > 0) std::memcpy(hashes, chain.data(), written * sizeof(Hash256));
    return {};
  });
}
