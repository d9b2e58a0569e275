// C ABI: what a session does.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "client/c_support.h"
#include "client/quire_c.h"

namespace {

using quire::client::call;
using quire::client::check_result;
using quire::client::Fill;
using quire::client::FillOptions;
using quire::client::from_c;
using quire::client::LoadedPages;
using quire::client::LoadOptions;
using quire::client::null_argument;
using quire::client::PageView;
using quire::client::read_options;
using quire::client::Session;
using quire::client::submit;
using quire::client::take;
using quire::client::to_load_options;
using quire::client::write_result;
using quire::client::write_wanted;
using quire::model::Completion;
using quire::model::FillKind;
using quire::model::Hash256;
using quire::model::Result;

// Views go to C as they are; results are copied field by field.
static_assert(sizeof(quire_page_view) == sizeof(PageView));
static_assert(offsetof(quire_page_view, bytes) == offsetof(PageView, bytes));
static_assert(offsetof(quire_page_view, crc32c) == offsetof(PageView, crc32c));
static_assert(offsetof(quire_page_view, generation) == offsetof(PageView, generation));
static_assert(offsetof(quire_page_view, segment) == offsetof(PageView, segment));
static_assert(offsetof(quire_page_view, group) == offsetof(PageView, group));
static_assert(offsetof(quire_page_view, of_checkpoint) == offsetof(PageView, of_checkpoint));
static_assert(offsetof(quire_page_view, offset) == offsetof(PageView, offset));
static_assert(sizeof(quire_completion::words) == sizeof(Completion::result));
static_assert(QUIRE_TIER_PLACES == quire::model::kTierPlaces);
static_assert(QUIRE_TIER_CLUSTER == static_cast<int>(quire::model::TierId::kCluster));
static_assert(QUIRE_MAX_OBJECT_PAGES == quire::model::kMaxGroups);
static_assert(QUIRE_HASH_BYTES == sizeof(Hash256));
static_assert(QUIRE_FILL_CHECKPOINT == static_cast<int>(FillKind::kCheckpoint));
static_assert(QUIRE_ROLE_DECODE == static_cast<int>(quire::model::SessionRole::kDecode));
static_assert(QUIRE_HANDOVER_ABANDONED == static_cast<int>(quire::model::Handover::kAbandoned));
static_assert(QUIRE_BATCH == static_cast<int>(quire::model::LoadClass::kBatch));
static_assert(QUIRE_DONE_WITH == static_cast<int>(quire::model::Advice::kDoneWith));
static_assert(QUIRE_BRANCH == static_cast<int>(quire::model::CheckpointReason::kBranch));
static_assert(QUIRE_MAX_POSITIONS == quire::model::kMaxPositions);
static_assert(QUIRE_RESUMED_NOTHING == static_cast<int>(quire::model::ResumedHow::kNothing));
static_assert(QUIRE_LIMIT_DEADLINE == static_cast<int>(quire::model::MatchLimit::kDeadline));

quire::client::PrefillCost prefill_cost(const quire_match_options& given) {
  return {given.prefill_us_per_ktoken, given.prefill_us_per_ktoken_per_mtoken};
}

Result<FillOptions> to_fill_options(const quire_fill_options* pointer) {
  const quire_fill_options given = QUIRE_TRY(read_options(pointer));
  if (given.reason > QUIRE_OFFERED) {
    return quire::model::make_error(quire::model::Errc::kInvalidArgument, "fill: unknown reason");
  }
  FillOptions options;
  options.groups = given.groups;
  options.reason = static_cast<quire::model::CheckpointReason>(given.reason);
  options.unless_begun = given.unless_begun != 0;
  return options;
}

quire_match_result to_c(const quire::model::MatchResult& match) {
  quire_match_result out{};
  out.lease = match.lease;
  out.exact_tokens = match.exact_tokens;
  out.span_tokens = match.span_tokens;
  out.replay_tokens = match.replay_tokens;
  out.branch_tokens = match.branch_tokens;
  out.limit_tokens = match.limit_tokens;
  out.cut_tokens = match.cut_tokens;
  out.load_estimate_us = match.load_estimate_us;
  std::copy(match.tokens.of.begin(), match.tokens.of.end(), out.tier_tokens);
  out.limit = match.limit;
  out.limit_group = match.limit_group;
  out.replay_exact = match.replay_exact;
  return out;
}

quire_commit_result to_c(const quire::model::CommitResult& commit) {
  quire_commit_result out{};
  out.visible = commit.visible;
  out.duplicate = commit.duplicate;
  out.superseded = commit.superseded;
  return out;
}

quire_pages to_c(const LoadedPages& loaded) {
  quire_pages out{};
  out.pages = reinterpret_cast<const quire_page_view*>(loaded.pages.data());
  out.page_count = loaded.pages.size();
  out.block_count = loaded.block_count;
  out.checkpoint_count = loaded.checkpoint_count;
  out.limited_by = static_cast<quire_status>(loaded.limited_by);
  return out;
}

quire_fill to_c(const Fill& fill) {
  quire_fill out{};
  out.id = fill.id;
  out.staging_offset = fill.staging_offset;
  out.duplicate = fill.duplicate;
  out.incomplete = fill.incomplete;
  out.unwanted = fill.unwanted;
  for (const quire::model::PlannedPage& page : fill.plan.pages) {
    // An object has at most a page a group: tails are pages of append groups, which a checkpoint
    // has no others of.
    out.pages[out.page_count++] = {fill.staging + page.staging_offset, page.bytes, page.group,
                                   page.tail};
  }
  return out;
}

quire_completion to_c(const Completion& completion) {
  quire_completion out{};
  out.request = completion.user_data;
  out.status = completion.code;
  out.verb = completion.verb;
  out.flags = completion.flags;
  std::memcpy(out.words, &completion.result, sizeof out.words);
  return out;
}

// The next one of a caller's array, whose entries are as large as its first one says.
quire_completion* entry_of(quire_completion* completions, size_t size, size_t index) {
  // The caller's struct may be larger or smaller than ours: the step is the caller's.
  auto* entry =
      reinterpret_cast<quire_completion*>(reinterpret_cast<char*>(completions) + index * size);
  entry->size = size;
  return entry;
}

// A commit or abort needs no more than this.
Fill from_c(const quire_fill& given) {
  Fill fill;
  fill.id = given.id;
  fill.staging_offset = given.staging_offset;
  fill.duplicate = given.duplicate != 0;
  fill.incomplete = given.incomplete != 0;
  return fill;
}

}  // namespace

const char* quire_session_error(const quire_session* session) { return session->error.text.data(); }
uint64_t quire_session_id(const quire_session* session) { return session->session->id(); }
void quire_session_token(const quire_session* session, uint8_t token[QUIRE_TOKEN_BYTES]) {
  const quire::client::SessionToken bytes = session->session->token();
  std::memcpy(token, bytes.data(), bytes.size());
}

quire_status quire_append_tokens(quire_session* session, const uint32_t* tokens, size_t count) {
  return call(session, [&](Session& s) { return s.append_tokens(std::span(tokens, count)); });
}

quire_status quire_append_unit_hashes(quire_session* session, const uint8_t* hashes, size_t count) {
  return call(session, [&](Session& s) -> Result<void> {
    // Copied: the caller's bytes lie wherever he keeps them.
    std::vector<Hash256> leaves(count);
    if (count > 0) std::memcpy(leaves.data(), hashes, count * sizeof(Hash256));
    return s.append_unit_hashes(leaves);
  });
}

uint32_t quire_token_count(const quire_session* session) { return session->session->token_count(); }

quire_status quire_match(quire_session* session, uint32_t prompt_tokens, uint32_t have_tokens,
                         quire_match_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    // Before the match, whose lease would be lost where its id cannot be written.
    QUIRE_TRY(check_result(result));
    write_result(to_c(QUIRE_TRY(s.match(prompt_tokens, have_tokens))), result);
    return {};
  });
}

quire_status quire_match_with(quire_session* session, uint32_t prompt_tokens,
                              const quire_match_options* options, quire_match_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(result));
    const quire_match_options given = QUIRE_TRY(read_options(options));
    const auto match =
        QUIRE_TRY(s.match(prompt_tokens, given.have_tokens, prefill_cost(given), given.request_id));
    write_result(to_c(match), result);
    return {};
  });
}

quire_status quire_load(quire_session* session, uint64_t lease, const quire_load_options* options,
                        quire_pages* pages) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(pages));
    const LoadOptions given = QUIRE_TRY(to_load_options(options));
    write_result(to_c(QUIRE_TRY(s.load(lease, given))), pages);
    return {};
  });
}

int quire_verify_page(const quire_page_view* page) {
  PageView view;
  // The structs agree byte for byte (checked above).
  std::memcpy(static_cast<void*>(&view), page, sizeof view);
  return quire::client::verify_page(view) ? 1 : 0;
}

quire_status quire_reset_session(quire_session* session, uint64_t conversation) {
  return call(session, [&](Session& s) { return s.reset(conversation); });
}

quire_status quire_release(quire_session* session, uint64_t lease) {
  return call(session, [&](Session& s) { return s.release(lease); });
}

quire_status quire_begin_fill(quire_session* session, quire_fill_kind kind, uint32_t end_tokens,
                              const quire_fill_options* options, quire_fill* fill) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(fill));
    const FillOptions given = QUIRE_TRY(to_fill_options(options));
    const Fill begun = QUIRE_TRY(s.begin_fill(static_cast<FillKind>(kind), end_tokens, given));
    write_result(to_c(begun), fill);
    return {};
  });
}

quire_status quire_commit(quire_session* session, const quire_fill* fill,
                          quire_commit_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    if (result != nullptr) QUIRE_TRY(check_result(result));
    const quire::model::CommitResult committed = QUIRE_TRY(s.commit(from_c(*fill)));
    if (result != nullptr) write_result(to_c(committed), result);
    return {};
  });
}

quire_status quire_abort(quire_session* session, const quire_fill* fill) {
  return call(session, [&](Session& s) { return s.abort(from_c(*fill)); });
}

quire_status quire_supersede(quire_session* session, uint32_t end_tokens, int* dropped) {
  return call(session, [&](Session& s) -> Result<void> {
    const bool gone = QUIRE_TRY(s.supersede(end_tokens));
    if (dropped != nullptr) *dropped = gone ? 1 : 0;
    return {};
  });
}

quire_status quire_advise(quire_session* session, quire_advice advice, uint32_t end_tokens,
                          uint32_t pause_ms) {
  return call(session, [&](Session& s) {
    return s.advise(static_cast<quire::model::Advice>(advice), end_tokens, pause_ms);
  });
}

quire_status quire_noop(quire_session* session) {
  return call(session, [](Session& s) { return s.noop(); });
}

quire_status quire_submit_match(quire_session* session, uint32_t prompt_tokens,
                                uint32_t have_tokens, uint64_t* request) {
  return submit(session, request,
                [&](Session& s) { return s.submit_match(prompt_tokens, have_tokens); });
}

quire_status quire_submit_match_with(quire_session* session, uint32_t prompt_tokens,
                                     const quire_match_options* options, uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const quire_match_options given = QUIRE_TRY(read_options(options));
    return s.submit_match(prompt_tokens, given.have_tokens, prefill_cost(given), given.request_id);
  });
}

quire_status quire_submit_load(quire_session* session, uint64_t lease,
                               const quire_load_options* options, uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const LoadOptions given = QUIRE_TRY(to_load_options(options));
    return s.submit_load(lease, given);
  });
}

quire_status quire_submit_reset(quire_session* session, uint64_t conversation, uint64_t* request) {
  return submit(session, request, [&](Session& s) { return s.submit_reset(conversation); });
}

quire_status quire_submit_release(quire_session* session, uint64_t lease, uint64_t* request) {
  return submit(session, request, [&](Session& s) { return s.submit_release(lease); });
}

quire_status quire_submit_begin_fill(quire_session* session, quire_fill_kind kind,
                                     uint32_t end_tokens, const quire_fill_options* options,
                                     uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const FillOptions given = QUIRE_TRY(to_fill_options(options));
    return s.submit_begin_fill(static_cast<FillKind>(kind), end_tokens, given);
  });
}

quire_status quire_submit_commit(quire_session* session, const quire_fill* fill,
                                 uint64_t* request) {
  return submit(session, request, [&](Session& s) { return s.submit_commit(from_c(*fill)); });
}

quire_status quire_submit_noop(quire_session* session, uint64_t* request) {
  return submit(session, request, [](Session& s) { return s.submit_noop(); });
}

void quire_flush(quire_session* session) { session->session->flush(); }

quire_status quire_poll(quire_session* session, quire_completion* completions, size_t capacity,
                        size_t* count) {
  return call(session, [&](Session& s) -> Result<void> {
    if (count == nullptr) return null_argument();
    *count = 0;
    // There may be no first entry that says how large they are.
    if (capacity == 0) return {};
    QUIRE_TRY(check_result(completions));
    const size_t entry_bytes = completions->size;
    // In pieces on the stack: polling allocates nothing, however large the caller's array is.
    Completion piece[16];
    while (*count < capacity) {
      const size_t wanted = std::min(capacity - *count, std::size(piece));
      Result<size_t> got = s.poll_completions(std::span(piece, wanted));
      if (!got.ok() && *count > 0) break;  // told again by the next call
      const size_t taken = QUIRE_TRY(std::move(got));
      for (size_t i = 0; i < taken; ++i) {
        write_result(to_c(piece[i]), entry_of(completions, entry_bytes, (*count)++));
      }
      if (taken < wanted) break;
    }
    return {};
  });
}

quire_status quire_wait(quire_session* session, uint32_t timeout_ms) {
  return call(session, [&](Session& s) { return s.wait(timeout_ms); });
}

quire_status quire_completion_match(const quire_completion* completion,
                                    quire_match_result* result) {
  // Without a handle there is no place for a text.
  if (completion == nullptr || !check_result(result).ok()) return QUIRE_INVALID_ARGUMENT;
  write_result(to_c(from_c(*completion).result.match), result);
  return QUIRE_OK;
}

quire_status quire_completion_commit(const quire_completion* completion,
                                     quire_commit_result* result) {
  if (completion == nullptr || !check_result(result).ok()) return QUIRE_INVALID_ARGUMENT;
  write_result(to_c(from_c(*completion).result.commit), result);
  return QUIRE_OK;
}

quire_status quire_take_fill(quire_session* session, const quire_completion* completion,
                             quire_fill* fill) {
  return take(session, completion, fill,
              [&](Session& s, uint64_t request, const Completion& done) -> Result<void> {
                write_result(to_c(QUIRE_TRY(s.take_fill(request, done))), fill);
                return {};
              });
}

quire_status quire_take_pages(quire_session* session, const quire_completion* completion,
                              quire_pages* pages) {
  return take(session, completion, pages,
              [&](Session& s, uint64_t request, const Completion& done) -> Result<void> {
                write_result(to_c(QUIRE_TRY(s.take_pages(request, done))), pages);
                return {};
              });
}

quire_status quire_pages_so_far(quire_session* session, uint64_t request, quire_pages* pages) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(pages));
    write_result(to_c(LoadedPages{QUIRE_TRY(s.pages_so_far(request))}), pages);
    return {};
  });
}

int quire_session_fd(quire_session* session) { return session->session->fd(); }

quire_status quire_session_checkpoint_policy(const quire_session* session,
                                             quire_checkpoint_policy* policy) {
  if (!check_result(policy).ok()) return QUIRE_INVALID_ARGUMENT;
  const quire::model::CheckpointPolicy now = session->session->checkpoint_policy();
  quire_checkpoint_policy out{};
  out.word = static_cast<uint32_t>(now.word) + 1;
  out.every_tokens = now.every_tokens;
  write_result(out, policy);
  return QUIRE_OK;
}

quire_status quire_session_wanted_checkpoints(quire_session* session,
                                              const quire_wanted_options* options,
                                              quire_wanted_checkpoint* wanted, size_t capacity,
                                              size_t* count) {
  return call(session, [&](Session& one) -> Result<void> {
    if (count == nullptr) return null_argument();
    const quire_wanted_options given = QUIRE_TRY(read_options(options));
    const auto all =
        one.wanted_checkpoints(given.from_tokens, given.end_tokens, given.branch_tokens);
    write_wanted(all, wanted, capacity, count);
    return {};
  });
}

uint32_t quire_session_tail_tokens(const quire_session* session) {
  return session->session->tail_tokens();
}

uint32_t quire_session_offer_tokens(const quire_session* session) {
  return session->session->offer_tokens();
}

quire_status quire_session_progress(const quire_session* session, quire_progress* progress) {
  if (!check_result(progress).ok()) return QUIRE_INVALID_ARGUMENT;
  const quire::client::Progress now = session->session->progress();
  quire_progress out{};
  out.committed_tokens = now.committed_tokens;
  out.checkpoint_tokens = now.checkpoint_tokens;
  out.members = now.members;
  out.handover = static_cast<uint32_t>(now.handover);
  out.taken_tokens = now.taken_tokens;
  out.ahead_tokens = now.ahead_tokens;
  write_result(out, progress);
  return QUIRE_OK;
}

quire_status quire_hand_over(quire_session* session, uint8_t address[QUIRE_HAND_OVER_BYTES]) {
  return call(session, [&](Session& s) -> Result<void> {
    if (address == nullptr) return quire::client::null_argument();
    const auto given = QUIRE_TRY(s.hand_over());
    static_assert(sizeof(given) == QUIRE_HAND_OVER_BYTES);
    std::memcpy(address, &given, sizeof(given));
    return {};
  });
}

quire_status quire_follow(quire_session* session, const uint8_t address[QUIRE_HAND_OVER_BYTES],
                          uint32_t prompt_tokens) {
  return call(session, [&](Session& s) -> Result<void> {
    if (address == nullptr) return quire::client::null_argument();
    quire::model::HandOverAddress given;
    std::memcpy(&given, address, sizeof(given));
    return s.follow(given, prompt_tokens);
  });
}

uint32_t quire_layer_ready_tokens(const quire_session* session, uint32_t layer) {
  return session->session->layer_ready_tokens(layer);
}

quire_status quire_wait_for_tokens(quire_session* session, uint32_t tokens, uint32_t timeout_ms) {
  return call(session, [&](Session& s) { return s.wait_for_tokens(tokens, timeout_ms); });
}

quire_status quire_wait_for_room(quire_session* session, uint32_t end_tokens, uint32_t timeout_ms) {
  return call(session, [&](Session& s) { return s.wait_for_room(end_tokens, timeout_ms); });
}
