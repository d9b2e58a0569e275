#include "client/engines/reference/reference_engine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace quire::client {

using model::Errc;
using model::make_error;

ReferenceRun::ReferenceRun(reference::Decoder& decoder, Session& session, RunOptions options)
    : options_(std::move(options)),
      groups_(options_.shard),
      session_(session),
      sequence_(decoder, *this) {}

ReferenceRun::~ReferenceRun() {
  for (const uint64_t lease : leases_) (void)session_.release(lease).ok();
}

void ReferenceRun::note(model::Result<void> result) {
  if (!result.ok() && !failure_) failure_ = std::move(result).error();
}

model::Result<void> ReferenceRun::read_pages(const LoadedPages& loaded,
                                             reference::ResumePoint& point) {
  for (const PageView& page : loaded.pages) {
    if (options_.verify_pages && !verify_page(page)) {
      return make_error(Errc::kCorrupt, "a page differs from its checksum");
    }
    if (!page.of_checkpoint) {
      sealed_.push_back(page.data);
    } else if (page.group == groups_.window) {
      point.window_page = page.data;
    } else if (page.group == groups_.state) {
      point.state_page = page.data;
    } else if (page.group == groups_.global) {
      point.tail_page = page.data;
    }
  }
  return {};
}

// Loads what is not held yet, together with the checkpoint, and puts the sequence there.
model::Result<void> ReferenceRun::resume() {
  const LoadOptions load{.groups = groups_.mask(),
                         .first_block = static_cast<uint32_t>(sealed_.size())};
  const LoadedPages loaded = QUIRE_TRY(session_.load(outcome_.match.lease, load));
  // A head without the checkpoint behind it is no place to resume.
  if (loaded.limited_by != model::Errc::kOk) {
    return model::make_error(loaded.limited_by, "the load gave only the head of the hit");
  }
  reference::ResumePoint point;
  point.position = outcome_.match.exact_tokens;
  QUIRE_TRY(read_pages(loaded, point));
  point.sealed_pages = std::span(sealed_).first(point.position / session_.layout().block_tokens);
  sequence_.resume(point);
  outcome_.hit_tokens = point.position;
  outcome_.pages_read += static_cast<uint32_t>(loaded.pages.size());
  return {};
}

void ReferenceRun::plan_checkpoints(uint32_t prompt_tokens) {
  wanted_ =
      session_.wanted_checkpoints(outcome_.hit_tokens, prompt_tokens, outcome_.match.branch_tokens);
  const uint32_t shared = model::unit_floor(session_.layout(), options_.shared_tokens);
  if (shared <= outcome_.hit_tokens || shared >= prompt_tokens) return;
  const auto later = std::find_if(wanted_.begin(), wanted_.end(),
                                  [&](const auto& wanted) { return wanted.tokens >= shared; });
  if (later != wanted_.end() && later->tokens == shared) {
    later->reason = model::CheckpointReason::kInterval;
  } else {
    wanted_.insert(later, {shared, model::CheckpointReason::kInterval});
  }
}

model::Result<void> ReferenceRun::compute_rest(std::span<const uint32_t> prompt) {
  plan_checkpoints(static_cast<uint32_t>(prompt.size()));
  std::vector<uint32_t> positions;
  for (const model::WantedCheckpoint& wanted : wanted_) positions.push_back(wanted.tokens);
  reference::PrefillOptions options;
  options.chunk_tokens = options_.chunk_tokens;
  options.checkpoints = positions;
  options.on_chunk = options_.on_chunk;
  reference::PrefillResult computed =
      sequence_.prefill(prompt.subspan(outcome_.hit_tokens), options);
  if (failure_) return *failure_;
  outcome_.logits = std::move(computed.logits);
  return {};
}

model::Result<RunOutcome> ReferenceRun::prefill(std::span<const uint32_t> prompt) {
  QUIRE_TRY(session_.append_tokens(prompt));
  outcome_.match =
      QUIRE_TRY(session_.match(static_cast<uint32_t>(prompt.size()), 0, {}, options_.request_id));
  if (outcome_.match.lease != 0) leases_.push_back(outcome_.match.lease);
  if (outcome_.match.exact_tokens > 0) {
    // What a tier could not deliver is computed, like any other miss.
    const model::Result<void> resumed = resume();
    const bool miss = resumed.code() == model::Errc::kDeadlineExceeded ||
                      resumed.code() == model::Errc::kIoError ||
                      resumed.code() == model::Errc::kCorrupt;
    if (!resumed.ok() && !miss) return resumed.error();
  }
  output_tokens_ = 1;  // the logits are of the first
  QUIRE_TRY(say_resumed());
  QUIRE_TRY(compute_rest(prompt));
  return outcome_;
}

model::Result<void> ReferenceRun::say_resumed() {
  const bool hit = outcome_.hit_tokens > 0;
  QUIRE_TRY(session_.resumed({.how = hit ? model::ResumedHow::kExact : model::ResumedHow::kNothing,
                              .resumed_tokens = outcome_.hit_tokens,
                              .output_tokens = output_tokens_,
                              .request_id = options_.request_id}));
  return {};
}

// Blocks that arrived since the last call, in place.
model::Result<void> ReferenceRun::take_new_blocks() {
  const auto held = static_cast<uint32_t>(sealed_.size());
  const uint32_t present = outcome_.match.span_tokens / session_.layout().block_tokens;
  if (present <= held) return {};
  const LoadOptions load{.groups = groups_.mask(),
                         .first_block = held,
                         .block_count = present - held,
                         .include_checkpoint = false};
  const LoadedPages loaded = QUIRE_TRY(session_.load(outcome_.match.lease, load));
  reference::ResumePoint unused;
  QUIRE_TRY(read_pages(loaded, unused));
  outcome_.pages_read += static_cast<uint32_t>(loaded.pages.size());
  return {};
}

model::Result<RunOutcome> ReferenceRun::follow(
    std::span<const uint32_t> prompt, uint32_t idle_timeout_ms,
    const std::function<void(uint32_t blocks)>& on_pages) {
  const auto prompt_tokens = static_cast<uint32_t>(prompt.size());
  const uint32_t goal = model::last_resume_point(session_.layout(), prompt_tokens);
  QUIRE_TRY(session_.append_tokens(prompt));
  if (options_.follows) QUIRE_TRY(session_.follow(*options_.follows, prompt_tokens));
  while (outcome_.match.exact_tokens < goal) {
    const uint32_t next =
        (static_cast<uint32_t>(sealed_.size()) + 1) * session_.layout().block_tokens;
    QUIRE_TRY(session_.wait_for_tokens(std::min(next, goal), idle_timeout_ms));
    outcome_.match = QUIRE_TRY(session_.match(prompt_tokens, 0, {}, options_.request_id));
    const size_t held = sealed_.size();
    QUIRE_TRY(take_new_blocks());
    if (sealed_.size() > held || outcome_.match.exact_tokens >= goal) {
      leases_.push_back(outcome_.match.lease);
      if (on_pages) on_pages(static_cast<uint32_t>(sealed_.size()));
    } else {
      // Every block is here, the checkpoint is not yet.
      if (outcome_.match.lease != 0) QUIRE_TRY(session_.release(outcome_.match.lease));
      const model::Handover source = session_.progress().handover;
      if (source == model::Handover::kAbandoned) {
        return model::make_error(model::Errc::kUnavailable, "the prefill's host is gone");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  QUIRE_TRY(resume());
  QUIRE_TRY(compute_rest(prompt));
  return outcome_;
}

model::Result<std::vector<float>> ReferenceRun::decode(uint32_t token) {
  QUIRE_TRY(session_.append_tokens(std::span(&token, 1)));
  reference::PrefillResult computed = sequence_.prefill(std::span(&token, 1), {});
  if (failure_) return *failure_;
  if (output_tokens_ > 0) {
    ++output_tokens_;
    QUIRE_TRY(say_resumed());
  }
  return std::move(computed.logits);
}

const std::byte* ReferenceRun::block_complete(uint32_t block, std::span<const std::byte> page) {
  note(write_span(block, page));
  own_blocks_.emplace_back(page.begin(), page.end());
  return own_blocks_.back().data();
}

void ReferenceRun::checkpoint(const reference::Checkpoint& checkpoint) {
  note(write_checkpoint(checkpoint));
}

model::Result<void> ReferenceRun::write_span(uint32_t block, std::span<const std::byte> page) {
  const uint32_t end_tokens = (block + 1) * session_.layout().block_tokens;
  const Fill fill = QUIRE_TRY(
      session_.begin_fill(model::FillKind::kSpan, end_tokens, {.groups = groups_.mask()}));
  if (fill.duplicate) {
    ++outcome_.spans_duplicate;
    return {};
  }
  std::memcpy(fill.staging + fill.plan.pages[0].staging_offset, page.data(), page.size());
  QUIRE_TRY(session_.commit(fill));
  ++outcome_.spans_committed;
  return {};
}

model::Result<void> ReferenceRun::write_checkpoint(const reference::Checkpoint& checkpoint) {
  const auto wanted = std::find_if(
      wanted_.begin(), wanted_.end(),
      [&](const model::WantedCheckpoint& w) { return w.tokens == checkpoint.position; });
  const FillOptions options{
      .groups = groups_.mask(),
      .reason = wanted == wanted_.end() ? model::CheckpointReason::kTurnEnd : wanted->reason};
  const Fill fill =
      QUIRE_TRY(session_.begin_fill(model::FillKind::kCheckpoint, checkpoint.position, options));
  if (fill.duplicate) return {};
  for (const model::PlannedPage& page : fill.plan.pages) {
    const std::span<const std::byte> bytes = page.group == groups_.window  ? checkpoint.window_page
                                             : page.group == groups_.state ? checkpoint.state_page
                                                                           : checkpoint.tail_page;
    std::memcpy(fill.staging + page.staging_offset, bytes.data(), bytes.size());
  }
  QUIRE_TRY(session_.commit(fill));
  ++outcome_.checkpoints_committed;
  return {};
}

}  // namespace quire::client
