#include "tests/client/fake_session.h"

#include <fcntl.h>
#include <isa-l/crc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "model/boundary.h"
#include "model/check.h"
#include "model/page_plan.h"

namespace quire::client {

namespace {

using model::Errc;
using model::FdGuard;
using model::FillKind;
using model::Mapping;
using model::Verb;

FdGuard make_memfd(uint64_t bytes) {
  FdGuard fd(::memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  QUIRE_CHECK(fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
  return fd;
}

Mapping map(const FdGuard& fd, uint64_t bytes) {
  return Mapping::map_shared(fd.get(), bytes, true).value();
}

uint32_t crc32c(const std::byte* data, uint64_t bytes) {
  auto* raw = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(data));
  return ~crc32_iscsi(raw, static_cast<int>(bytes), ~0u);
}

}  // namespace

model::PageDescriptor FakeStore::put(const std::byte* data, uint64_t bytes, uint16_t group) {
  const uint64_t room = model::align_up(bytes, model::kPageAlignment);
  if (segments.empty() || segments.back().used + room > segment_bytes) {
    FakeSegment fresh{make_memfd(segment_bytes), {}, 0};
    fresh.memory = map(fresh.fd, segment_bytes);
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | 0x10;  // future writes
    QUIRE_CHECK(::fcntl(fresh.fd.get(), F_ADD_SEALS, kSeals) == 0);
    segments.push_back(std::move(fresh));
  }
  FakeSegment& segment = segments.back();
  std::memcpy(segment.memory.data() + segment.used, data, bytes);
  model::PageDescriptor page{
      segment.used, bytes, static_cast<uint32_t>(segments.size() - 1), 7, crc32c(data, bytes),
      group,        0};
  segment.used += room;
  return page;
}

FakeStaging::FakeStaging(uint64_t bytes) : fd(make_memfd(bytes)), memory(map(fd, bytes)) {}

FakeSession::FakeSession(const model::OpenSessionReply& numbers, model::Layout layout,
                         FakeStore& store, std::byte* staging)
    : layout_(std::move(layout)), store_(store), staging_(staging) {
  const uint64_t bytes[] = {numbers.control_bytes, numbers.reply_bytes, model::kProgressBytes};
  Mapping* const mappings[] = {&control_, &reply_, &progress_};
  for (size_t i = 0; i < memfds_.size(); ++i) {
    memfds_[i] = make_memfd(bytes[i]);
    *mappings[i] = map(memfds_[i], bytes[i]);
  }
  doorbell_ = FdGuard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wakeup_event_ = FdGuard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wakeup_epoll_ = FdGuard(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  QUIRE_CHECK(::epoll_ctl(wakeup_epoll_.get(), EPOLL_CTL_ADD, wakeup_event_.get(), &event) == 0);
  const auto ours = model::reply_geometry(numbers.ring_entries, numbers.max_load_pages);
  const auto theirs = model::control_geometry(numbers.ring_entries, numbers.max_units);
  submissions_ = {
      &reply().submission_head, &control().submission_tail,
      reinterpret_cast<const model::Submission*>(control_.data() + theirs.submissions_offset),
      numbers.ring_entries};
  completions_ = {&reply().completion_tail, &control().completion_head,
                  reinterpret_cast<model::Completion*>(reply_.data() + ours.completions_offset),
                  numbers.ring_entries};
  descriptors_ = reinterpret_cast<model::PageDescriptor*>(reply_.data() + ours.descriptors_offset);
  progress().members.store(1);
}

std::vector<int> FakeSession::descriptors() const {
  return {memfds_[0].get(), memfds_[1].get(), memfds_[2].get(), doorbell_.get(),
          wakeup_epoll_.get()};
}

bool FakeSession::serve() {
  const auto readable = submissions_.readable();
  if (!readable) return false;
  const bool finish_held = !store_.loads_held && !held_loads_.empty();
  if (*readable == 0 && !finish_held) return true;
  if (finish_held) finish_held_loads();
  for (uint32_t i = 0; i < *readable; ++i) {
    const model::Submission submission = submissions_.take();
    if (store_.loads_held && static_cast<Verb>(submission.verb) == Verb::kLoad) {
      held_loads_.push_back(submission);
    } else {
      completions_.put(answer(submission));
    }
  }
  submissions_.publish();
  completions_.publish();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint64_t one = 1;
  if (control().client_sleeping.value.load() == 1) {
    QUIRE_CHECK(::write(wakeup_event_.get(), &one, sizeof one) == sizeof one);
  }
  return true;
}

bool FakeSession::prepare_sleep() {
  reply().daemon_sleeping.value.store(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return submissions_.readable() == 0u;
}

void FakeSession::woke() {
  reply().daemon_sleeping.value.store(0);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(doorbell_.get(), &count, sizeof count);
}

void FakeSession::end() { reply().closed.value.store(1); }

void FakeSession::scribble_completion_index() { reply().completion_tail.value.store(0x80000000); }

void FakeSession::scribble_load_ready(uint32_t count) {
  for (auto& ready : reply().load_ready) ready.store(count);
}

model::Completion FakeSession::answer(const model::Submission& s) {
  model::Completion c{};
  c.user_data = s.user_data;
  c.verb = s.verb;
  Errc code = Errc::kOk;
  switch (static_cast<Verb>(s.verb)) {
    case Verb::kMatch:
      code = match(s.args.match, c.result.match);
      break;
    case Verb::kLoad:
      code = load(s.args.load, c.result.load);
      break;
    case Verb::kRelease:
      code = leases_.erase(s.args.release.lease) == 1 ? Errc::kOk : Errc::kNotFound;
      break;
    case Verb::kBeginFill:
      code = begin_fill(s.args.begin_fill, c.result.begin_fill);
      break;
    case Verb::kCommit:
      code = commit(s.args.commit, c.result.commit);
      break;
    case Verb::kAbortFill:
      code = fills_.erase(s.args.abort_fill.fill) == 1 ? Errc::kOk : Errc::kNotFound;
      break;
    case Verb::kSupersede:
      c.result.supersede.dropped = static_cast<uint8_t>(store_.objects.erase(
          {FillKind::kCheckpoint, s.args.supersede.end_units * layout_.unit_tokens}));
      break;
    case Verb::kResumed:
      store_.last_resumed = s.args.resumed;
      c.result.resumed.turn = 1;
      break;
    case Verb::kPositions:
      code = positions(s.args.positions, c.result.positions);
      break;
    case Verb::kLocate:
      c.result.locate.span_tokens = span_end(s.args.locate.unit_count * layout_.unit_tokens);
      c.result.locate.tokens[model::TierId::kRam] = c.result.locate.span_tokens;
      break;
    case Verb::kNoop:
    case Verb::kAdvise:
    case Verb::kReset:
      break;
  }
  c.code = static_cast<int32_t>(code);
  return c;
}

uint32_t FakeSession::span_end(uint32_t prompt_tokens) const {
  uint32_t end = 0;
  while (end + layout_.block_tokens <= prompt_tokens &&
         store_.objects.contains({FillKind::kSpan, end + layout_.block_tokens})) {
    end += layout_.block_tokens;
  }
  return end;
}

// Every checkpoint that the spans reach.
Errc FakeSession::positions(const model::PositionsArgs& args, model::PositionsResult& result) {
  result.span_tokens = span_end(args.prompt_tokens);
  result.complete = 1;
  for (uint32_t h = model::last_resume_point(layout_, args.prompt_tokens); h > 0;
       h -= layout_.unit_tokens) {
    if (model::block_floor(layout_, h) > result.span_tokens) continue;
    if (!store_.objects.contains({FillKind::kCheckpoint, h})) continue;
    if (result.count == args.max_positions) {
      result.complete = 0;
      break;
    }
    model::ResumePosition position{};
    position.tokens = h;
    position.how = static_cast<uint8_t>(model::ResumedHow::kExact);
    position.tier_tokens[model::TierId::kRam] = h;
    position.load_estimate_us = args.have_tokens;
    std::memcpy(descriptors_ + args.descriptor_index + result.count++, &position, sizeof position);
  }
  return Errc::kOk;
}

Errc FakeSession::match(const model::MatchArgs& args, model::MatchResult& result) {
  store_.last_match = args;
  result.span_tokens = span_end(args.prompt_tokens);
  for (uint32_t h = model::last_resume_point(layout_, args.prompt_tokens); h > 0;
       h -= layout_.unit_tokens) {
    if (model::block_floor(layout_, h) > result.span_tokens) continue;
    if (!store_.objects.contains({FillKind::kCheckpoint, h})) continue;
    result.exact_tokens = h;
    break;
  }
  if (result.span_tokens == 0 && result.exact_tokens == 0) return Errc::kOk;
  // Any curve makes half of it not worth its loading.
  result.cut_tokens = result.exact_tokens >> (args.prefill_us_per_ktoken != 0 ? 1 : 0);
  result.tokens = {{10, 11, 12, 0}};
  result.lease = next_id_++;
  leases_.insert(result.lease);
  hits_[result.lease] = {result.exact_tokens, result.span_tokens};
  return Errc::kOk;
}

std::vector<model::PageDescriptor> FakeSession::collect(const model::LoadArgs& args,
                                                        const FakeStore::LoadEnd& end,
                                                        model::LoadResult& result) {
  const auto [exact, span] = hits_[args.lease];
  const uint32_t end_block = span / layout_.block_tokens;
  const uint32_t last =
      args.block_count == 0 ? end_block : std::min(end_block, args.first_block + args.block_count);
  std::vector<model::PageDescriptor> pages;
  for (uint32_t b = args.first_block; b < last && result.block_count < end.blocks; ++b) {
    const auto& object = store_.objects[{FillKind::kSpan, (b + 1) * layout_.block_tokens}];
    pages.insert(pages.end(), object.begin(), object.end());
    ++result.block_count;
  }
  if (args.include_checkpoint != 0 && exact > 0 && end.checkpoint) {
    const auto& object = store_.objects[{FillKind::kCheckpoint, exact}];
    for (model::PageDescriptor page : object) {
      page.flags = 1;
      pages.push_back(page);
      ++result.checkpoint_count;
    }
  }
  result.descriptor_count = static_cast<uint32_t>(pages.size());
  return pages;
}

Errc FakeSession::load(const model::LoadArgs& args, model::LoadResult& result) {
  store_.last_load = args;
  if (!leases_.contains(args.lease)) return Errc::kNotFound;
  const FakeStore::LoadEnd end = std::exchange(store_.next_load, {});
  const auto pages = collect(args, end, result);
  const bool in_runs = args.form == static_cast<uint8_t>(model::LoadForm::kRuns);
  if (pages.size() > args.descriptor_capacity) {
    result = {};
    return in_runs ? Errc::kResourceExhausted : Errc::kInvalidArgument;
  }
  if (in_runs) {
    write_runs(args, pages, result);
    return end.code;
  }
  std::copy(pages.begin(), pages.end(), descriptors_ + args.descriptor_index);
  return end.code;
}

void FakeSession::write_runs(const model::LoadArgs& args,
                             const std::vector<model::PageDescriptor>& pages,
                             model::LoadResult& result) {
  const auto change = std::exchange(store_.next_runs, nullptr);
  const size_t span_pages = pages.size() - result.checkpoint_count;
  const size_t per_block = result.block_count == 0 ? 1 : span_pages / result.block_count;
  result.run_count = static_cast<uint32_t>(pages.size());
  result.first_run = args.descriptor_capacity - result.run_count;
  for (size_t i = 0; i < pages.size(); ++i) {
    const bool checkpoint = i >= span_pages;
    const size_t place = checkpoint ? i - span_pages : args.first_block + i / per_block;
    model::PageRun run{.offset = pages[i].offset,
                       .segment = pages[i].segment,
                       .generation = pages[i].generation,
                       .first_block = static_cast<uint32_t>(place),
                       .page_count = 1,
                       .stride = static_cast<uint32_t>(pages[i].bytes),
                       .group = pages[i].group,
                       .flags = checkpoint ? model::kRunOfCheckpoint : uint16_t{0}};
    if (change) change(run);
    std::memcpy(descriptors_ + args.descriptor_index + result.first_run + i, &run, sizeof run);
  }
}

void FakeSession::count_ready(const model::LoadArgs& args, uint32_t ready) {
  if (args.progress_slot == 0) return;
  reply().load_ready[args.progress_slot - 1].store(ready, std::memory_order_release);
}

void FakeSession::advance_loads(uint32_t ready) {
  for (const model::Submission& held : held_loads_) {
    model::LoadResult all{};
    const auto pages = collect(held.args.load, {}, all);
    QUIRE_CHECK(ready <= pages.size());
    std::copy_n(pages.begin(), ready, descriptors_ + held.args.load.descriptor_index);
    count_ready(held.args.load, ready);
  }
}

void FakeSession::finish_held_loads() {
  for (const model::Submission& held : std::exchange(held_loads_, {})) {
    count_ready(held.args.load, 0);
    completions_.put(answer(held));
  }
}

Errc FakeSession::begin_fill(const model::BeginFillArgs& args, model::BeginFillResult& result) {
  const FakeStore::Key key{static_cast<FillKind>(args.kind), args.end_units * layout_.unit_tokens};
  store_.last_fill = args;
  result.duplicate = store_.objects.contains(key);
  if (result.duplicate) return Errc::kOk;
  result.fill = next_id_++;
  fills_[result.fill] = args;
  return Errc::kOk;
}

Errc FakeSession::commit(const model::CommitArgs& args, model::CommitResult& result) {
  const auto fill = fills_.find(args.fill);
  if (fill == fills_.end()) return Errc::kNotFound;
  const Errc ordered = std::exchange(store_.next_commit, Errc::kOk);
  if (ordered != Errc::kOk) return ordered;
  const auto kind = static_cast<FillKind>(fill->second.kind);
  const uint32_t end_tokens = fill->second.end_units * layout_.unit_tokens;
  std::vector<model::PageDescriptor> pages;
  for (const auto& page : model::plan_pages(layout_, kind, end_tokens, args.groups).pages) {
    pages.push_back(
        store_.put(staging_ + args.staging_offset + page.staging_offset, page.bytes, page.group));
  }
  store_.objects[{kind, end_tokens}] = std::move(pages);
  fills_.erase(fill);
  result.visible = 1;
  auto& mark = kind == FillKind::kSpan ? progress().committed_tokens : progress().checkpoint_tokens;
  mark.store(std::max(mark.load(), end_tokens), std::memory_order_release);
  return Errc::kOk;
}

}  // namespace quire::client
