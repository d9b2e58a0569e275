#include "client/segment_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "model/check.h"

// Newer than the C library's headers.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // Linux 5.1
#endif

namespace quire::client {

namespace {

using model::Errc;
using model::Result;

model::Error refuse(uint32_t segment, std::string_view why) {
  return model::make_error(Errc::kCorrupt,
                           "segment " + std::to_string(segment) + " " + std::string(why));
}

}  // namespace

Result<model::Mapping> SegmentMap::map_sealed(int fd, const model::SegmentInfo& info,
                                              bool populate) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return model::errno_error("fstat of a segment");
  // Size and seals together: the file is long enough, and stays so.
  if (info.bytes == 0 || static_cast<uint64_t>(status.st_size) < info.bytes) {
    return refuse(info.segment, "is smaller than announced");
  }
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kNeeded) != kNeeded) return refuse(info.segment, "is not sealed");
  // Read-only, as the descriptor is: the bytes are other sessions' too.
  model::Mapping mapping = QUIRE_TRY(model::Mapping::map_shared(fd, info.bytes, false));
  // Pages of a context have no business in a core dump.
  ::madvise(mapping.data(), mapping.bytes(), MADV_DONTDUMP);
  // A forked child must not use the session anyway (ForkGuard); with the mapping it would keep a
  // segment's memory, at its user's expense, long after this process gave it back.
  ::madvise(mapping.data(), mapping.bytes(), MADV_DONTFORK);
  // Faults one by one cost 100 times more; where the kernel cannot do it, they are merely slow.
  if (populate) ::madvise(mapping.data(), mapping.bytes(), MADV_POPULATE_READ);
  return mapping;
}

std::vector<SegmentMap::Entry>::iterator SegmentMap::find(Table& table, uint32_t segment) {
  return std::lower_bound(table.entries.begin(), table.entries.end(), segment,
                          [](const Entry& entry, uint32_t id) { return entry.segment < id; });
}

SegmentMap::~SegmentMap() {
  if (observer_ == nullptr) return;
  for (const Entry& entry : table_.lock()->entries) observer_->unmapping(memory_of(entry));
}

SegmentMemory SegmentMap::memory_of(const Entry& entry) const {
  return {epoch_, entry.segment, entry.mapping.data(), entry.mapping.bytes()};
}

Result<void> SegmentMap::insert(uint32_t segment, model::Mapping mapping) {
  Entry fresh{segment, 0, false, std::move(mapping)};
  // Told first: from the moment that it is in the table another thread may hand out views of it.
  if (observer_ != nullptr) observer_->mapped(memory_of(fresh));
  Result<void> done;
  {
    auto table = table_.lock();
    const auto place = find(*table, segment);
    const bool known = place != table->entries.end() && place->segment == segment;
    if (!known && table->entries.size() < kMaxSegments) {
      table->entries.insert(place, std::move(fresh));
      return {};
    }
    if (!known) {
      done = model::make_error(Errc::kResourceExhausted, "too many segments are mapped");
    }
  }
  if (observer_ != nullptr) observer_->unmapping(memory_of(fresh));
  return done;
}

std::optional<SegmentView> SegmentMap::acquire(uint32_t segment) {
  auto table = table_.lock();
  const auto entry = find(*table, segment);
  if (entry == table->entries.end() || entry->segment != segment) return std::nullopt;
  // Under the lock: a retirement either sees the user or has taken the entry out.
  ++entry->users;
  return SegmentView{entry->mapping.data(), entry->mapping.bytes()};
}

void SegmentMap::release(std::span<const uint32_t> segments) {
  std::vector<Entry> gone;
  {
    auto table = table_.lock();
    for (const uint32_t segment : segments) {
      const auto entry = find(*table, segment);
      QUIRE_CHECK(entry != table->entries.end() && entry->segment == segment && entry->users > 0);
      if (--entry->users > 0 || !entry->retired) continue;
      // Unmapped outside the lock: it takes as long as thousands of look-ups.
      gone.push_back(std::move(*entry));
      table->entries.erase(entry);
    }
  }
  unmap(std::move(gone));
}

void SegmentMap::retire(uint32_t segment) {
  std::vector<Entry> gone;
  {
    auto table = table_.lock();
    const auto entry = find(*table, segment);
    const bool mapped = entry != table->entries.end() && entry->segment == segment;
    if (mapped && entry->users > 0) {
      entry->retired = true;
      return;
    }
    if (mapped) {
      gone.push_back(std::move(*entry));
      table->entries.erase(entry);
    } else {
      gone.push_back(Entry{segment, 0, true, {}});  // never seen: nothing holds it up
    }
  }
  unmap(std::move(gone));
}

void SegmentMap::unmap(std::vector<Entry> gone) {
  for (Entry& entry : gone) {
    const bool was_mapped = entry.mapping.data() != nullptr;
    if (was_mapped && observer_ != nullptr) observer_->unmapping(memory_of(entry));
    // Before the id can be acknowledged: the daemon gives the memory to another domain after that.
    entry.mapping.reset();
    table_.lock()->unmapped.push_back(entry.segment);
    unmapped_count_.fetch_add(1, std::memory_order_relaxed);
  }
}

std::vector<uint32_t> SegmentMap::take_unmapped() {
  // As a rule there is nothing, and no lock is taken.
  if (!has_unmapped()) return {};
  std::vector<uint32_t> taken = std::exchange(table_.lock()->unmapped, {});
  unmapped_count_.fetch_sub(taken.size(), std::memory_order_relaxed);
  return taken;
}

uint64_t SegmentMap::mapped_bytes() {
  auto table = table_.lock();
  uint64_t total = 0;
  for (const Entry& entry : table->entries) total += entry.mapping.bytes();
  return total;
}

}  // namespace quire::client
