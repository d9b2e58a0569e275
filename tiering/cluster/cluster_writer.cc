#include "tiering/cluster/cluster_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;
using model::NodeId;

namespace {

// Of asking and naming, when others change the same segment all the time.
constexpr uint32_t kMaxRounds = 8;
constexpr size_t kMaxSegments = 1024;
// A segment that had nothing is taken to have nothing but what is written here.
constexpr int64_t kEmptyNs = 2'000'000'000;

}  // namespace

ClusterWriter::ClusterWriter(const ClusterParts& parts) : parts_(parts) {}

Fitting ClusterWriter::fits(NodeId node) const {
  const uint64_t bytes = parts_.describer->extent_bytes(node);
  return {bytes + sizeof(RunHeader) > largest_object_bytes() ? Fit::kTooLarge : Fit::kFits, bytes};
}

// As many as go into one run, and stand in one segment.
ClusterWriter::Reserved ClusterWriter::reserve(std::span<const NodeId> nodes) {
  QUIRE_CHECK(!reserved_ && !nodes.empty());
  const ObjectDescriber& describer = *parts_.describer;
  if (fits(nodes.front()).fit != Fit::kFits) return {.fit = Fit::kTooLarge};
  if (under_way_ == jobs_.size()) return {};
  const uint32_t segment = describer.segment_number(nodes.front());
  uint64_t bytes = sizeof(RunHeader) + describer.extent_bytes(nodes.front());
  uint32_t count = 1;
  while (count < std::min<size_t>(nodes.size(), kMaxJobObjects)) {
    const uint64_t more = describer.extent_bytes(nodes[count]);
    if (bytes + more > parts_.run_bytes || describer.segment_number(nodes[count]) != segment) break;
    bytes += more;
    ++count;
  }
  reserved_buffer_ = parts_.buffers->take(bytes);
  if (!reserved_buffer_.valid()) return {};
  reserved_ = true;
  return {.fit = Fit::kFits, .objects = count, .bytes = bytes};
}

void ClusterWriter::give_back() {
  reserved_ = false;
  parts_.buffers->give_back(std::move(reserved_buffer_));
}

void ClusterWriter::write(std::span<const NodeId> nodes, uint32_t number) {
  QUIRE_CHECK(std::exchange(reserved_, false));
  const auto free = std::find_if(jobs_.begin(), jobs_.end(),
                                 [](const Job& job) { return job.stage == Stage::kFree; });
  Job& job = *free;
  ++under_way_;
  job.number = number;
  job.count = static_cast<uint32_t>(nodes.size());
  job.rounds = 0;
  job.written = false;
  job.error = 0;
  job.slots.clear();
  job.buffer = std::move(reserved_buffer_);
  job.header = parts_.describer->run_header(nodes.front(), {parts_.writer, next_run_++});
  for (uint32_t i = 0; i < job.count; ++i) {
    Object& object = job.objects[i];
    object = {};
    object.node = nodes[i];
    object.name = parts_.describer->name_of(nodes[i]);
    object.units = parts_.cache->store().tree().node(nodes[i]).units();
    object.bytes = parts_.describer->extent_bytes(nodes[i]);
    object.check.id = uint64_t{2} * static_cast<uint64_t>(free - jobs_.begin());
    const std::vector<model::SlotId> slots = parts_.describer->slots_of(nodes[i]);
    object.first_page = static_cast<uint32_t>(job.slots.size());
    object.page_count = static_cast<uint32_t>(slots.size());
    job.slots.insert(job.slots.end(), slots.begin(), slots.end());
  }
  job.index.record = static_cast<uint32_t>(free - jobs_.begin());
  job.index.object = segment_object(job.header.root, job.header.segment);
  job.index.client = &client_;
  parts_.epochs->raise(parts_.describer->root_of(nodes.front()).key);
  if (segments_.size() >= kMaxSegments) forget_segments();
  const int64_t empty_ns = segment_of(job).empty_ns;
  const bool is_empty = empty_ns != 0 && parts_.clock->now_ns() - empty_ns < kEmptyNs;
  is_empty ? begin_copying(job) : begin_asking(job);
}

// Those that are being changed stay. A job whose segment is forgotten takes it for a new one, is
// refused if it is none, and asks again.
void ClusterWriter::forget_segments() {
  std::erase_if(segments_,
                [&](const auto& one) { return !one.second.naming && one.second.waiting.empty(); });
}

void ClusterWriter::begin_asking(Job& job) {
  job.stage = Stage::kAsking;
  job.index.kind = RadosKind::kReadEntries;
  job.index.keys.clear();
  for (const Object& object : job.all()) {
    job.index.keys.push_back(entry_key(object.name.kind, object.name.key));
  }
  parts_.ops->submit(&job.index);
}

// What is there is a duplicate: what it leads to was durable before it was named.
void ClusterWriter::take_asked(Job& job) {
  if (job.index.error != 0 && job.index.error != ENOENT) return finish(job, Errc::kIoError);
  Segment& segment = segment_of(job);
  segment.exists = job.index.error == 0;
  if (!segment.exists) job.index.entries.clear();
  segment.empty_ns = job.index.entries.empty() ? parts_.clock->now_ns() : 0;
  bool any = false;
  for (Object& object : job.all()) {
    if (object.state != State::kAbsent) continue;
    const std::string key = entry_key(object.name.kind, object.name.key);
    const auto entry = std::find_if(job.index.entries.begin(), job.index.entries.end(),
                                    [&](const RadosEntry& one) { return one.key == key; });
    const auto place =
        entry == job.index.entries.end() ? std::nullopt : opened(entry->value, object.name);
    if (place && place->units == object.units) {
      object.state = State::kPresent;
      parts_.places->set(object.name, *place);
      ++(job.written ? counters_.races : counters_.duplicates);
    }
    any = any || object.state == State::kAbsent;
  }
  if (any) return job.written ? begin_naming(job) : begin_copying(job);
  if (job.written) parts_.chores->drop_run(job.header.root, job.header.name, job.run_bytes);
  finish(job, Errc::kOk);
}

void ClusterWriter::begin_copying(Job& job) {
  job.stage = Stage::kCopying;
  const allocator::Pool& pool = parts_.cache->store().pool();
  job.pages.resize(job.slots.size());
  uint64_t offset = sizeof(RunHeader);
  for (Object& object : job.all()) {
    if (object.state != State::kAbsent) continue;
    object.offset = offset;
    uint64_t at = offset + kSsdBlockBytes;
    offset += object.bytes;
    for (uint32_t p = object.first_page; p < object.first_page + object.page_count; ++p) {
      const uint64_t bytes = pool.page_bytes(job.slots[p]);
      job.pages[p] = {.source = pool.place(job.slots[p]).data,
                      .target = job.buffer.bytes.get() + at,
                      .bytes = bytes};
      // What lies between pages is nobody's bytes, and is not sent.
      const uint64_t end = at + bytes;
      at += whole_blocks(bytes);
      std::memset(job.buffer.bytes.get() + end, 0, at - end);
    }
    object.check.pages = std::span(job.pages).subspan(object.first_page, object.page_count);
    ++job.left;
    QUIRE_CHECK(parts_.checks->submit(&object.check));  // it has place for all of all jobs
  }
}

void ClusterWriter::on_checked(uint32_t record) {
  Job& job = jobs_[record];
  if (--job.left == 0) begin_putting(job);
}

// What is not what was sealed is not written, nor what depends on it.
void ClusterWriter::begin_putting(Job& job) {
  const allocator::Pool& pool = parts_.cache->store().pool();
  bool behind = false;
  for (Object& object : job.all()) {
    if (object.state != State::kAbsent) continue;
    for (uint32_t p = object.first_page; p < object.first_page + object.page_count; ++p) {
      if (job.pages[p].crc32c != pool.page(job.slots[p]).crc32c) object.state = State::kCorrupt;
    }
    if (behind) object.state = State::kBehind;
    behind = behind || object.state == State::kCorrupt;
  }
  seal_run(job);
  if (job.header.object_count == 0) return finish(job, Errc::kOk);
  job.stage = Stage::kPutting;
  job.puts.assign(piece_count(job.run_bytes), {});
  job.left = static_cast<uint32_t>(job.puts.size());
  for (size_t piece = 0; piece < job.puts.size(); ++piece) {
    JobOp& put = job.puts[piece];
    put.kind = RadosKind::kWriteWhole;
    put.object = run_object(job.header.root, job.header.name, piece);
    put.data = job.buffer.bytes.get() + piece * kPieceBytes;
    put.bytes = std::min(kPieceBytes, job.run_bytes - piece * kPieceBytes);
    put.client = &client_;
    put.record = job.index.record;
    parts_.ops->submit(&put);
  }
}

void ClusterWriter::seal_run(Job& job) {
  job.header.object_count = 0;
  job.run_bytes = 0;
  for (const Object& object : job.all()) {
    if (object.state != State::kAbsent) continue;
    ExtentHeader extent = parts_.describer->extent_header(object.node);
    extent.slot = job.header.object_count;
    for (uint32_t p = 0; p < object.page_count; ++p) {
      extent.pages[p].plain_crc32c = job.pages[object.first_page + p].crc32c;
      extent.pages[p].stored_crc32c = extent.pages[p].plain_crc32c;
    }
    seal(extent);
    std::memcpy(job.buffer.bytes.get() + object.offset, &extent, sizeof(extent));
    job.header.objects[job.header.object_count++] = {.key = object.name.key,
                                                     .offset = object.offset,
                                                     .bytes = object.bytes,
                                                     .units = object.units,
                                                     .kind = extent.kind};
    job.run_bytes = object.offset + object.bytes;
  }
  job.header.run_bytes = job.run_bytes;
  seal(job.header);
  std::memcpy(job.buffer.bytes.get(), &job.header, sizeof(job.header));
}

PlaceRecord ClusterWriter::place_of(const Job& job, const Object& object) const {
  const auto* end = job.header.objects.begin() + job.header.object_count;
  const auto* entry = std::find_if(job.header.objects.begin(), end, [&](const RunObject& one) {
    return one.key == object.name.key;
  });
  return {.run = job.header.name,
          .offset = object.offset,
          .bytes = object.bytes,
          .weights_epoch = job.header.weights_epoch,
          .units = object.units,
          .index = static_cast<uint32_t>(entry - job.header.objects.begin())};
}

void ClusterWriter::begin_naming(Job& job) {
  job.stage = Stage::kNaming;
  Segment& segment = segment_of(job);
  segment.waiting.push_back(job.index.record);
  if (!segment.naming) name_waiting(segment);
}

// By the first one's operation.
void ClusterWriter::name_waiting(Segment& segment) {
  if (segment.waiting.empty()) return;
  segment.naming = true;
  ++counters_.namings;
  Job& first = jobs_[segment.waiting.front()];
  first.named = std::exchange(segment.waiting, {});
  JobOp& index = first.index;
  index.kind = RadosKind::kChangeEntries;
  index.create = !segment.exists;
  index.keys.clear();
  index.entries.clear();
  index.expected.clear();
  for (const uint32_t record : first.named) {
    const Job& job = jobs_[record];
    for (const Object& object : std::span(job.objects).first(job.count)) {
      if (object.state != State::kAbsent) continue;
      const std::string key = entry_key(object.name.kind, object.name.key);
      index.entries.push_back({key, sealed(place_of(job, object), object.name)});
      if (segment.exists) index.expected.push_back({key, {}});
    }
  }
  parts_.ops->submit(&index);
}

void ClusterWriter::take_named(Job& first) {
  const std::vector<uint32_t> named = std::exchange(first.named, {});
  const int error = first.index.error;
  Segment& segment = segment_of(first);
  segment.naming = false;
  if (error == 0) {
    segment.exists = true;
  } else {
    segment.empty_ns = 0;
  }
  for (const uint32_t record : named) {
    Job& job = jobs_[record];
    if (error == 0) {
      for (const Object& object : job.all()) {
        if (object.state != State::kAbsent) continue;
        parts_.places->set(object.name, place_of(job, object));
        ++counters_.objects;
      }
      finish(job, Errc::kOk);
    } else if (error != EEXIST && error != ENOENT && error != ECANCELED) {
      finish(job, Errc::kIoError);
    } else {
      ++job.rounds > kMaxRounds ? finish(job, Errc::kBusy) : begin_asking(job);
    }
  }
  name_waiting(segment);
}

void ClusterWriter::take(Job& job, const RadosOp& op) {
  switch (job.stage) {
    case Stage::kAsking:
      return take_asked(job);
    case Stage::kNaming:
      return take_named(job);
    case Stage::kPutting:
      if (op.error != 0) job.error = op.error;
      if (--job.left > 0) return;
      if (job.error != 0) return finish(job, Errc::kIoError);
      job.written = true;
      ++counters_.runs;
      counters_.bytes += job.run_bytes;
      return begin_naming(job);
    case Stage::kCopying:
    case Stage::kFree:
      break;
  }
  QUIRE_CHECK(false);
}

// What is on the tier stays prefix-closed: what stands behind the first that failed counts as
// failed too, though it may be there. Those are told from the deep end on.
void ClusterWriter::finish(Job& job, Errc error) {
  uint32_t good = 0;
  const auto is_good = [&](const Object& object) {
    return object.state == State::kPresent ||
           (error == Errc::kOk && object.state == State::kAbsent);
  };
  while (good < job.count && is_good(job.objects[good])) ++good;
  for (uint32_t i = job.count; i > good; --i) {
    const State state = job.objects[i - 1].state;
    const Errc code = state == State::kCorrupt ? Errc::kCorrupt
                      : error == Errc::kOk     ? Errc::kBusy
                                               : error;
    parts_.events->push_back(
        {.kind = TierEvent::Kind::kWritten, .code = code, .job = job.number, .first = i - 1});
  }
  if (good > 0) {
    parts_.events->push_back(
        {.kind = TierEvent::Kind::kWritten, .job = job.number, .first = 0, .count = good});
  }
  parts_.buffers->give_back(std::move(job.buffer));
  job.puts.clear();
  job.stage = Stage::kFree;
  --under_way_;
}

void ClusterWriter::step() {
  for (RadosOp* op : client_.take()) take(jobs_[static_cast<JobOp*>(op)->record], *op);
}

bool ClusterWriter::moves_for(model::DomainId domain) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) {
    return job.stage != Stage::kFree &&
           parts_.describer->root_of(job.objects[0].node).key.domain == domain;
  });
}

}  // namespace quire::tiering
