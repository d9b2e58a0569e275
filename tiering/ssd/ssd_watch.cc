#include "tiering/ssd/ssd_watch.h"

#include <utility>

namespace quire::tiering {

namespace {

// Room for what the manifest writes in a while. A region need not fit: a tier whose file system has
// no room for one goes on with those it has, if it has any.
constexpr uint64_t kProbedBytes = 1 << 20;

}  // namespace

// Made while the device works: a file system that fails later makes no file to probe with.
SsdWatch::SsdWatch(const SsdWatchParts& parts, int64_t hang_ns) : parts_(parts), hang_ns_(hang_ns) {
  if (!parts_.contents->directory()->read_only()) make_probe();
}

// When it cannot be made now it is made when it is needed.
void SsdWatch::make_probe() {
  auto made = SsdProbe::create(parts_.contents->directory(), parts_.io, parts_.engine);
  if (made.ok()) probe_ = std::move(made).value();
}

// The verdict first: a look may start the next probe.
bool SsdWatch::step(int64_t now_ns) {
  const bool late = finish_probe(now_ns);
  look(now_ns);
  return late;
}

bool SsdWatch::finish_probe(int64_t now_ns) {
  if (probe_ != nullptr && probe_->step()) probe_done_ = true;
  if (!probe_done_) return false;
  const bool waited = parts_.contents->waits_for_writes();
  // Files that were opened for reading are opened anew: nothing may be under way in them.
  if (waited && probe_->write_worked() && !parts_.mover->idle()) return false;
  probe_done_ = false;
  const bool write_worked = probe_->write_worked() && parts_.contents->make_writable().ok();
  parts_.health->probe_finished(probe_->read_worked(), write_worked, now_ns);
  return waited && write_worked;
}

void SsdWatch::look(int64_t now_ns) {
  if (now_ns - last_look_ns_ < kLookNs) return;
  last_look_ns_ = now_ns;
  parts_.mover->find_hangs(now_ns, hang_ns_);
  // A verdict that waits is not overtaken by another probe.
  if (probe_done_ || (probe_ != nullptr && probe_->running())) return;
  if (!parts_.health->probe_due(now_ns)) return;
  if (probe_ == nullptr) make_probe();
  if (probe_ == nullptr) {
    parts_.health->probe_finished(false, false, now_ns);
    return;
  }
  const SsdSpace& space = *parts_.contents->space();
  const bool any = space.usage().allocated_bytes > 0;
  probe_->start(any ? kProbedBytes : space.region_bytes());
}

}  // namespace quire::tiering
