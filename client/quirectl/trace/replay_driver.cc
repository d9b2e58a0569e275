#include "client/quirectl/trace/replay_driver.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "model/boundary.h"
#include "model/page_plan.h"

namespace quire::client {

using model::Errc;
using model::FillKind;
using model::Hash256;
using model::Result;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint64_t kLeastStaging = 64 << 10;
constexpr uint32_t kMostLoadPages = 1 << 20;
constexpr uint32_t kMostContextTokens = 1 << 30;

int64_t ns_since(SteadyClock::time_point start) {
  return (SteadyClock::now() - start) / std::chrono::nanoseconds(1);
}

// One of the layout's units may be several blocks of the trace, of which the last one names all, or
// a part of one, told by where in the block it ends.
Result<std::vector<Hash256>> unit_hashes(std::span<const uint32_t> ids, uint32_t block_tokens,
                                         uint32_t unit_tokens) {
  if (block_tokens % unit_tokens != 0 && unit_tokens % block_tokens != 0) {
    return model::make_error(Errc::kInvalidArgument,
                             "blocks of " + std::to_string(block_tokens) +
                                 " tokens do not fit the layout's units of " +
                                 std::to_string(unit_tokens) + "; give another --layout");
  }
  std::vector<Hash256> hashes(ids.size() * block_tokens / unit_tokens);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const uint64_t last = uint64_t{i + 1} * unit_tokens - 1;  // its last token
    const uint32_t id = ids[last / block_tokens];
    const auto end = static_cast<uint32_t>(last % block_tokens);
    std::memcpy(hashes[i].bytes.data(), &id, sizeof(id));
    std::memcpy(hashes[i].bytes.data() + sizeof(id), &end, sizeof(end));
  }
  return hashes;
}

// The bytes of a page: they follow from the object's chain hash, and which page of it this is.
class PageBytes {
 public:
  PageBytes(const Hash256& key, model::GroupIndex group, bool of_checkpoint)
      : state_(key.word(0) ^ key.word(3) ^ uint64_t{group} << 8 ^ (of_checkpoint ? 1 : 0)) {}

  void fill(std::byte* page, uint64_t bytes) {
    for_each_word(bytes, [&](uint64_t at, const uint64_t& word, size_t count) {
      std::memcpy(page + at, &word, count);
      return true;
    });
  }
  bool are(const std::byte* page, uint64_t bytes) {
    return for_each_word(bytes, [&](uint64_t at, const uint64_t& word, size_t count) {
      return std::memcmp(page + at, &word, count) == 0;
    });
  }

 private:
  // splitmix64 (Steele et al. 2014).
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  template <typename Visit>
  bool for_each_word(uint64_t bytes, Visit visit) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
      const uint64_t word = next();
      if (!visit(at, word, std::min<uint64_t>(sizeof(word), bytes - at))) return false;
    }
    return true;
  }

  uint64_t state_;
};

const Hash256& key_at(const Session& session, uint32_t end_tokens) {
  return session.chain()[end_tokens / session.layout().unit_tokens - 1];
}

size_t append_group_count(const model::Layout& layout) {
  return static_cast<size_t>(__builtin_popcountll(model::append_groups(layout)));
}

// Pages of a load: blocks from the first on, each with the append groups in order, then the
// checkpoint's.
uint32_t count_wrong_pages(const Session& session, const LoadedPages& loaded,
                           uint32_t checkpoint_tokens) {
  const model::Layout& layout = session.layout();
  const size_t groups = append_group_count(layout);
  uint32_t wrong = 0;
  for (size_t i = 0; i < loaded.pages.size(); ++i) {
    const PageView& page = loaded.pages[i];
    const uint64_t end =
        page.of_checkpoint ? checkpoint_tokens : uint64_t{i / groups + 1} * layout.block_tokens;
    PageBytes bytes(key_at(session, static_cast<uint32_t>(end)), page.group, page.of_checkpoint);
    if (!bytes.are(page.data, page.bytes)) ++wrong;
  }
  return wrong;
}

}  // namespace

model::Layout small_replay_layout(uint32_t block_tokens, uint64_t page_bytes) {
  model::Layout layout;
  layout.name = "replay";
  layout.unit_tokens = block_tokens;
  layout.block_tokens = block_tokens;
  model::Group group;
  group.name = "append";
  group.kind = model::GroupKind::kAppend;
  group.page_bytes = page_bytes;
  group.layers = {{.layer = 0, .offset = 0, .bytes = page_bytes}};
  layout.groups.push_back(group);
  return layout;
}

Result<std::unique_ptr<Session>> ReplayDriver::open(const ReplayedRequest& request,
                                                    uint32_t context_tokens) {
  const model::Layout& layout = options_.layout;
  const uint64_t pages =
      uint64_t{context_tokens} / layout.block_tokens * append_group_count(layout) +
      layout.groups.size();
  SessionOptions session;
  session.layout = layout;
  session.namespace_name = options_.namespace_name;
  session.salt = options_.salt;
  session.conversation = request.conversation;
  session.max_tokens = context_tokens + layout.unit_tokens;
  session.max_load_pages =
      options_.moves_bytes ? static_cast<uint32_t>(std::min<uint64_t>(pages, kMostLoadPages)) : 1;
  session.staging_bytes = std::max(kLeastStaging, model::staging_bytes_for(layout));
  return client_->open_session(session);
}

Result<ReplayedResult> ReplayDriver::serve(const ReplayedRequest& request) {
  const uint32_t unit = options_.layout.unit_tokens;
  std::vector<uint32_t> ids(request.ids.begin(), request.ids.end());
  ids.insert(ids.end(), request.output_ids.begin(), request.output_ids.end());
  if (ids.size() > kMostContextTokens / request.block_tokens) {
    return model::make_error(Errc::kInvalidArgument, "a prompt of more than 1,073,741,824 tokens");
  }
  const auto prompt = QUIRE_TRY(unit_hashes(request.ids, request.block_tokens, unit));
  const auto context = QUIRE_TRY(unit_hashes(ids, request.block_tokens, unit));
  ReplayedResult result;
  result.prompt_tokens = static_cast<uint32_t>(request.ids.size()) * request.block_tokens;
  const auto known = static_cast<uint32_t>(prompt.size()) * unit;
  const auto end = static_cast<uint32_t>(context.size()) * unit;
  const std::unique_ptr<Session> session = QUIRE_TRY(open(request, end));
  QUIRE_TRY(session->append_unit_hashes(prompt));
  const SteadyClock::time_point start = SteadyClock::now();
  // A token more than the last unit, which could not be a hit else: its last token is computed.
  const model::MatchResult hit = QUIRE_TRY(session->match(known + 1));
  result.match_ns = ns_since(start);
  result.hit_tokens = hit.exact_tokens;
  if (options_.moves_bytes && hit.exact_tokens > 0) QUIRE_TRY(load(*session, hit, result));
  QUIRE_TRY(commit(*session, hit.span_tokens, known, hit, result));
  if (end > known) {
    QUIRE_TRY(session->append_unit_hashes(std::span(context).subspan(prompt.size())));
    const uint32_t from = std::max(hit.span_tokens, model::block_floor(options_.layout, known));
    QUIRE_TRY(commit(*session, from, end, {}, result));
  }
  // Who loads nothing resumed nothing.
  if (!options_.moves_bytes) return result;
  const bool resumed = hit.exact_tokens > 0;
  QUIRE_TRY(
      session->resumed({.how = resumed ? model::ResumedHow::kExact : model::ResumedHow::kNothing,
                        .resumed_tokens = hit.exact_tokens,
                        .output_tokens = request.output_tokens}));
  return result;
}

// The lease stays with the session, as an engine's does that computes meanwhile: its path is not
// evicted before the rest of it is committed.
Result<void> ReplayDriver::load(Session& session, const model::MatchResult& hit,
                                ReplayedResult& result) const {
  const SteadyClock::time_point start = SteadyClock::now();
  const LoadedPages loaded = QUIRE_TRY(session.load(hit.lease));
  result.load_ns = ns_since(start);
  result.loaded_blocks = loaded.block_count;
  result.wrong_pages = count_wrong_pages(session, loaded, hit.exact_tokens);
  return {};
}

Result<void> ReplayDriver::commit(Session& session, uint32_t from_tokens, uint32_t end_tokens,
                                  const model::MatchResult& hit, ReplayedResult& result) const {
  const uint32_t block = options_.layout.block_tokens;
  for (uint64_t end = uint64_t{from_tokens} + block; end <= end_tokens; end += block) {
    const bool written =
        QUIRE_TRY(commit_object(session, FillKind::kSpan, static_cast<uint32_t>(end), {}));
    if (written) ++result.committed_spans;
  }
  const uint32_t resumed = std::max(hit.exact_tokens, from_tokens);
  if (!model::needs_checkpoint(options_.layout) || resumed >= end_tokens) return {};
  // As for the match: of a context that goes on by a token.
  const auto wanted = session.wanted_checkpoints(resumed, end_tokens + 1, hit.branch_tokens);
  for (const model::WantedCheckpoint& one : wanted) {
    QUIRE_TRY(commit_object(session, FillKind::kCheckpoint, one.tokens, one.reason));
  }
  return {};
}

// False: it is there already.
Result<bool> ReplayDriver::commit_object(Session& session, FillKind kind, uint32_t end_tokens,
                                         model::CheckpointReason reason) const {
  const Fill fill = QUIRE_TRY(session.begin_fill(kind, end_tokens, {.reason = reason}));
  if (fill.duplicate) return false;
  if (options_.moves_bytes) {
    for (const model::PlannedPage& page : fill.plan.pages) {
      PageBytes bytes(key_at(session, end_tokens), page.group, kind == FillKind::kCheckpoint);
      bytes.fill(fill.staging + page.staging_offset, page.bytes);
    }
  }
  const model::CommitResult committed = QUIRE_TRY(session.commit(fill));
  return committed.duplicate == 0;
}

}  // namespace quire::client
