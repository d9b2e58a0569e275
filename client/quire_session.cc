// The public Session: forwards to SessionImpl; a blocking call is a submission and its await.
#include "client/quire.h"
#include "client/session_impl.h"

namespace quire::client {

using model::Completion;
using model::Result;

Session::Session(std::unique_ptr<SessionImpl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

const model::Layout& Session::layout() const { return impl_->layout(); }
uint64_t Session::id() const { return impl_->reply().session; }
SessionToken Session::token() const { return impl_->reply().token; }
const model::Hash256& Session::root() const { return impl_->reply().root; }

Result<void> Session::append_tokens(std::span<const uint32_t> tokens,
                                    std::span<const model::UnitKey> keys) {
  return impl_->append_tokens(tokens, keys);
}
Result<void> Session::append_unit_hashes(std::span<const model::Hash256> leaves) {
  return impl_->append_leaves(leaves);
}
model::CheckpointPolicy Session::checkpoint_policy() const { return impl_->checkpoint_policy(); }
std::vector<model::WantedCheckpoint> Session::wanted_checkpoints(uint32_t from_tokens,
                                                                 uint32_t end_tokens,
                                                                 uint32_t branch_tokens) const {
  return model::wanted_checkpoints(impl_->layout(),
                                   {.from_tokens = from_tokens,
                                    .end_tokens = end_tokens,
                                    .branch_tokens = branch_tokens,
                                    .tail_tokens = impl_->tail_tokens()},
                                   impl_->checkpoint_policy());
}
uint32_t Session::tail_tokens() const { return impl_->tail_tokens(); }
uint32_t Session::offer_tokens() const {
  return model::offer_tokens(impl_->layout(), impl_->checkpoint_policy(),
                             impl_->given_offer_tokens());
}
uint32_t Session::token_count() const { return impl_->tokens().token_count(); }
const std::vector<model::Hash256>& Session::chain() const { return impl_->tokens().chain(); }

Result<model::MatchResult> Session::match(uint32_t prompt_tokens, uint32_t have_tokens,
                                          const PrefillCost& cost, uint64_t request_id) {
  const RequestId id = QUIRE_TRY(impl_->submit_match(prompt_tokens, have_tokens, cost, request_id));
  return QUIRE_TRY(impl_->await(id)).result.match;
}

Result<LoadedPages> Session::load(uint64_t lease, const LoadOptions& options) {
  const RequestId id = QUIRE_TRY(impl_->submit_load(lease, options));
  const Completion completion = QUIRE_TRY(impl_->await(id));
  return impl_->take_pages(id, completion);
}

Result<LoadedRuns> Session::load_runs(uint64_t lease, const LoadOptions& options) {
  const RequestId id = QUIRE_TRY(impl_->submit_load_runs(lease, options));
  const Completion completion = QUIRE_TRY(impl_->await(id));
  return impl_->take_runs(id, completion);
}

Result<void> Session::reset(uint64_t conversation) {
  QUIRE_TRY(impl_->await(impl_->submit_reset(conversation)));
  return {};
}

Result<void> Session::release(uint64_t lease) {
  QUIRE_TRY(impl_->await(impl_->submit_release(lease)));
  return {};
}

Result<Fill> Session::begin_fill(model::FillKind kind, uint32_t end_tokens,
                                 const FillOptions& options) {
  const RequestId id = QUIRE_TRY(impl_->submit_begin_fill(kind, end_tokens, options));
  const Completion completion = QUIRE_TRY(impl_->await(id));
  return impl_->take_fill(id, completion);
}

Result<model::CommitResult> Session::commit(const Fill& fill) {
  // The daemon has no fill to commit: the object is there, or another process writes it.
  if (fill.duplicate) {
    model::CommitResult nothing_to_do{};
    nothing_to_do.visible = fill.incomplete ? 0 : 1;
    nothing_to_do.duplicate = 1;
    return nothing_to_do;
  }
  const RequestId id = QUIRE_TRY(impl_->submit_commit(fill));
  return QUIRE_TRY(impl_->await(id)).result.commit;
}

Result<void> Session::abort(const Fill& fill) {
  if (fill.duplicate) return {};
  QUIRE_TRY(impl_->await(impl_->submit_abort(fill)));
  return {};
}

Result<bool> Session::supersede(uint32_t end_tokens) {
  const RequestId id = QUIRE_TRY(impl_->submit_supersede(end_tokens));
  return QUIRE_TRY(impl_->await(id)).result.supersede.dropped != 0;
}

Result<void> Session::advise(model::Advice advice, uint32_t end_tokens, uint32_t pause_ms) {
  QUIRE_TRY(impl_->await(impl_->submit_advise(advice, end_tokens, pause_ms)));
  return {};
}

Result<void> Session::noop() {
  QUIRE_TRY(impl_->await(impl_->submit_noop()));
  return {};
}

Result<model::TurnTokens> Session::resumed(const Resumed& word) {
  const RequestId id = QUIRE_TRY(impl_->submit_resumed(word));
  return QUIRE_TRY(impl_->await(id)).result.resumed.tokens;
}

Result<Positions> Session::positions(uint32_t prompt_tokens, const PositionsOptions& options) {
  const RequestId id = QUIRE_TRY(impl_->submit_positions(prompt_tokens, options));
  const Completion completion = QUIRE_TRY(impl_->await(id));
  return impl_->take_positions(id, completion);
}

Result<model::LocateResult> Session::locate(uint32_t tokens) {
  const RequestId id = QUIRE_TRY(impl_->submit_locate(tokens));
  return QUIRE_TRY(impl_->await(id)).result.locate;
}

Result<RequestId> Session::submit_match(uint32_t prompt_tokens, uint32_t have_tokens,
                                        const PrefillCost& cost, uint64_t request_id) {
  return impl_->submit_match(prompt_tokens, have_tokens, cost, request_id);
}
Result<RequestId> Session::submit_load(uint64_t lease, const LoadOptions& options) {
  return impl_->submit_load(lease, options);
}
Result<RequestId> Session::submit_load_runs(uint64_t lease, const LoadOptions& options) {
  return impl_->submit_load_runs(lease, options);
}
Result<RequestId> Session::submit_release(uint64_t lease) { return impl_->submit_release(lease); }
Result<RequestId> Session::submit_begin_fill(model::FillKind kind, uint32_t end_tokens,
                                             const FillOptions& options) {
  return impl_->submit_begin_fill(kind, end_tokens, options);
}
Result<RequestId> Session::submit_commit(const Fill& fill) { return impl_->submit_commit(fill); }
Result<RequestId> Session::submit_reset(uint64_t conversation) {
  return impl_->submit_reset(conversation);
}
Result<RequestId> Session::submit_resumed(const Resumed& word) {
  return impl_->submit_resumed(word);
}
Result<RequestId> Session::submit_positions(uint32_t prompt_tokens,
                                            const PositionsOptions& options) {
  return impl_->submit_positions(prompt_tokens, options);
}
Result<RequestId> Session::submit_locate(uint32_t tokens) { return impl_->submit_locate(tokens); }
Result<RequestId> Session::submit_noop() { return impl_->submit_noop(); }
void Session::flush() { impl_->flush(); }

Result<size_t> Session::poll_completions(std::span<Completion> completions) {
  return impl_->poll_completions(completions);
}
Result<void> Session::wait(uint32_t timeout_ms) { return impl_->wait(timeout_ms); }
Result<Fill> Session::take_fill(RequestId request, const Completion& completion) {
  return impl_->take_fill(request, completion);
}
Result<LoadedPages> Session::take_pages(RequestId request, const Completion& completion) {
  return impl_->take_pages(request, completion);
}
Result<LoadedRuns> Session::take_runs(RequestId request, const Completion& completion) {
  return impl_->take_runs(request, completion);
}
Result<Positions> Session::take_positions(RequestId request, const Completion& completion) {
  return impl_->take_positions(request, completion);
}
Result<uint32_t> Session::loaded_so_far(RequestId load) { return impl_->loaded_so_far(load); }
Result<std::span<const PageView>> Session::pages_so_far(RequestId load) {
  return impl_->pages_so_far(load);
}
int Session::fd() const { return impl_->fd(); }

std::span<std::byte> Session::staging() const { return impl_->staging(); }
Progress Session::progress() const { return impl_->progress(); }
Result<void> Session::wait_for_room(uint32_t end_tokens, uint32_t timeout_ms) {
  return impl_->wait_for_room(end_tokens, timeout_ms);
}
uint32_t Session::layer_ready_tokens(uint32_t layer) const {
  return impl_->layer_ready_tokens(layer);
}
Result<void> Session::wait_for_tokens(uint32_t tokens, uint32_t timeout_ms) {
  return impl_->wait_for_tokens(tokens, timeout_ms);
}

Result<model::HandOverAddress> Session::hand_over() { return impl_->hand_over(); }

Result<void> Session::follow(const model::HandOverAddress& address, uint32_t prompt_tokens) {
  return impl_->follow(address, prompt_tokens);
}

Result<void> Session::close() { return impl_->close(); }

}  // namespace quire::client
