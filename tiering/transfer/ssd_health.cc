#include "tiering/transfer/ssd_health.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace quire::tiering {
namespace {

// What came from a system call or a library stays one line.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return line;
}

bool is_space_error(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

std::string_view action_for(int error) {
  switch (error) {
    case ENOSPC:
      return "make room on the file system of the directory, or allow the tier fewer bytes; "
             "writing resumes by itself";
    case EDQUOT:
      return "raise the disk quota of the daemon's user; writing resumes by itself";
    case EFBIG:
      return "raise the daemon's limit of a file's size (ulimit -f, LimitFSIZE=); writing resumes "
             "by itself";
    case EROFS:
      return "the file system is mounted read-only: see dmesg for why, then remount it";
    case EACCES:
    case EPERM:
      return "let the daemon's user read and write the directory";
  }
  return "see dmesg and smartctl for the device; it is tried again by itself";
}

model::Counter& read_counter(SsdErrnoCounters& counters, int error) {
  return error == EIO ? counters.read_io : counters.read_other;
}

model::Counter& write_counter(SsdErrnoCounters& counters, int error) {
  switch (error) {
    case EIO:
      return counters.write_io;
    case EROFS:
      return counters.write_read_only;
    case ENOSPC:
      return counters.write_space;
    case EDQUOT:
      return counters.write_quota;
    case EFBIG:
      return counters.write_file_size;
  }
  return counters.write_other;
}

model::Counter& sync_counter(SsdErrnoCounters& counters, int error) {
  switch (error) {
    case EIO:
      return counters.sync_io;
    case ENOSPC:
      return counters.sync_space;
    case EDQUOT:
      return counters.sync_quota;
  }
  return counters.sync_other;
}

constexpr std::string_view kHangAction =
    "the device does not answer: see dmesg and iostat; it is tried again by itself";

}  // namespace

void SsdHealth::read_failed(int error, std::string_view what, int64_t now_ns) {
  ++counters_.read_errors;
  ++read_counter(by_errno_, error);
  if (++reads_failed_ < options_.reads_failed_to_off) return;
  degrade(TierMode::kOff,
          std::to_string(reads_failed_) + " reads failed in a row, the last: " + one_line(what),
          action_for(error), now_ns);
}

void SsdHealth::note_no_room() {
  ++counters_.space_errors;
  ++by_errno_.write_space;
}

void SsdHealth::write_failed(int error, std::string_view what, int64_t now_ns) {
  ++(is_space_error(error) ? counters_.space_errors : counters_.write_errors);
  ++write_counter(by_errno_, error);
  degrade(TierMode::kReadOnly, one_line(what), action_for(error), now_ns);
}

void SsdHealth::open_failed(const model::Error& error, int64_t now_ns) {
  const bool passing =
      error.code == model::Errc::kResourceExhausted || error.code == model::Errc::kBusy;
  if (!passing) write_failed(EIO, error.text, now_ns);
}

void SsdHealth::sync_failed(int error, std::string_view what, int64_t now_ns) {
  ++(is_space_error(error) ? counters_.space_errors : counters_.sync_errors);
  ++sync_counter(by_errno_, error);
  degrade(TierMode::kReadOnly, one_line(what), action_for(error), now_ns);
}

void SsdHealth::hung(std::string_view what, int64_t now_ns) {
  ++counters_.hangs;
  degrade(TierMode::kOff, one_line(what), kHangAction, now_ns);
}

void SsdHealth::pin_state(TierMode state, std::string_view reason, std::string_view action) {
  if (state == TierMode::kOk) return;
  pinned_ = true;
  if (state < state_) return;
  state_ = state;
  reason_ = one_line(reason);
  action_ = one_line(action);
}

void SsdHealth::degrade(TierMode state, std::string reason, std::string_view action,
                        int64_t now_ns) {
  if (state <= state_) return;
  const bool relapse = state_ == TierMode::kOk && counters_.recoveries > 0 &&
                       now_ns - recovered_at_ns_ < options_.last_probe_ns;
  probe_interval_ns_ =
      relapse ? std::min(2 * probe_interval_ns_, options_.last_probe_ns) : options_.first_probe_ns;
  next_probe_ns_ = now_ns + probe_interval_ns_;
  state_ = state;
  reason_ = std::move(reason);
  action_ = action;
}

bool SsdHealth::probe_due(int64_t now_ns) {
  if (state_ == TierMode::kOk || pinned_ || probing_ || now_ns < next_probe_ns_) return false;
  probing_ = true;
  ++counters_.probes;
  return true;
}

void SsdHealth::probe_finished(bool read_worked, bool write_worked, int64_t now_ns) {
  if (!std::exchange(probing_, false) || pinned_ || state_ == TierMode::kOk) return;
  if (!read_worked || (!write_worked && state_ == TierMode::kReadOnly)) {
    probe_interval_ns_ = std::min(2 * probe_interval_ns_, options_.last_probe_ns);
    next_probe_ns_ = now_ns + probe_interval_ns_;
    return;
  }
  ++counters_.recoveries;
  recovered_at_ns_ = now_ns;
  reads_failed_ = 0;
  if (write_worked) {
    state_ = TierMode::kOk;
    reason_.clear();
    action_.clear();
    return;
  }
  state_ = TierMode::kReadOnly;
  reason_ = "reads work again, a probe of a write failed";
  action_ = action_for(EIO);
  probe_interval_ns_ = options_.first_probe_ns;
  next_probe_ns_ = now_ns + probe_interval_ns_;
}

}  // namespace quire::tiering
