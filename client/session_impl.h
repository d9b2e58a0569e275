// One session behind the public Session: submits requests, takes completions in, keeps what they
// hold (leases, fills, staging and descriptor runs) and notices the end of the daemon.
//
//   submit_*  ->  ring  ->  daemon  ->  ring  ->  drain() -> complete() -> ready queue
//                                                                     '--> a blocking call
//
// 1. Every request submitted gets one completion, made up here (kUnavailable, kStaleHandle, or why
//    the session ended) when the daemon cannot send it any more.
// 2. A staging run is free again only when no commit can read it: at the fill's end.
// 3. Nothing here touches the rings or the socket in a forked child.
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "client/attachment.h"
#include "client/held_leases.h"
#include "client/interval_allocator.h"
#include "client/open_fills.h"
#include "client/page_reader.h"
#include "client/plan_cache.h"
#include "client/quire.h"
#include "client/ready_fd.h"
#include "client/request_table.h"
#include "client/session_channel.h"
#include "client/token_chain.h"

namespace quire::client {

inline model::Error invalid(std::string text) {
  return model::make_error(model::Errc::kInvalidArgument, std::move(text));
}

// What the daemon answered to open_session or join_session.
struct OpenedSession {
  std::shared_ptr<Attachment> attachment;
  StagingArea* staging = nullptr;  // the attachment's
  model::OpenSessionReply reply;
  std::vector<model::FdGuard> descriptors;
  std::optional<SessionChannel> kept;  // the lane that was offered for it
};

class SessionImpl {
 public:
  static model::Result<std::unique_ptr<SessionImpl>> create(OpenedSession opened,
                                                            const ClientOptions& client_options,
                                                            const SessionOptions& options);
  // For create(). `opened` without its descriptors and lane.
  SessionImpl(OpenedSession opened, SessionChannel channel, const ClientOptions& client_options,
              const SessionOptions& options);
  ~SessionImpl();
  SessionImpl(const SessionImpl&) = delete;
  SessionImpl& operator=(const SessionImpl&) = delete;

  const model::Layout& layout() const { return layout_; }
  const model::OpenSessionReply& reply() const { return reply_; }
  const TokenChain& tokens() const { return tokens_; }
  uint32_t tail_tokens() const;
  uint32_t given_offer_tokens() const { return offer_tokens_; }

  model::Result<void> append_tokens(std::span<const uint32_t> tokens,
                                    std::span<const model::UnitKey> keys);
  model::Result<void> append_leaves(std::span<const model::Hash256> leaves);

  // session_requests.cc, loads in session_loads.cc: one submission each. Errors before submission
  // leave nothing behind.
  model::Result<RequestId> submit_noop();
  model::Result<RequestId> submit_match(uint32_t prompt_tokens, uint32_t have_tokens,
                                        const PrefillCost& cost, uint64_t request_id);
  model::Result<RequestId> submit_load(uint64_t lease, const LoadOptions& options);
  model::Result<RequestId> submit_load_runs(uint64_t lease, const LoadOptions& options);
  model::Result<RequestId> submit_release(uint64_t lease);
  model::Result<RequestId> submit_begin_fill(model::FillKind kind, uint32_t end_tokens,
                                             const FillOptions& options);
  model::Result<RequestId> submit_commit(const Fill& fill);
  model::Result<RequestId> submit_abort(const Fill& fill);
  model::Result<RequestId> submit_supersede(uint32_t end_tokens);
  model::Result<RequestId> submit_advise(model::Advice advice, uint32_t end_tokens,
                                         uint32_t pause_ms);
  // Of nothing that is held or in flight; the tokens go when it is answered.
  model::Result<RequestId> submit_reset(uint64_t conversation);
  // session_queries.cc: the same, of what changes nothing.
  model::Result<RequestId> submit_resumed(const Resumed& word);
  model::Result<RequestId> submit_positions(uint32_t prompt_tokens,
                                            const PositionsOptions& options);
  model::Result<RequestId> submit_locate(uint32_t tokens);
  model::Result<Positions> take_positions(RequestId id, const model::Completion& completion);
  // Each once, of a request whose completion poll_completions() gave or await() returned.
  model::Result<Fill> take_fill(RequestId id, const model::Completion& completion);
  model::Result<LoadedPages> take_pages(RequestId id, const model::Completion& completion);
  model::Result<LoadedRuns> take_runs(RequestId id, const model::Completion& completion);
  model::Result<uint32_t> loaded_so_far(RequestId id);
  model::Result<std::span<const PageView>> pages_so_far(RequestId id);

  // session_impl.cc: everything after submission.
  void flush();
  // Waits for one request and picks its outcome up; its error when its code is not kOk, unless it
  // is a load's that delivered pages.
  model::Result<model::Completion> await(model::Result<RequestId> submitted);
  // Never blocks. An error only when there is no completion.
  model::Result<size_t> poll_completions(std::span<model::Completion> completions);
  // kDeadlineExceeded; what is ready already ends the wait at once.
  model::Result<void> wait(uint32_t timeout_ms);
  // Made by the first call; -1 when closed, or when no descriptor is to be had.
  int fd();
  std::span<std::byte> staging() const;
  Progress progress() const;
  model::CheckpointPolicy checkpoint_policy() const;
  uint32_t layer_ready_tokens(uint32_t layer) const;
  model::Result<void> wait_for_tokens(uint32_t tokens, uint32_t timeout_ms);
  model::Result<void> wait_for_room(uint32_t end_tokens, uint32_t timeout_ms);
  // session_hand_over.cc
  model::Result<model::HandOverAddress> hand_over();
  model::Result<void> follow(const model::HandOverAddress& address, uint32_t prompt_tokens);
  // Again: kClosed. The daemon's end is no error.
  model::Result<void> close();

 private:
  // kForked, kClosed, kStaleHandle, kUnavailable, or why the session ended.
  model::Result<void> check();

  // kBusy, of a session that was not heard to be reset: whether its tokens count is not known.
  model::Result<void> check_settled();
  // session_requests.cc
  model::Result<Request*> add_request(model::Verb verb);
  model::Result<RequestId> submit(Request& request, const model::Submission::Args& args,
                                  uint32_t deadline_ms = 0);
  model::Result<void> check_fill(model::FillKind kind, uint32_t end_tokens, uint64_t groups) const;
  model::Result<OpenFill*> find_ending_fill(const Fill& fill);
  model::Result<void> check_hashed(std::string_view verb, uint32_t tokens) const;
  uint64_t count_descriptors(const HeldLease& lease, const LoadOptions& options);
  model::Result<RequestId> submit_load_as(uint64_t lease, const LoadOptions& options,
                                          model::LoadForm form);
  // The request of a completed load in this form, to be ended with end_taking().
  model::Result<Request*> find_loaded(RequestId id, const model::Completion& completion,
                                      model::LoadForm form);
  void end_taking(Request& request);
  model::Result<LoadedPages> read_pages(Request& request);
  model::Result<LoadedRuns> read_runs(Request& request);
  // Views of a load's first `count` descriptors; those read before are kept.
  model::Result<std::span<const PageView>> view_pages(Request& request, uint32_t count);

  // session_impl.cc
  model::Result<void> drain();
  model::Result<void> complete(const model::Completion& completion);
  void finish(Request& request, const model::Completion& completion);
  void pick_up(Request& request);
  void take_in();
  void look_for_news();
  // Makes up a completion for each request in flight: nothing more comes from the daemon.
  void fail_all(const model::Error& error);
  template <typename Done>
  model::Result<void> wait_until(Done done, Deadline deadline);
  bool spin_for_completion() const;
  // Looks at progress now and then, and says what kDeadlineExceeded is about.
  template <typename Look>
  model::Result<void> wait_for_progress(Look look, const char* late, uint32_t timeout_ms);
  // Before a call that may leave completions behind returns.
  void refresh_fd();

  // session_effects.cc: what an outcome does to leases, fills and runs.
  void apply(Request& request);
  void apply_match(const Request& request);
  void apply_begin_fill(Request& request);
  void apply_fill_end(const Request& request);
  void undo_discarded(Request& request);
  // What an unwatched request is about: as in Request.
  struct Held {
    uint64_t object = 0;
    uint64_t staging_offset = 0;
  };
  void submit_unwatched(model::Verb verb, const model::Submission::Args& args, const Held& what);
  void end_load(Request& request);
  void drop_lease(HeldLease& lease);
  void drop_untaken(HeldLease& lease);
  void free_staging(AreaRun& run);
  // Of a session that is over.
  void free_all_staging();
  void free_descriptors(AreaRun& run);
  void free_descriptors_of(Request& request);  // of a load or positions

  const std::shared_ptr<Attachment> attachment_;
  const ClientOptions client_options_;
  const model::Layout layout_;
  const uint32_t tail_tokens_;
  const uint32_t offer_tokens_;
  const model::SessionRole role_;
  const model::OpenSessionReply reply_;
  std::optional<SessionChannel> channel_;  // empty after close()
  TokenChain tokens_;
  PlanCache plans_;
  PageReader page_reader_;
  StagingArea* const staging_;     // the attachment's
  IntervalAllocator descriptors_;  // entries
  RequestTable requests_;
  HeldLeases leases_;
  OpenFills fills_;
  uint32_t progress_slots_ = 0;        // bit s: a load in flight uses slot s + 1
  std::optional<ReadyFd> ready_fd_;    // once fd() was asked for
  std::optional<model::Error> ended_;  // nothing more will complete, and why
  bool resetting_ = false;             // a reset is in flight: nothing else is submitted
  int64_t last_news_look_ns_ = 0;
};

// A load's completion whose descriptors stand in the descriptor area: all asked for, or the head.
bool has_pages(const model::Completion& completion);
// "<verb> failed" with the completion's code; call only when that is not kOk.
model::Error completion_error(const model::Completion& completion);

}  // namespace quire::client
