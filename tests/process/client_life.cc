#include "tests/process/client_life.h"

#include <array>
#include <csignal>
#include <cstring>

#include "tests/support/oracle.h"
#include "tests/support/patience.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests {

using client::Client;
using client::Session;
using model::FillKind;

namespace {

constexpr std::array<std::string_view, 13> kNames = {
    "Connected",       "SessionOpen", "FillBegun",           "StagingHalfWritten",
    "CommitSubmitted", "Committed",   "CheckpointFillBegun", "Matched",
    "Loaded",          "ManyLeases",  "ManyFills",           "BetweenRanks",
    "RingFull"};
constexpr int kManyLeases = 100;
constexpr uint32_t kManyFills = 50;
constexpr uint32_t kLifeTokens = 480;  // room for the open fills behind the prompt
constexpr uint64_t kFirstShard = 0b000111;
constexpr uint64_t kSecondShard = 0b111000;

void write_pages(const Session& session, const client::Fill& fill, size_t first, size_t count) {
  const uint64_t key = object_key(session, fill.end_tokens, fill.kind);
  for (size_t i = first; i < first + count; ++i) {
    const model::PlannedPage& page = fill.plan.pages[i];
    fill_page(std::span(fill.staging + page.staging_offset, page.bytes), key, page.group);
  }
}

}  // namespace

std::string_view life_point_name(LifePoint point) { return kNames[static_cast<size_t>(point)]; }

Legacy legacy_of(LifePoint point) {
  if (point < LifePoint::kCommitSubmitted) return {};
  if (point == LifePoint::kCommitSubmitted) return {.may_have_one_span_more = true};
  if (point == LifePoint::kCommitted) return {.spans = 1};
  const uint64_t spans = kExactTokens / 8;
  return {.spans = spans, .checkpoints = point == LifePoint::kCheckpointFillBegun ? 0u : 1u};
}

std::unique_ptr<Session> committed_session(Client& client, uint64_t context,
                                           const std::string& tenant) {
  auto session = try_committed_session(client, context, tenant);
  QUIRE_CHECK(session.ok());
  return std::move(session).value();
}

model::Result<std::unique_ptr<Session>> try_committed_session(Client& client, uint64_t context,
                                                              const std::string& tenant) {
  auto session = client.open_session(session_options(small_hybrid_layout(), "model", tenant));
  if (!session.ok()) return session;
  QUIRE_TRY((*session)->append_tokens(context_tokens(kPromptTokens, context)));
  QUIRE_TRY(commit_context(**session, kPromptTokens));
  return session;
}

bool hits_bit_exactly(Session& session) {
  const auto match = session.match(kPromptTokens);
  if (!match.ok() || match->exact_tokens != kExactTokens) return false;
  return check_hit(session, *match) == kPagesPerHit && session.release(match->lease).ok();
}

std::unique_ptr<Client> ClientLife::connect() const {
  auto connected = Client::connect(patient_client(socket_path_, "victim"));
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

void ClientLife::reach(LifePoint point) const {
  if (point == end_) std::raise(SIGKILL);
}

void ClientLife::run() {
  client_ = connect();
  reach(LifePoint::kConnected);
  auto options = session_options(small_hybrid_layout());
  options.ring_entries = 128;
  session_ = open_session(*client_, options);
  QUIRE_CHECK(session_->append_tokens(context_tokens(kLifeTokens, context_)).ok());
  reach(LifePoint::kSessionOpen);
  commit_slowly();
  for (uint32_t end = 16; end <= kExactTokens; end += 8) {
    QUIRE_CHECK(commit_object(*session_, FillKind::kSpan, end).ok());
  }
  const auto checkpoint = session_->begin_fill(FillKind::kCheckpoint, kExactTokens);
  QUIRE_CHECK(checkpoint.ok() && !checkpoint->duplicate);
  reach(LifePoint::kCheckpointFillBegun);
  write_pages(*session_, *checkpoint, 0, checkpoint->plan.pages.size());
  QUIRE_CHECK(session_->commit(*checkpoint).ok());
  hold_leases();
  hold_fills();
  commit_half_of_a_sharded_span();
  fill_ring();
}

void ClientLife::commit_slowly() {
  const auto fill = session_->begin_fill(FillKind::kSpan, 8);
  QUIRE_CHECK(fill.ok() && !fill->duplicate);
  reach(LifePoint::kFillBegun);
  std::memset(fill->staging, 0xee, fill->plan.pages[0].bytes / 2);
  reach(LifePoint::kStagingHalfWritten);
  write_pages(*session_, *fill, 0, fill->plan.pages.size());
  QUIRE_CHECK(session_->submit_commit(*fill).ok());
  session_->flush();
  reach(LifePoint::kCommitSubmitted);
  std::array<model::Completion, 1> completion;
  QUIRE_CHECK(session_->wait(kPatienceMs).ok());
  QUIRE_CHECK(session_->poll_completions(completion).ok());
  QUIRE_CHECK(completion[0].code == 0 && completion[0].result.commit.visible == 1);
  reach(LifePoint::kCommitted);
}

void ClientLife::hold_leases() {
  const auto match = session_->match(kPromptTokens);
  QUIRE_CHECK(match.ok() && match->exact_tokens == kExactTokens);
  reach(LifePoint::kMatched);
  QUIRE_CHECK(check_hit(*session_, *match) == kPagesPerHit);
  reach(LifePoint::kLoaded);
  for (int i = 1; i < kManyLeases; ++i) QUIRE_CHECK(session_->match(kPromptTokens).ok());
  reach(LifePoint::kManyLeases);
}

void ClientLife::hold_fills() {
  for (uint32_t i = 1; i <= kManyFills; ++i) {
    const auto fill = session_->begin_fill(FillKind::kSpan, kExactTokens + 8 * i);
    QUIRE_CHECK(fill.ok() && !fill->duplicate);
  }
  reach(LifePoint::kManyFills);
}

void ClientLife::commit_half_of_a_sharded_span() {
  const auto options = session_options(small_sharded_layout());
  const auto tokens = context_tokens(kPromptTokens, context_);
  const auto first = open_session(*client_, options);
  QUIRE_CHECK(first->append_tokens(tokens).ok());
  const auto other_client = connect();
  const auto second = other_client->join_session(first->token(), options);
  QUIRE_CHECK(second.ok() && (*second)->append_tokens(tokens).ok());
  const auto half = commit_object(*first, FillKind::kSpan, 8, kFirstShard);
  QUIRE_CHECK(half.ok() && half->visible == 0);
  QUIRE_CHECK((*second)->begin_fill(FillKind::kSpan, 8, {.groups = kSecondShard}).ok());
  reach(LifePoint::kBetweenRanks);
}

void ClientLife::fill_ring() {
  uint32_t queued = 0;
  while (session_->submit_noop().ok()) ++queued;
  QUIRE_CHECK(queued == 128);
  reach(LifePoint::kRingFull);
}

}  // namespace quire::tests
