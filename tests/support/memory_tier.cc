#include "tests/support/memory_tier.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cache/objects/pin.h"
#include "model/check.h"
#include "tests/support/inspector.h"
#include "tiering/io/crc_copy.h"

namespace quire::tests {

using model::Errc;
using model::NodeId;
using tiering::Fit;
using tiering::TierEvent;

MemoryTier::MemoryTier(cache::Cache* cache, const MemoryTierOptions& options)
    : cache_(cache),
      options_(options),
      random_(options.seed),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  QUIRE_CHECK(options.least_steps <= options.most_steps &&
              options.job_objects <= tiering::kMaxJobObjects);
}

bool MemoryTier::Faults::hits() {
  const uint64_t index = seen++;
  return from_then_on ? index >= nth : index == nth;
}

void MemoryTier::fail_write(uint64_t nth, bool from_then_on) {
  write_faults_ = {.nth = nth, .from_then_on = from_then_on};
}

void MemoryTier::fail_read(uint64_t nth, TierFault fault) {
  read_faults_ = {.nth = nth, .fault = fault};
}

void MemoryTier::clear_faults() {
  write_faults_ = {};
  read_faults_ = {};
}

void MemoryTier::grow(uint64_t capacity_bytes) {
  options_.capacity_bytes = capacity_bytes;
  events_.push_back({.kind = TierEvent::Kind::kRoomier});
}

void MemoryTier::lose(NodeId node) {
  cache_->store().lose_copy(node, id(), {cache::DepartureCause::kRenewed});
  events_.push_back({.kind = TierEvent::Kind::kLost, .node = node});
}

tiering::TierState MemoryTier::state() const {
  const bool whole = mode_ == tiering::TierMode::kOk;
  return {.mode = mode_,
          .whole = whole,
          .reason = whole ? "" : "a test said so",
          .action = whole ? "" : "none"};
}

uint64_t MemoryTier::bytes_of(NodeId node) const {
  return tiering::object_bytes(cache_->store().presence().plan_of(node));
}

uint64_t MemoryTier::room_left() const {
  return options_.capacity_bytes -
         std::min(options_.capacity_bytes, bytes_ + room_bytes_ + write_bytes_);
}

size_t MemoryTier::jobs_of(bool write) const {
  return static_cast<size_t>(std::count_if(jobs_.begin(), jobs_.end(),
                                           [&](const Job& job) { return job.write == write; }));
}

// The capacity must hold the whole path, or its end would push out its head.
tiering::Fitting MemoryTier::fits(NodeId node) {
  const cache::PrefixTree& tree = cache_->store().tree();
  const uint64_t bytes = bytes_of(node);
  if (bytes > options_.largest_object_bytes) return {Fit::kTooLarge, bytes};
  uint64_t path = 0;
  for (NodeId up = node; !tree.node(up).is_root(); up = tree.parent(up)) path += bytes_of(up);
  return {path > options_.capacity_bytes ? Fit::kTooDeep : Fit::kFits, bytes};
}

// How many of them fit now, and what they take.
uint32_t MemoryTier::fitting(std::span<const NodeId> nodes, uint64_t& bytes) const {
  uint32_t count = 0;
  bytes = 0;
  while (count < std::min<size_t>(nodes.size(), options_.job_objects)) {
    const uint64_t more = bytes_of(nodes[count]);
    if (bytes + more > room_left()) break;
    bytes += more;
    ++count;
  }
  return count;
}

// Not of the parent's copy: its child's would be lost with it.
bool MemoryTier::make_room(std::span<const NodeId> nodes) {
  cache::ObjectStore& store = cache_->store();
  const cache::Pin stays(&store, store.tree().parent(nodes.front()), cache::PinKind::kPresence);
  const model::TenantId tenant =
      cache_->names().root(store.tree().node(nodes.front()).root()).tenant;
  while (bytes_of(nodes.front()) > room_left()) {
    if (is_cluster()) return false;  // what the cache forgets takes its room still
    if (!cache_->evictor().evict_copy(id(), tenant)) return false;
    erase(store.given_up());
    store.given_up().clear();
  }
  return true;
}

tiering::WriteOffer MemoryTier::reserve(std::span<const NodeId> nodes) {
  QUIRE_CHECK(room_bytes_ == 0 && !nodes.empty());
  if (mode_ != tiering::TierMode::kOk || jobs_of(true) >= options_.max_jobs) return {};
  is_full_ = !make_room(nodes);
  if (is_full_) return {};
  uint64_t bytes = 0;
  const uint32_t count = fitting(nodes, bytes);
  room_bytes_ = bytes;
  return {.fit = Fit::kFits, .room = tiering::WriteRoom(this, count, bytes)};
}

void MemoryTier::give_back_room() {
  room_bytes_ = 0;
  ++rooms_given_back_;
}

MemoryTier::Job& MemoryTier::begin(bool write, uint32_t number) {
  std::uniform_int_distribution<uint64_t> steps(options_.least_steps, options_.most_steps);
  calls_.push_back({.write = write, .job = number, .nodes = {}});
  jobs_.push_back({.write = write, .number = number, .due_step = step_ + steps(random_)});
  return jobs_.back();
}

void MemoryTier::write(tiering::WriteRoom&& room, std::span<const NodeId> nodes, uint32_t job) {
  QUIRE_CHECK(room_bytes_ > 0 && nodes.size() == room.objects());
  room.take();
  Job& begun = begin(true, job);
  begun.bytes = std::exchange(room_bytes_, 0);
  write_bytes_ += begun.bytes;
  for (const NodeId node : nodes) {
    begun.objects.push_back({.node = node, .slots = {}});
    calls_.back().nodes.push_back(node);
  }
}

model::Result<uint32_t> MemoryTier::read(const tiering::ReadRun& run) {
  QUIRE_CHECK(may_read(mode_) && !run.objects.empty());
  if (jobs_of(false) >= options_.max_jobs) return 0u;
  const auto count =
      static_cast<uint32_t>(std::min<size_t>(run.objects.size(), options_.job_objects));
  Job& begun = begin(false, run.job);
  for (const tiering::ReadObject& object : run.objects.first(count)) {
    begun.objects.push_back(
        {.node = object.node, .slots = {object.slots.begin(), object.slots.end()}});
    calls_.back().nodes.push_back(object.node);
  }
  return count;
}

void MemoryTier::drop(uint32_t slot) {
  const auto found = objects_.find(slot);
  if (found == objects_.end()) return;
  bytes_ -= found->second.bytes;
  objects_.erase(found);
  std::erase_if(slots_, [&](const auto& one) { return one.second == slot; });
}

std::unique_ptr<MemoryTier::Contents> MemoryTier::take_contents() {
  auto contents = std::make_unique<Contents>(
      Contents{std::move(objects_), std::move(slots_), bytes_, next_slot_});
  wipe();
  return contents;
}

void MemoryTier::put_contents(std::unique_ptr<Contents> contents) {
  objects_ = std::move(contents->objects);
  slots_ = std::move(contents->slots);
  bytes_ = contents->bytes;
  next_slot_ = contents->next_slot;
}

void MemoryTier::wipe() {
  objects_.clear();
  slots_.clear();
  bytes_ = 0;
}

void MemoryTier::remove(NodeId node) {
  if (const auto slot = slot_of(node)) drop(*slot);
}

MemoryTier::Name MemoryTier::name_of(const model::Hash256& root, cache::NodeKind kind,
                                     const model::Hash256& key) {
  return {root.bytes, kind, key.bytes};
}

MemoryTier::Name MemoryTier::name_of(NodeId node) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  const cache::Node& link = tree.node(node);
  return name_of(cache_->names().root(link.root()).hash, link.kind(), tree.key(node));
}

std::optional<uint32_t> MemoryTier::slot_of(NodeId node) const {
  if (!is_cluster()) {
    const std::optional<SsdCopy> copy = Inspector(*cache_).ssd_copy(node);
    return copy ? std::optional(copy->slot) : std::nullopt;
  }
  const auto found = slots_.find(name_of(node));
  return found == slots_.end() ? std::nullopt : std::optional(found->second);
}

void MemoryTier::erase(std::span<const cache::GivenUpCopy> copies) {
  for (const cache::GivenUpCopy& copy : copies) drop(copy.slot);
}

// Law 4: what is not what was sealed is not kept.
Errc MemoryTier::keep(NodeId node, uint32_t slot) {
  Stored stored{.key = cache_->store().tree().key(node), .bytes = bytes_of(node)};
  for (const RamPage& page : Inspector(*cache_).pages(node)) {
    if (tiering::crc32c(page.bytes.data(), page.bytes.size()) != page.crc32c) {
      return Errc::kCorrupt;
    }
    stored.pages.push_back({{page.bytes.begin(), page.bytes.end()}, page.crc32c});
  }
  // Who writes an object again writes what is there already.
  if (is_cluster()) {
    remove(node);
    slots_.emplace(name_of(node), slot);
  }
  bytes_ += stored.bytes;
  objects_.emplace(slot, std::move(stored));
  return Errc::kOk;
}

// Those before the first that fails are durable; what stands behind it is not written either.
void MemoryTier::end_write(const Job& job) {
  write_bytes_ -= job.bytes;
  const uint32_t first = next_slot_;
  std::vector<Errc> codes;
  uint32_t good = 0;
  for (const JobObject& object : job.objects) {
    const bool refused = mode_ != tiering::TierMode::kOk || write_faults_.hits();
    const bool behind = good < codes.size();
    codes.push_back(refused || behind ? Errc::kIoError : keep(object.node, next_slot_));
    if (codes.back() != Errc::kOk) continue;
    ++good;
    ++next_slot_;
  }
  for (auto i = static_cast<uint32_t>(codes.size()); i > good; --i) {
    events_.push_back({.kind = TierEvent::Kind::kWritten,
                       .code = codes[i - 1],
                       .job = job.number,
                       .first = i - 1});
  }
  if (good == 0) return;
  events_.push_back({.kind = TierEvent::Kind::kWritten,
                     .job = job.number,
                     .count = good,
                     .place = {.slot = first, .generation = static_cast<uint16_t>(first)}});
}

Errc MemoryTier::bring(const JobObject& object) {
  const std::optional<uint32_t> slot = slot_of(object.node);
  const auto found = slot ? objects_.find(*slot) : objects_.end();
  if (!may_read(mode_) || found == objects_.end()) return Errc::kIoError;
  if (read_faults_.hits()) {
    if (read_faults_.fault == TierFault::kFail) return Errc::kIoError;
    if (read_faults_.fault == TierFault::kForget) {
      drop(found->first);
      return Errc::kIoError;
    }
    found->second.pages.front().bytes.front() ^= std::byte{1};
  }
  const Stored& stored = found->second;
  if (stored.key != cache_->store().tree().key(object.node)) return Errc::kCorrupt;
  QUIRE_CHECK(stored.pages.size() == object.slots.size());
  allocator::Pool& pool = cache_->store().pool();
  for (size_t i = 0; i < stored.pages.size(); ++i) {
    const StoredPage& page = stored.pages[i];
    const uint32_t crc =
        tiering::crc_copy(pool.place(object.slots[i]).data, page.bytes.data(), page.bytes.size());
    if (crc != page.crc32c) return Errc::kCorrupt;
    pool.page(object.slots[i]).crc32c = crc;
  }
  return Errc::kOk;
}

void MemoryTier::end_read(const Job& job) {
  for (uint32_t i = 0; i < job.objects.size(); ++i) {
    events_.push_back({.kind = TierEvent::Kind::kRead,
                       .code = bring(job.objects[i]),
                       .job = job.number,
                       .first = i});
  }
}

bool MemoryTier::step(const tiering::StepHints& hints) {
  hints_ = hints;
  ++step_;
  if (held_) return false;
  const auto due = std::stable_partition(jobs_.begin(), jobs_.end(),
                                         [&](const Job& job) { return job.due_step > step_; });
  std::vector<Job> ended(std::make_move_iterator(due), std::make_move_iterator(jobs_.end()));
  jobs_.erase(due, jobs_.end());
  std::stable_sort(ended.begin(), ended.end(),
                   [](const Job& a, const Job& b) { return a.due_step < b.due_step; });
  for (const Job& job : ended) job.write ? end_write(job) : end_read(job);
  return end_searches() || !ended.empty();
}

model::Result<void> MemoryTier::ask(const tiering::ChainQuestion& question) {
  if (!may_read(mode_)) return model::make_error(Errc::kIoError, "a test said so");
  if (searches_.size() >= options_.max_jobs) {
    return model::make_error(Errc::kResourceExhausted, "too many questions");
  }
  ++questions_;
  const cache::Root& root = cache_->names().root(question.root);
  std::uniform_int_distribution<uint64_t> steps(options_.least_steps, options_.most_steps);
  searches_.push_back({.job = question.job,
                       .due_step = step_ + steps(random_),
                       .root = root.hash,
                       .known_units = question.known_units,
                       .block_units = root.layout->units_per_block,
                       .chain = {}});
  for (uint32_t units = 1; units <= question.chain.count(); ++units) {
    searches_.back().chain.push_back(question.chain.after(units));
  }
  return {};
}

tiering::FoundChain MemoryTier::take_found(uint32_t job) {
  tiering::FoundChain found = std::move(found_.at(job));
  found_.erase(job);
  return found;
}

void MemoryTier::write(uint32_t job, const std::string& name, const std::string& value) {
  const bool kept = mode_ == tiering::TierMode::kOk;
  if (kept) notes_[name] = value;
  note_answers_.push_back(
      {.job = job, .code = kept ? model::Errc::kOk : model::Errc::kIoError, .value = {}});
}

void MemoryTier::read(uint32_t job, const std::string& name) {
  const auto note = notes_.find(name);
  tiering::NoteAnswer answer{.job = job, .code = model::Errc::kNotFound, .value = {}};
  if (!may_read(mode_)) {
    answer.code = model::Errc::kIoError;
  } else if (note != notes_.end()) {
    answer = {.job = job, .code = model::Errc::kOk, .value = note->second};
  }
  note_answers_.push_back(std::move(answer));
}

tiering::FoundChain MemoryTier::look(const Search& search) const {
  tiering::FoundChain found{.objects = {}, .round_trips = 1, .cut_short = !may_read(mode_)};
  if (found.cut_short) return found;
  const auto look_at = [&](cache::NodeKind kind, uint32_t units) {
    const model::Hash256& key = search.chain[units - 1];
    if (!slots_.contains(name_of(search.root, kind, key))) return false;
    found.objects.push_back({.kind = kind, .key = key, .units = units});
    return true;
  };
  uint32_t end = search.known_units;
  while (end + search.block_units <= search.chain.size() &&
         look_at(cache::NodeKind::kSpan, end + search.block_units)) {
    end += search.block_units;
  }
  const size_t last = std::min<size_t>(end + search.block_units - 1, search.chain.size());
  for (uint32_t units = 1; units <= last; ++units) look_at(cache::NodeKind::kCheckpoint, units);
  if (lies_ && found.objects.size() > 1) found.objects[1].key.bytes[31] ^= 1;
  return found;
}

bool MemoryTier::end_searches() {
  const auto due = std::stable_partition(searches_.begin(), searches_.end(),
                                         [&](const auto& one) { return one.due_step > step_; });
  const bool any = due != searches_.end();
  for (auto one = due; one != searches_.end(); ++one) {
    found_.emplace(one->job, look(*one));
    events_.push_back({.kind = TierEvent::Kind::kFound, .job = one->job});
  }
  searches_.erase(due, searches_.end());
  return any;
}

bool MemoryTier::moves_for(model::DomainId domain) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) {
    const model::RootId root = tree.node(job.objects.front().node).root();
    return cache_->names().root(root).key.domain == domain;
  });
}

void MemoryTier::describe(model::MetricSink& sink, tiering::TierSection section) const {
  if (section != tiering::TierSection::kItself) return;
  sink.gauge("used_bytes", bytes_, "Bytes that it keeps");
  sink.gauge("transfers", jobs_.size(), "Jobs under way");
}

}  // namespace quire::tests
