#include "server/rings/hit_checks.h"

#include <algorithm>
#include <utility>

namespace quire::server {

using model::Errc;

bool HitChecks::start(PendingId id, HitCheck&& check) {
  CopyJob* job = jobs_->take(check.domain());
  if (job == nullptr) return false;
  const uint32_t span_pages = check.result.descriptor_count - check.result.checkpoint_count;
  check.pages_per_span = check.result.block_count == 0 ? 0 : span_pages / check.result.block_count;
  // Keeps the attachment until the last batch is back. The hold keeps the lease, whose pins the
  // workers rely on.
  ++check.attachment->copies_in_flight;
  checks_.emplace(id.value, std::move(check));
  submit(id, job);
  return true;
}

void HitChecks::submit(PendingId id, CopyJob* job) {
  HitCheck& check = checks_.at(id.value);
  job->purpose = CopyPurpose::kVerify;
  job->attachment = check.attachment;
  job->pending = id;
  job->page_count =
      static_cast<uint32_t>(std::min<size_t>(job->pages.size(), check.slots.size() - check.next));
  const allocator::Pool& pool = cache_->store().pool();
  for (uint32_t i = 0; i < job->page_count; ++i) {
    const model::SlotId slot = check.slots[check.next + i];
    job->pages[i] = {.source = pool.place(slot).data, .bytes = pool.page_bytes(slot)};
  }
  job->task.pages = std::span(job->pages.data(), job->page_count);
  check.next += job->page_count;
  QUIRE_CHECK(copies_->submit(&job->task));
}

// Index in check.slots; their count when every page is what was sealed.
size_t HitChecks::first_bad(const HitCheck& check, const CopyJob& job) const {
  const size_t first = check.next - job.page_count;
  for (size_t i = 0; i < job.page_count; ++i) {
    // The slots are pinned since the load, so the sums are still those of the pages that were read.
    const uint32_t sealed = cache_->store().pool().page(check.slots[first + i]).crc32c;
    if (job.pages[i].crc32c != sealed) return first + i;
  }
  return check.slots.size();
}

std::optional<HitCheck> HitChecks::finish(CopyJob* job) {
  const auto found = checks_.find(job->pending.value);
  HitCheck& check = found->second;
  const size_t bad = first_bad(check, *job);
  const bool more = check.next < check.slots.size() && !check.attachment->ended;
  if (bad == check.slots.size() && more) {
    submit(job->pending, job);
    return std::nullopt;
  }
  if (bad < check.slots.size()) {
    ++failures_;
    cache_->store().quarantine(
        model::NodeId{cache_->store().pool().page(check.slots[bad]).owner - 1});
    check.code = Errc::kCorrupt;
    // Blocks before the bad page were found good: they are delivered. The checkpoint needs all of
    // them.
    const auto head =
        check.pages_per_span == 0 ? uint32_t{0} : static_cast<uint32_t>(bad / check.pages_per_span);
    check.result.block_count = std::min(head, check.result.block_count);
    check.result.checkpoint_count = 0;
    check.result.descriptor_count = check.result.block_count * check.pages_per_span;
  }
  --check.attachment->copies_in_flight;
  HitCheck ended = std::move(check);
  checks_.erase(found);
  jobs_->give_back(job);
  return ended;
}

}  // namespace quire::server
