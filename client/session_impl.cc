#include "client/session_impl.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace quire::client {

using model::Completion;
using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr int64_t kNewsIntervalNs = 1'000'000;  // a polling engine pays one recvmsg per millisecond
constexpr auto kFirstNap = std::chrono::microseconds(20);  // wait_for_tokens
constexpr auto kLongestNap = std::chrono::microseconds(1000);

int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

void relax_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

TokenChain::Options chain_options(const model::OpenSessionReply& reply,
                                  const SessionOptions& options) {
  return {reply.root, options.layout.unit_tokens, options.max_tokens,
          options.layout.units_per_block()};
}

}  // namespace

Result<std::unique_ptr<SessionImpl>> SessionImpl::create(OpenedSession opened,
                                                         const ClientOptions& client_options,
                                                         const SessionOptions& options) {
  const bool is_new =
      opened.reply.lane_state == static_cast<uint32_t>(model::SessionLane::kNew) || !opened.kept;
  SessionChannel channel =
      QUIRE_TRY(is_new ? SessionChannel::open(opened.reply, std::move(opened.descriptors))
                       : SessionChannel::reopen(std::move(*opened.kept), opened.reply,
                                                std::move(opened.descriptors)));
  return std::make_unique<SessionImpl>(std::move(opened), std::move(channel), client_options,
                                       options);
}

SessionImpl::SessionImpl(OpenedSession opened, SessionChannel channel,
                         const ClientOptions& client_options, const SessionOptions& options)
    : attachment_(std::move(opened.attachment)),
      client_options_(client_options),
      layout_(options.layout),
      tail_tokens_(options.tail_tokens),
      offer_tokens_(options.offer_tokens),
      role_(options.role),
      reply_(opened.reply),
      channel_(std::move(channel)),
      tokens_(chain_options(reply_, options), channel_->hashes()),
      plans_(layout_),
      page_reader_(*attachment_, layout_),
      staging_(opened.staging),
      descriptors_(reply_.max_load_pages, 1, 2 * reply_.ring_entries),
      // In flight at most ring_entries; as many again may wait to be taken.
      requests_(2 * reply_.ring_entries) {
  attachment_->watch_session(reply_.session);
}

// A forked child comes here too: close() sends nothing there.
SessionImpl::~SessionImpl() { [[maybe_unused]] const Result<void> closed = close(); }

Result<void> SessionImpl::check() {
  if (attachment_->forked()) return attachment_->check();
  if (!channel_) return make_error(Errc::kClosed, "the session was closed");
  // Connection before session: where the daemon is gone, that is the reason to be told.
  QUIRE_TRY(attachment_->check());
  if (channel_->closed()) look_for_news();
  if (ended_) return *ended_;
  return {};
}

Result<void> SessionImpl::check_settled() {
  QUIRE_TRY(check());
  // Its answer may lie in the ring since the call gave up.
  if (resetting_) QUIRE_TRY(drain());
  if (!resetting_) return {};
  return make_error(Errc::kBusy, "the session's reset is not answered yet: poll, or close it");
}

Result<void> SessionImpl::append_tokens(std::span<const uint32_t> tokens,
                                        std::span<const model::UnitKey> keys) {
  QUIRE_TRY(check_settled());
  return tokens_.append_tokens(tokens, keys);
}

Result<void> SessionImpl::append_leaves(std::span<const model::Hash256> leaves) {
  QUIRE_TRY(check_settled());
  return tokens_.append_leaves(leaves);
}

// In a child or after close() there is nothing to make visible.
void SessionImpl::flush() {
  if (!attachment_->forked() && channel_) channel_->flush();
}

Result<void> SessionImpl::drain() {
  bool taken = false;
  while (true) {
    Result<std::optional<Completion>> next = channel_->take();
    if (!next.ok()) {
      fail_all(next.error());
      return next.error();
    }
    if (!next->has_value()) break;
    taken = true;
    QUIRE_TRY(complete(**next));
  }
  // Once for all that were taken: each store would take the cache line from the daemon.
  if (taken) channel_->publish_taken();
  return {};
}

Result<void> SessionImpl::complete(const Completion& completion) {
  Request* request = requests_.find(completion.user_data);
  // The completion is the daemon's word: what fits no request is a broken stream, not a bug of this
  // process.
  if (request == nullptr || request->state != RequestState::kInFlight ||
      static_cast<model::Verb>(completion.verb) != request->verb) {
    const model::Error error =
        make_error(Errc::kMalformedFrame, "a completion that fits no request");
    fail_all(error);
    return error;
  }
  finish(*request, completion);
  return {};
}

void SessionImpl::finish(Request& request, const Completion& completion) {
  request.completion = completion;
  request.state = RequestState::kDone;
  // Before anybody hears of it: what the outcome holds is the session's, taken up or not.
  apply(request);
  if (request.discarded) {
    undo_discarded(request);
  } else if (!request.awaited) {
    requests_.push_ready(request);
  }
}

// The outcome goes to the caller; only a fill or pages that wait to be taken keep the slot.
void SessionImpl::pick_up(Request& request) {
  const Completion& completion = request.completion;
  const bool ok = completion.code == static_cast<int32_t>(Errc::kOk);
  // A duplicate holds nothing, so its slot must not wait for a caller who need not take it.
  if (ok && request.verb == model::Verb::kBeginFill && completion.result.begin_fill.duplicate) {
    requests_.settle(request);
  } else if (ok &&
             (request.verb == model::Verb::kBeginFill || request.verb == model::Verb::kPositions)) {
    request.state = RequestState::kHeld;
  } else if (HeldLease* lease = has_pages(completion) ? leases_.find(request.object) : nullptr) {
    ++lease->untaken;
    request.state = RequestState::kHeld;
  } else {
    free_descriptors_of(request);
    requests_.remove(request);
  }
}

// For calls that never block: what completed, and the daemon's news when nothing did for a while.
void SessionImpl::take_in() {
  // What drain() cannot accept ends the session; its requests are then ready with that error.
  if (!ended_) static_cast<void>(drain());
  if (!ended_ && !requests_.has_ready() && now_ns() - last_news_look_ns_ > kNewsIntervalNs) {
    look_for_news();
  }
}

void SessionImpl::look_for_news() {
  last_news_look_ns_ = now_ns();
  // What completed before the end is handed out with its own result: drain() before fail_all().
  const Result<void> alive = attachment_->progress();
  if (!alive.ok()) {
    if (drain().ok()) fail_all(alive.error());
  } else if (channel_->closed()) {
    if (drain().ok()) fail_all(attachment_->session_end(reply_.session));
  }
}

void SessionImpl::fail_all(const model::Error& error) {
  // The first reason stays: what follows from it would hide it.
  if (!ended_) ended_ = error;
  for (Request& request : requests_.slots()) {
    if (request.state != RequestState::kInFlight) continue;
    Completion completion{};
    completion.user_data = request.id;
    completion.code = static_cast<int32_t>(error.code);
    completion.verb = static_cast<uint16_t>(request.verb);
    finish(request, completion);
  }
}

bool SessionImpl::spin_for_completion() const {
  if (client_options_.spin_us == 0) return false;
  const int64_t end_ns = now_ns() + int64_t{client_options_.spin_us} * 1000;
  do {
    // The clock is read once for some looks at the ring: it costs as much as they do.
    for (int i = 0; i < 16; ++i) {
      if (channel_->has_completion()) return true;
      relax_cpu();
    }
  } while (now_ns() < end_ns);
  return false;
}

template <typename Done>
Result<void> SessionImpl::wait_until(Done done, Deadline deadline) {
  while (true) {
    if (attachment_->forked()) return attachment_->check();
    // Completions first: a deadline that has passed does not undo what is there already.
    QUIRE_TRY(drain());
    if (done()) return {};
    if (ended_) return *ended_;
    if (deadline.passed()) {
      return make_error(Errc::kDeadlineExceeded, "the daemon did not complete the request in time");
    }
    if (spin_for_completion()) continue;
    const SessionChannel::Woken woken = QUIRE_TRY(channel_->sleep(attachment_->fd(), deadline));
    // The socket says that the daemon went, the closed word that it ended this session alone.
    if (woken.news || channel_->closed()) look_for_news();
  }
}

Result<Completion> SessionImpl::await(Result<RequestId> submitted) {
  Request& request = *requests_.find(QUIRE_TRY(std::move(submitted)));
  // Before the flush: its completion must not go to the queue that others poll.
  request.awaited = true;
  channel_->flush();
  const Deadline deadline = Deadline::after_ms(client_options_.call_timeout_ms);
  const Result<void> waited =
      wait_until([&request] { return request.state == RequestState::kDone; }, deadline);
  if (request.state != RequestState::kDone) {
    // The completion may still come. Then finish() gives back what it brought.
    request.discarded = true;
    return waited.error();
  }
  const Completion completion = request.completion;
  pick_up(request);
  refresh_fd();
  // A load that failed may have delivered its head: its caller gets both, the pages and the code.
  if (completion.code != static_cast<int32_t>(Errc::kOk) && !has_pages(completion)) {
    // A completion that was made up here carries a code alone; the reason has the text.
    const bool made_up = ended_ && static_cast<int32_t>(ended_->code) == completion.code;
    return made_up ? *ended_ : completion_error(completion);
  }
  return completion;
}

Result<size_t> SessionImpl::poll_completions(std::span<Completion> completions) {
  if (attachment_->forked() || !channel_) return check().error();
  // The caller is awake: the daemon need not write a wake-up for what comes now.
  channel_->disarm();
  take_in();
  size_t count = 0;
  while (count < completions.size() && requests_.has_ready()) {
    Request& request = *requests_.pop_ready();
    completions[count++] = request.completion;
    pick_up(request);
  }
  refresh_fd();
  // Ready completions are handed out after the session's end too; then its reason.
  if (count == 0) QUIRE_TRY(check());
  return count;
}

Result<void> SessionImpl::wait(uint32_t timeout_ms) {
  if (attachment_->forked() || !channel_) return check();
  const auto ready = [this] { return requests_.has_ready(); };
  if (ready()) return {};
  // What was submitted and not flushed would not complete within this wait.
  if (!ended_) channel_->flush();
  // A session that ended has made its requests ready: their completions carry the reason.
  Result<void> waited = wait_until(ready, Deadline::after_ms(timeout_ms));
  refresh_fd();
  return ready() ? Result<void>() : waited;
}

// Leaves the descriptor readable exactly when poll_completions would find something, or asks the
// daemon to make it so.
void SessionImpl::refresh_fd() {
  if (!ready_fd_) return;
  if (requests_.has_ready() || ended_) return ready_fd_->signal(true);
  ready_fd_->signal(!channel_->arm());
}

int SessionImpl::fd() {
  if (attachment_->forked() || !channel_) return -1;
  if (!ready_fd_) {
    Result<ReadyFd> created = ReadyFd::create(channel_->wakeup_fd(), attachment_->fd());
    if (!created.ok()) return -1;
    ready_fd_ = std::move(created).value();
    refresh_fd();
  }
  return ready_fd_->get();
}

std::span<std::byte> SessionImpl::staging() const {
  if (!channel_) return {};
  return {staging_->data(), staging_->bytes()};
}

Progress SessionImpl::progress() const {
  if (!channel_) return {};
  const model::ProgressHeader& shared = channel_->progress();
  // First of all whether anything more comes: what was committed before that is seen below.
  const uint32_t handover = shared.handover.load(std::memory_order_acquire);
  const bool known = handover <= static_cast<uint32_t>(model::Handover::kAbandoned);
  return {.committed_tokens = shared.committed_tokens.load(std::memory_order_acquire),
          .checkpoint_tokens = shared.checkpoint_tokens.load(std::memory_order_acquire),
          .members = shared.members.load(std::memory_order_acquire),
          .handover = known ? static_cast<model::Handover>(handover) : model::Handover::kNone,
          .taken_tokens = shared.taken_tokens.load(std::memory_order_acquire),
          .ahead_tokens = shared.ahead_tokens.load(std::memory_order_acquire)};
}

uint32_t SessionImpl::tail_tokens() const {
  if (tail_tokens_ != model::kLearntTail) return tail_tokens_;
  const uint32_t learnt =
      channel_ ? channel_->progress().tail_tokens.load(std::memory_order_acquire) : 0;
  return learnt == 0 ? model::kTailTokens : learnt;
}

model::CheckpointPolicy SessionImpl::checkpoint_policy() const {
  if (!channel_) return {};
  // The daemon's word, read once; it publishes nothing else, so the order does not matter.
  return model::from_shared_word(channel_->progress().checkpoints.load(std::memory_order_relaxed));
}

uint32_t SessionImpl::layer_ready_tokens(uint32_t layer) const {
  if (!channel_ || layer >= model::kProgressLayers) return 0;
  return channel_->progress().ready_tokens[layer].load(std::memory_order_acquire);
}

// look(Progress) is true when the wait is over, or an error.
template <typename Look>
Result<void> SessionImpl::wait_for_progress(Look look, const char* late, uint32_t timeout_ms) {
  const Deadline deadline = Deadline::after_ms(timeout_ms);
  auto nap = kFirstNap;
  while (true) {
    if (attachment_->forked() || !channel_) return check();
    if (QUIRE_TRY(look(progress()))) return {};
    // Progress stands still for ever when the daemon is gone: nobody else would notice here.
    if (!ended_ && now_ns() - last_news_look_ns_ > kNewsIntervalNs) look_for_news();
    QUIRE_TRY(check());
    if (deadline.passed()) return make_error(Errc::kDeadlineExceeded, late);
    // Other processes commit, and their completions wake nobody here: progress is polled, less
    // often the longer it takes.
    std::this_thread::sleep_for(nap);
    nap = std::min(2 * nap, kLongestNap);
  }
}

Result<void> SessionImpl::wait_for_tokens(uint32_t tokens, uint32_t timeout_ms) {
  const auto look = [tokens](const Progress& now) -> Result<bool> {
    if (now.committed_tokens >= tokens || now.checkpoint_tokens >= tokens) return true;
    const bool ended = now.handover == model::Handover::kEnded;
    if (!ended && now.handover != model::Handover::kAbandoned) return false;
    return make_error(
        Errc::kUnavailable,
        std::string(ended ? "prefill closed the session" : "the prefill process died") + " at " +
            std::to_string(now.committed_tokens) + " of " + std::to_string(tokens) +
            " tokens: compute the rest");
  };
  return wait_for_progress(look, "the tokens were not committed in time", timeout_ms);
}

Result<void> SessionImpl::wait_for_room(uint32_t end_tokens, uint32_t timeout_ms) {
  const auto look = [end_tokens](const Progress& now) -> Result<bool> {
    return now.ahead_tokens == 0 || end_tokens <= uint64_t{now.taken_tokens} + now.ahead_tokens;
  };
  return wait_for_progress(look, "decode has not taken enough of the prompt in time", timeout_ms);
}

Result<void> SessionImpl::close() {
  if (attachment_->forked() || !channel_) return check();
  const bool open_there = check().ok();
  // Page views end here. The daemon frees leases with the session, so no release is sent.
  while (!leases_.all().empty()) drop_lease(*leases_.all().back());
  ready_fd_.reset();
  attachment_->forget_session(reply_.session);
  SessionChannel channel = std::move(*channel_);
  channel_.reset();
  if (!open_there) {
    free_all_staging();
    return {};
  }
  const model::CloseSessionRequest request{.session = reply_.session, .keep_lane = 1};
  const Result<Frame> closed =
      attachment_->call(model::FrameType::kCloseSession, model::struct_bytes(request));
  // The daemon may have ended it, or have gone, in this very moment: closed all the same.
  const bool gone = closed.code() == Errc::kNotFound || closed.code() == Errc::kUnavailable;
  // It may still copy for a session that it was not heard to end.
  if (closed.ok() || gone) free_all_staging();
  if (!closed.ok()) return gone ? Result<void>() : Result<void>(closed.error());
  const auto reply = QUIRE_TRY(model::read_struct<model::CloseSessionReply>(closed->payload));
  if (reply.lane_kept == 0) return {};
  channel.rest();
  attachment_->memory().lock()->keep_lane(std::move(channel));
  return {};
}

}  // namespace quire::client
