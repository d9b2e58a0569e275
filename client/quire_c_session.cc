// C ABI: what a session does.
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "client/c_support.h"
#include "client/quire_c.h"

namespace {

using quire::client::ErrorSink;
using quire::client::Fill;
using quire::client::FillOptions;
using quire::client::guarded_call;
using quire::client::LoadedPages;
using quire::client::LoadOptions;
using quire::client::null_argument;
using quire::client::PageView;
using quire::client::read_options;
using quire::client::Session;
using quire::model::Completion;
using quire::model::FillKind;
using quire::model::Hash256;
using quire::model::Result;

// Views, results and completions go to C as they are.
static_assert(sizeof(quire_page_view) == sizeof(PageView));
static_assert(offsetof(quire_page_view, bytes) == offsetof(PageView, bytes));
static_assert(offsetof(quire_page_view, crc32c) == offsetof(PageView, crc32c));
static_assert(offsetof(quire_page_view, generation) == offsetof(PageView, generation));
static_assert(offsetof(quire_page_view, group) == offsetof(PageView, group));
static_assert(offsetof(quire_page_view, of_checkpoint) == offsetof(PageView, of_checkpoint));
static_assert(sizeof(quire_match_result) == sizeof(quire::model::MatchResult));
static_assert(offsetof(quire_match_result, tokens_ssd) ==
              offsetof(quire::model::MatchResult, tokens_ssd));
static_assert(offsetof(quire_match_result, limit) == offsetof(quire::model::MatchResult, limit));
static_assert(offsetof(quire_match_result, cut_tokens) ==
              offsetof(quire::model::MatchResult, cut_tokens));
static_assert(sizeof(quire_commit_result) == sizeof(quire::model::CommitResult));
static_assert(sizeof(quire_completion) == sizeof(Completion));
static_assert(offsetof(quire_completion, words) == offsetof(Completion, result));
static_assert(QUIRE_MAX_OBJECT_PAGES == quire::model::kMaxGroups);
static_assert(QUIRE_HASH_BYTES == sizeof(Hash256));
static_assert(QUIRE_FILL_CHECKPOINT == static_cast<int>(FillKind::kCheckpoint));
static_assert(QUIRE_BATCH == static_cast<int>(quire::model::LoadClass::kBatch));
static_assert(QUIRE_DONE_WITH == static_cast<int>(quire::model::Advice::kDoneWith));
static_assert(QUIRE_BRANCH == static_cast<int>(quire::model::CheckpointReason::kBranch));
static_assert(QUIRE_LIMIT_DEADLINE == static_cast<int>(quire::model::MatchLimit::kDeadline));

template <typename To, typename From>
To copy_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From) && std::is_trivially_copyable_v<From>);
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

template <typename Body>
quire_status call(quire_session* handle, Body body) {
  return guarded_call(ErrorSink(handle->error),
                      [&]() -> Result<void> { return body(*handle->session); });
}

// A submission: its id goes to `request`.
template <typename Submit>
quire_status submit(quire_session* handle, uint64_t* request, Submit submit_one) {
  return call(handle, [&](Session& session) -> Result<void> {
    if (request == nullptr) return null_argument();
    *request = QUIRE_TRY(submit_one(session));
    return {};
  });
}

quire::client::PrefillCost prefill_cost(const quire_match_options& given) {
  return {given.prefill_us_per_ktoken, given.prefill_us_per_ktoken_per_mtoken};
}

Result<LoadOptions> to_load_options(const quire_load_options* pointer) {
  const quire_load_options given = QUIRE_TRY(read_options(pointer));
  LoadOptions options;
  options.groups = given.groups;
  options.first_block = given.first_block;
  options.block_count = given.block_count;
  options.include_checkpoint = given.skip_checkpoint == 0;
  options.order = given.layer_major != 0 ? quire::model::LoadOrder::kLayerMajor
                                         : quire::model::LoadOrder::kBlockMajor;
  options.deadline_ms = given.deadline_ms;
  options.progress = given.progress != 0;
  return options;
}

Result<FillOptions> to_fill_options(const quire_fill_options* pointer) {
  const quire_fill_options given = QUIRE_TRY(read_options(pointer));
  if (given.reason > QUIRE_BEFORE_TAIL) {
    return quire::model::make_error(quire::model::Errc::kInvalidArgument, "fill: unknown reason");
  }
  FillOptions options;
  options.groups = given.groups;
  options.reason = static_cast<quire::model::CheckpointReason>(given.reason);
  return options;
}

quire_pages to_c(const LoadedPages& loaded) {
  return {reinterpret_cast<const quire_page_view*>(loaded.pages.data()),
          loaded.pages.size(),
          loaded.block_count,
          loaded.checkpoint_count,
          static_cast<quire_status>(loaded.limited_by),
          0};
}

void to_c(const Fill& fill, quire_fill& out) {
  out = {};
  out.id = fill.id;
  out.staging_offset = fill.staging_offset;
  out.duplicate = fill.duplicate;
  for (const quire::model::PlannedPage& page : fill.plan.pages) {
    out.pages[out.page_count++] = {fill.staging + page.staging_offset, page.bytes, page.group,
                                   page.tail};
  }
}

// A commit or abort needs no more than this.
Fill from_c(const quire_fill& given) {
  Fill fill;
  fill.id = given.id;
  fill.staging_offset = given.staging_offset;
  fill.duplicate = given.duplicate != 0;
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
    std::vector<Hash256> leaves(count);
    if (count > 0) std::memcpy(leaves.data(), hashes, count * sizeof(Hash256));
    return s.append_unit_hashes(leaves);
  });
}

uint32_t quire_token_count(const quire_session* session) { return session->session->token_count(); }

quire_status quire_match(quire_session* session, uint32_t prompt_tokens, uint32_t have_tokens,
                         quire_match_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    if (result == nullptr) return null_argument();
    *result = copy_as<quire_match_result>(QUIRE_TRY(s.match(prompt_tokens, have_tokens)));
    return {};
  });
}

quire_status quire_match_with(quire_session* session, uint32_t prompt_tokens,
                              const quire_match_options* options, quire_match_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    if (result == nullptr) return null_argument();
    const quire_match_options given = QUIRE_TRY(read_options(options));
    *result = copy_as<quire_match_result>(
        QUIRE_TRY(s.match(prompt_tokens, given.have_tokens, prefill_cost(given))));
    return {};
  });
}

quire_status quire_load(quire_session* session, uint64_t lease, const quire_load_options* options,
                        quire_pages* pages) {
  return call(session, [&](Session& s) -> Result<void> {
    if (pages == nullptr) return null_argument();
    const LoadOptions given = QUIRE_TRY(to_load_options(options));
    *pages = to_c(QUIRE_TRY(s.load(lease, given)));
    return {};
  });
}

int quire_verify_page(const quire_page_view* page) {
  return quire::client::verify_page(copy_as<PageView>(*page)) ? 1 : 0;
}

quire_status quire_release(quire_session* session, uint64_t lease) {
  return call(session, [&](Session& s) { return s.release(lease); });
}

quire_status quire_begin_fill(quire_session* session, quire_fill_kind kind, uint32_t end_tokens,
                              const quire_fill_options* options, quire_fill* fill) {
  return call(session, [&](Session& s) -> Result<void> {
    if (fill == nullptr) return null_argument();
    const FillOptions given = QUIRE_TRY(to_fill_options(options));
    to_c(QUIRE_TRY(s.begin_fill(static_cast<FillKind>(kind), end_tokens, given)), *fill);
    return {};
  });
}

quire_status quire_commit(quire_session* session, const quire_fill* fill,
                          quire_commit_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    const quire::model::CommitResult committed = QUIRE_TRY(s.commit(from_c(*fill)));
    if (result != nullptr) *result = copy_as<quire_commit_result>(committed);
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
    return s.submit_match(prompt_tokens, given.have_tokens, prefill_cost(given));
  });
}

quire_status quire_submit_load(quire_session* session, uint64_t lease,
                               const quire_load_options* options, uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const LoadOptions given = QUIRE_TRY(to_load_options(options));
    return s.submit_load(lease, given);
  });
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
    *count = 0;
    Completion piece[16];
    while (*count < capacity) {
      const size_t wanted = std::min(capacity - *count, std::size(piece));
      Result<size_t> got = s.poll_completions(std::span(piece, wanted));
      if (!got.ok() && *count > 0) break;  // told again by the next call
      const size_t taken = QUIRE_TRY(std::move(got));
      for (size_t i = 0; i < taken; ++i) {
        completions[(*count)++] = copy_as<quire_completion>(piece[i]);
      }
      if (taken < wanted) break;
    }
    return {};
  });
}

quire_status quire_wait(quire_session* session, uint32_t timeout_ms) {
  return call(session, [&](Session& s) { return s.wait(timeout_ms); });
}

quire_match_result quire_completion_match(const quire_completion* completion) {
  return copy_as<quire_match_result>(copy_as<Completion>(*completion).result.match);
}

quire_commit_result quire_completion_commit(const quire_completion* completion) {
  return copy_as<quire_commit_result>(copy_as<Completion>(*completion).result.commit);
}

quire_status quire_take_fill(quire_session* session, const quire_completion* completion,
                             quire_fill* fill) {
  return call(session, [&](Session& s) -> Result<void> {
    to_c(QUIRE_TRY(s.take_fill(completion->request, copy_as<Completion>(*completion))), *fill);
    return {};
  });
}

quire_status quire_take_pages(quire_session* session, const quire_completion* completion,
                              quire_pages* pages) {
  return call(session, [&](Session& s) -> Result<void> {
    *pages = to_c(QUIRE_TRY(s.take_pages(completion->request, copy_as<Completion>(*completion))));
    return {};
  });
}

quire_status quire_pages_so_far(quire_session* session, uint64_t request, quire_pages* pages) {
  return call(session, [&](Session& s) -> Result<void> {
    if (pages == nullptr) return null_argument();
    *pages = to_c(LoadedPages{QUIRE_TRY(s.pages_so_far(request))});
    return {};
  });
}

int quire_session_fd(quire_session* session) { return session->session->fd(); }

quire_progress quire_session_progress(const quire_session* session) {
  const quire::client::Progress progress = session->session->progress();
  return {progress.committed_tokens, progress.checkpoint_tokens, progress.members};
}

uint32_t quire_layer_ready_tokens(const quire_session* session, uint32_t layer) {
  return session->session->layer_ready_tokens(layer);
}

quire_status quire_wait_for_tokens(quire_session* session, uint32_t tokens, uint32_t timeout_ms) {
  return call(session, [&](Session& s) { return s.wait_for_tokens(tokens, timeout_ms); });
}
