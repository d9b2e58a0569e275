#include "tiering/cluster/cluster_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;

ClusterReader::ClusterReader(const ClusterParts& parts) : parts_(parts) {}

// One at least, however large.
uint32_t ClusterReader::fitting(const ReadRun& run, uint64_t& bytes) const {
  bytes = parts_.describer->extent_bytes(run.objects.front().node);
  uint32_t count = 1;
  while (count < std::min<size_t>(run.objects.size(), kMaxJobObjects)) {
    const uint64_t more = parts_.describer->extent_bytes(run.objects[count].node);
    if (bytes + more > parts_.run_bytes) break;
    bytes += more;
    ++count;
  }
  return count;
}

model::Result<uint32_t> ClusterReader::read(const ReadRun& run) {
  if (!may_read(parts_.health->mode())) {
    return model::make_error(Errc::kIoError, "the cluster tier is off");
  }
  if (under_way_ == jobs_.size()) return 0u;
  uint64_t bytes = 0;
  const uint32_t count = fitting(run, bytes);
  if (bytes > parts_.buffers->max_bytes()) {
    return model::make_error(Errc::kResourceExhausted, "larger than --cluster_queue_bytes");
  }
  RunBuffer buffer = parts_.buffers->take(bytes);
  if (!buffer.valid()) return 0u;
  const auto free = std::find_if(jobs_.begin(), jobs_.end(),
                                 [](const Job& job) { return job.stage == Stage::kFree; });
  Job& job = *free;
  ++under_way_;
  job.number = run.job;
  job.count = 0;
  job.bytes = 0;
  job.slots.clear();
  job.buffer = std::move(buffer);
  for (const ReadObject& object : run.objects.first(count)) add(job, object);
  parts_.pace->begun();
  begin(job);
  return count;
}

void ClusterReader::add(Job& job, const ReadObject& from) {
  Object& object = job.objects[job.count++];
  object = {};
  object.node = from.node;
  object.name = parts_.describer->name_of(from.node);
  object.segment = parts_.describer->segment_of(from.node);
  object.place = parts_.places->find(object.name);
  object.offset = job.bytes;
  object.bytes = parts_.describer->extent_bytes(from.node);
  object.first_slot = static_cast<uint32_t>(job.slots.size());
  object.slot_count = static_cast<uint32_t>(from.slots.size());
  object.check.id = uint64_t{2} * static_cast<uint64_t>(&job - jobs_.data()) + 1;
  job.bytes += object.bytes;
  job.slots.insert(job.slots.end(), from.slots.begin(), from.slots.end());
}

void ClusterReader::begin(Job& job) {
  const auto all = job.all();
  const bool ask = std::any_of(all.begin(), all.end(),
                               [](const Object& object) { return !object.ended && !object.place; });
  ask ? begin_asking(job) : begin_reading(job);
}

// One read a segment that they stand in.
void ClusterReader::begin_asking(Job& job) {
  job.stage = Stage::kAsking;
  job.ops.clear();
  for (uint32_t i = 0; i < job.count; ++i) {
    const Object& object = job.objects[i];
    if (object.ended || object.place) continue;
    const std::string segment = segment_object(object.name.root, object.segment);
    const auto same = std::find_if(job.ops.begin(), job.ops.end(),
                                   [&](const JobOp& op) { return op.object == segment; });
    JobOp& op = same == job.ops.end() ? job.ops.emplace_back() : *same;
    op.kind = RadosKind::kReadEntries;
    op.object = segment;
    op.keys.push_back(entry_key(object.name.kind, object.name.key));
    ++counters_.asked;
  }
  job.left = static_cast<uint32_t>(job.ops.size());
  for (JobOp& op : job.ops) {
    op.client = &client_;
    op.record = static_cast<uint32_t>(&job - jobs_.data());
    parts_.ops->submit(&op);
  }
}

void ClusterReader::take_asked(Job& job, const JobOp& op) {
  for (Object& object : job.all()) {
    const bool meant = !object.ended && !object.place &&
                       op.object == segment_object(object.name.root, object.segment);
    if (!meant) continue;
    object.asked = true;
    if (op.error != 0 && op.error != ENOENT) {
      end(object, Errc::kIoError);
      continue;
    }
    const std::string key = entry_key(object.name.kind, object.name.key);
    for (const RadosEntry& entry : op.entries) {
      if (op.error == 0 && entry.key == key) object.place = opened(entry.value, object.name);
    }
    if (object.place && object.place->bytes != object.bytes) object.place.reset();
    if (!object.place) {
      ++counters_.gone;
      end(object, Errc::kIoError);
    } else {
      parts_.places->set(object.name, *object.place);
    }
  }
}

void ClusterReader::begin_reading(Job& job) {
  job.stage = Stage::kReading;
  job.ops.clear();
  uint32_t first = 0;
  const auto is_read = [&](uint32_t i) { return !job.objects[i].ended; };
  while (first < job.count) {
    if (!is_read(first)) {
      ++first;
      continue;
    }
    uint32_t end = first + 1;
    while (end < job.count && is_read(end)) {
      const PlaceRecord& before = *job.objects[end - 1].place;
      const PlaceRecord& place = *job.objects[end].place;
      if (place.run != before.run || place.offset != before.offset + before.bytes) break;
      ++end;
    }
    add_reads(job, first, end - first);
    first = end;
  }
  job.left = static_cast<uint32_t>(job.ops.size());
  if (job.left == 0) return finish(job);
  for (JobOp& op : job.ops) parts_.ops->submit(&op);
}

// A read a piece of the run.
void ClusterReader::add_reads(Job& job, uint32_t first, uint32_t count) {
  const Object& head = job.objects[first];
  uint64_t bytes = 0;
  for (uint32_t i = first; i < first + count; ++i) bytes += job.objects[i].bytes;
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t at = head.place->offset + done;
    JobOp& op = job.ops.emplace_back();
    op.kind = RadosKind::kRead;
    op.object = run_object(head.name.root, head.place->run, at / kPieceBytes);
    op.offset = at % kPieceBytes;
    op.bytes = std::min(bytes - done, kPieceBytes - op.offset);
    op.data = job.buffer.bytes.get() + head.offset + done;
    op.client = &client_;
    op.record = static_cast<uint32_t>(&job - jobs_.data());
    op.first = first;
    op.count = count;
    done += op.bytes;
  }
}

// A run never changes: what is short of its place is not the run that was named.
void ClusterReader::take_read(Job& job, const JobOp& op) {
  ++counters_.reads;
  counters_.bytes += op.got;
  const bool whole = op.error == 0 && op.got == op.bytes;
  for (Object& object : job.all().subspan(op.first, op.count)) {
    if (whole || object.ended || !object.place) continue;
    if (op.error != 0 && op.error != ENOENT) {
      end(object, Errc::kIoError);
      continue;
    }
    parts_.places->forget(object.name);
    if (object.asked) {
      parts_.chores->drop_entry(object.name, object.segment, *object.place);
      ++counters_.gone;
      end(object, Errc::kIoError);
    }
    object.place.reset();
  }
}

void ClusterReader::begin_checking(Job& job) {
  const auto all = job.all();
  const bool ask = std::any_of(all.begin(), all.end(),
                               [](const Object& object) { return !object.ended && !object.place; });
  // What was read stays where it is in the buffer, and is read again: it is rare.
  if (ask) return begin_asking(job);
  job.stage = Stage::kChecking;
  job.pages.assign(job.slots.size(), {});
  // Counted before the first is submitted: a worker may be done with it at once.
  for (Object& object : job.all()) {
    if (!object.ended && begin_check(job, object)) ++job.left;
  }
  if (job.left == 0) return finish(job);
  for (Object& object : job.all()) {
    if (object.ended) continue;
    QUIRE_CHECK(parts_.checks->submit(&object.check));  // it has place for all of all jobs
  }
}

// What says how the pages lie is believed before they are looked at.
bool ClusterReader::begin_check(Job& job, Object& object) {
  ExtentHeader header;
  const std::byte* extent = job.buffer.bytes.get() + object.offset;
  std::memcpy(&header, extent, sizeof(header));
  if (!parts_.describer->is_header_of(object.node, header) ||
      header.page_count != object.slot_count) {
    end(object, Errc::kCorrupt);
    parts_.chores->drop_entry(object.name, object.segment, *object.place);
    return false;
  }
  const allocator::Pool& pool = parts_.cache->store().pool();
  uint64_t at = kSsdBlockBytes;
  for (uint32_t p = object.first_slot; p < object.first_slot + object.slot_count; ++p) {
    const uint64_t bytes = pool.page_bytes(job.slots[p]);
    job.pages[p] = {.source = extent + at, .target = pool.place(job.slots[p]).data, .bytes = bytes};
    at += whole_blocks(bytes);
  }
  object.check.pages = std::span(job.pages).subspan(object.first_slot, object.slot_count);
  return true;
}

void ClusterReader::judge(Job& job, Object& object) {
  ExtentHeader header;
  std::memcpy(&header, job.buffer.bytes.get() + object.offset, sizeof(header));
  allocator::Pool& pool = parts_.cache->store().pool();
  bool good = true;
  for (uint32_t p = 0; p < object.slot_count; ++p) {
    const uint32_t crc = job.pages[object.first_slot + p].crc32c;
    good = good && crc == header.pages[p].plain_crc32c;
    pool.page(job.slots[object.first_slot + p]).crc32c = crc;
  }
  if (!good) parts_.chores->drop_entry(object.name, object.segment, *object.place);
  end(object, good ? Errc::kOk : Errc::kCorrupt);
}

void ClusterReader::end(Object& object, Errc code) {
  object.ended = true;
  object.code = code;
  if (code == Errc::kOk) ++counters_.objects;
  if (code != Errc::kCorrupt) return;
  ++counters_.corrupt;
  parts_.places->forget(object.name);
}

void ClusterReader::on_checked(uint32_t record) {
  Job& job = jobs_[record];
  if (--job.left > 0) return;
  for (Object& object : job.all()) {
    if (!object.ended) judge(job, object);
  }
  finish(job);
}

void ClusterReader::take(Job& job, const JobOp& op) {
  const bool asking = job.stage == Stage::kAsking;
  asking ? take_asked(job, op) : take_read(job, op);
  if (--job.left > 0) return;
  asking ? begin_reading(job) : begin_checking(job);
}

void ClusterReader::finish(Job& job) {
  for (uint32_t i = 0; i < job.count; ++i) {
    parts_.events->push_back({.kind = TierEvent::Kind::kRead,
                              .code = job.objects[i].code,
                              .job = job.number,
                              .first = i});
  }
  parts_.pace->ended(job.bytes);
  parts_.buffers->give_back(std::move(job.buffer));
  job.stage = Stage::kFree;
  --under_way_;
}

void ClusterReader::step() {
  for (RadosOp* op : client_.take()) {
    const auto& mine = static_cast<const JobOp&>(*op);
    take(jobs_[mine.record], mine);
  }
}

bool ClusterReader::moves_for(model::DomainId domain) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) {
    return job.stage != Stage::kFree &&
           parts_.describer->root_of(job.objects[0].node).key.domain == domain;
  });
}

}  // namespace quire::tiering
