// Loads: check, reserve, submit; and picking up their pages or runs.
#include <algorithm>
#include <bit>
#include <string>

#include "client/session_impl.h"
#include "model/boundary.h"

namespace quire::client {

using model::Completion;
using model::Errc;
using model::FillKind;
using model::LoadForm;
using model::make_error;
using model::Result;
using model::Submission;
using model::Verb;

namespace {

// Runs that are given room for where the caller does not say: 32 KiB.
constexpr uint64_t kUsualRuns = 1024;

model::LoadArgs load_args(const Request& request, const LoadOptions& options) {
  return {.lease = request.object,
          .groups = options.groups,
          .first_block = options.first_block,
          .block_count = options.block_count,
          .descriptor_index = static_cast<uint32_t>(request.run.offset),
          .descriptor_capacity = static_cast<uint32_t>(request.run.length),
          .order = static_cast<uint8_t>(options.order),
          .include_checkpoint = options.include_checkpoint,
          .progress_slot = request.progress_slot,
          .form = static_cast<uint8_t>(request.form),
          .reserved = {}};
}

}  // namespace

// An upper bound of what the daemon will write.
uint64_t SessionImpl::count_descriptors(const HeldLease& lease, const LoadOptions& options) {
  const uint64_t mask = options.groups == 0 ? ~uint64_t{0} : options.groups;
  // Spans behind the resume point may be loaded too, so the bound counts them.
  const uint32_t end_block = lease.span_tokens / layout_.block_tokens;
  const uint32_t left = end_block - std::min(options.first_block, end_block);
  const uint64_t blocks = options.block_count == 0 ? left : std::min(options.block_count, left);
  uint64_t count =
      blocks * static_cast<uint64_t>(std::popcount(model::append_groups(layout_) & mask));
  if (options.include_checkpoint && lease.exact_tokens > 0 && model::needs_checkpoint(layout_)) {
    count += plans_.plan(FillKind::kCheckpoint, lease.exact_tokens, options.groups).pages.size();
  }
  return count;
}

Result<RequestId> SessionImpl::submit_load(uint64_t lease, const LoadOptions& options) {
  return submit_load_as(lease, options, LoadForm::kPages);
}

Result<RequestId> SessionImpl::submit_load_runs(uint64_t lease, const LoadOptions& options) {
  if (options.progress) return invalid("load of runs: only a load of pages tells its progress");
  return submit_load_as(lease, options, LoadForm::kRuns);
}

Result<RequestId> SessionImpl::submit_load_as(uint64_t lease, const LoadOptions& options,
                                              LoadForm form) {
  QUIRE_TRY(check());
  HeldLease* held = leases_.find(lease);
  if (held == nullptr) return make_error(Errc::kNotFound, "load: no such lease in this session");
  if (held->loads.size() + held->run_loads.size() >= kMaxLoadsPerLease) {
    return make_error(Errc::kBusy, "load: too many loads of one lease");
  }
  // Taken only once the load is submitted: a refusal leaves it free.
  const auto slot = static_cast<uint8_t>(std::countr_one(progress_slots_));
  if (options.progress && slot == model::kLoadProgressSlots) {
    return make_error(Errc::kBusy, "load: 16 loads with progress are in flight: take completions");
  }
  uint64_t needed = std::max<uint64_t>(1, count_descriptors(*held, options));
  if (form == LoadForm::kRuns) {
    const uint64_t wanted = options.max_runs == 0 ? kUsualRuns : options.max_runs;
    // How many runs there are is not known before; too few is kResourceExhausted, and tells so.
    needed = std::min({needed, wanted, descriptors_.capacity()});
  }
  if (needed > descriptors_.capacity()) {
    return invalid("load of " + std::to_string(needed) + " pages; this session takes " +
                   std::to_string(descriptors_.capacity()) +
                   ": load in pieces or open it with more max_load_pages");
  }
  const std::optional<uint64_t> first = descriptors_.allocate(needed);
  if (!first) return make_error(Errc::kBusy, "load: the descriptor area is full: take pages");
  AreaRun run{*first, needed};
  Result<Request*> request = add_request(Verb::kLoad);
  if (!request.ok()) {
    free_descriptors(run);
    return std::move(request).error();
  }
  (*request)->object = lease;
  (*request)->run = run;
  (*request)->form = form;
  (*request)->first_block = options.first_block;
  if (options.progress) (*request)->progress_slot = slot + 1;
  Submission::Args args{};
  args.load = load_args(**request, options);
  Result<RequestId> id = submit(**request, args, options.deadline_ms);
  if (id.ok()) {
    ++held->loading;
    if (options.progress) progress_slots_ |= 1u << slot;
  } else {
    free_descriptors(run);
  }
  return id;
}

Result<Request*> SessionImpl::find_loaded(RequestId id, const Completion& completion,
                                          LoadForm form) {
  if (attachment_->forked() || !channel_) return check().error();
  if (!has_pages(completion) && completion.code != static_cast<int32_t>(Errc::kOk)) {
    return completion_error(completion);
  }
  Request* request = requests_.find(id);
  // The form too: one caller's pages must not be read as another's runs.
  const bool waits = request != nullptr && request->verb == Verb::kLoad &&
                     request->state == RequestState::kHeld && request->form == form;
  if (waits) return request;
  return make_error(Errc::kNotFound, form == LoadForm::kPages ? "no pages wait under this request"
                                                              : "no runs wait under this request");
}

void SessionImpl::end_taking(Request& request) {
  if (HeldLease* lease = leases_.find(request.object)) --lease->untaken;
  free_descriptors(request.run);
  requests_.remove(request);
}

Result<LoadedPages> SessionImpl::take_pages(RequestId id, const Completion& completion) {
  Request* request = QUIRE_TRY(find_loaded(id, completion, LoadForm::kPages));
  Result<LoadedPages> pages = read_pages(*request);
  end_taking(*request);
  return pages;
}

Result<LoadedRuns> SessionImpl::take_runs(RequestId id, const Completion& completion) {
  Request* request = QUIRE_TRY(find_loaded(id, completion, LoadForm::kRuns));
  Result<LoadedRuns> runs = read_runs(*request);
  end_taking(*request);
  return runs;
}

Result<LoadedPages> SessionImpl::read_pages(Request& request) {
  const model::LoadResult& result = request.completion.result.load;
  if (result.descriptor_count > request.run.length ||
      result.checkpoint_count > result.descriptor_count) {
    return make_error(Errc::kMalformedFrame, "a load result beyond the room it was given");
  }
  const auto views = QUIRE_TRY(view_pages(request, result.descriptor_count));
  return LoadedPages{views, result.block_count, result.checkpoint_count,
                     static_cast<Errc>(request.completion.code)};
}

Result<LoadedRuns> SessionImpl::read_runs(Request& request) {
  const model::LoadResult& result = request.completion.result.load;
  const uint64_t room = request.run.length;
  if (result.run_count > room || result.first_run > room - result.run_count ||
      result.checkpoint_count > result.descriptor_count) {
    return make_error(Errc::kMalformedFrame, "a load result beyond the room it was given");
  }
  // A release that was submitted since has taken the views' owner away.
  HeldLease* held = leases_.find(request.object);
  if (held == nullptr) return make_error(Errc::kNotFound, "the lease was released");
  std::vector<RunView>& views = leases_.add_run_load(*held);
  const uint64_t end_block = uint64_t{request.first_block} + result.block_count;
  QUIRE_TRY(page_reader_.read_runs(
      channel_->runs(request.run.offset + result.first_run, result.run_count),
      {.end_block = end_block, .checkpoint = result.checkpoint_count > 0}, *held, views));
  LoadedRuns loaded{.runs = views,
                    .block_count = result.block_count,
                    .checkpoint_count = result.checkpoint_count,
                    .limited_by = static_cast<Errc>(request.completion.code)};
  for (const RunView& run : views) loaded.page_count += run.page_count;
  return loaded;
}

Result<std::span<const PageView>> SessionImpl::view_pages(Request& request, uint32_t count) {
  HeldLease* held = leases_.find(request.object);
  if (held == nullptr) return make_error(Errc::kNotFound, "the lease was released");
  if (request.view_buffer == 0) {
    // Room for all at once: views handed out before must not move when more are added.
    leases_.add_load(*held).reserve(request.run.length);
    request.view_buffer = static_cast<uint32_t>(held->loads.size());
  }
  std::vector<PageView>& views = held->loads[request.view_buffer - 1];
  if (views.size() < count) {
    const auto fresh =
        channel_->descriptors().subspan(request.run.offset + views.size(), count - views.size());
    QUIRE_TRY(page_reader_.read(fresh, *held, views));
  }
  return std::span<const PageView>(views.data(), count);
}

Result<uint32_t> SessionImpl::loaded_so_far(RequestId id) {
  if (attachment_->forked() || !channel_) return check().error();
  take_in();
  if (requests_.has_ready() || ended_) refresh_fd();
  QUIRE_TRY(check());
  Request* request = requests_.find(id);
  if (request == nullptr || request->verb != Verb::kLoad || request->form != LoadForm::kPages) {
    return make_error(Errc::kNotFound, "no load under this request, or its pages were taken");
  }
  const uint32_t room = static_cast<uint32_t>(request->run.length);
  if (request->state == RequestState::kInFlight) {
    if (request->progress_slot == 0) return 0u;
    const uint32_t ready = std::min(channel_->load_ready(request->progress_slot), room);
    // The daemon clears the slot just before the completion.
    return request->ready = std::max(request->ready, ready);
  }
  if (!has_pages(request->completion)) {
    return make_error(Errc::kNotFound, "the load delivered nothing: its completion says why");
  }
  return std::min(request->completion.result.load.descriptor_count, room);
}

Result<std::span<const PageView>> SessionImpl::pages_so_far(RequestId id) {
  const uint32_t count = QUIRE_TRY(loaded_so_far(id));
  return view_pages(*requests_.find(id), count);
}

}  // namespace quire::client
