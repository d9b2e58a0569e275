// The circuit breaker of one device (law 9): what the tier may do now, and why.
//
//            write, allocate or manifest fails           reads fail in a row, or one hangs
//   ok ------------------------------------> read_only --------------------------> off
//    ^  probe of a write succeeds               |                                   |
//    +------------------------------------------+ <---------------------------------+
//                                                       probe of a read succeeds
//
// A failed sync never heals by probing: the kernel may have dropped the pages and report the next
// one as fine; what was not acknowledged is gone and its file takes no more writes (the caller
// seals it); the device as a whole is probed like after a write error. Probes are spaced by a
// doubling interval; it goes on from where it was when the device fails again within
// last_probe_ns of its recovery. A probe from off that can read and write takes both steps. The
// reason is that of the failure which led to the present state. Manual clock in, so tests step it.
// Threads: core only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/metrics.h"
#include "model/result.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct SsdHealthOptions {
  uint32_t reads_failed_to_off = 8;        // in a row
  int64_t hang_ns = 30'000'000'000;        // an operation without completion this long
  int64_t first_probe_ns = 1'000'000'000;  // doubles up to last_probe_ns
  int64_t last_probe_ns = 60'000'000'000;
};

struct SsdHealthCounters {
  model::Counter read_errors{
      "read", "Reads that the device failed", {model::MetricFamily::kDocument}};
  model::Counter write_errors{"write",
                              "Writes, allocations and manifest writes that failed",
                              {model::MetricFamily::kDocument}};
  model::Counter sync_errors{"sync", "Syncs that failed", {model::MetricFamily::kDocument}};
  model::Counter space_errors{
      "space",
      "Writes and syncs for which there was no space: ENOSPC, EDQUOT, EFBIG",
      {model::MetricFamily::kDocument}};
  model::Counter hangs{"hangs",
                       "Operations that did not come back in time",
                       {model::MetricFamily::kIoDeadlineExceeded}};
  model::Counter probes{"probes", "Looks whether a failed device works again"};
  model::Counter recoveries{"recoveries", "Times that it did"};
};

// The same failures, told apart by what the system said: what an operator does differs.
struct SsdErrnoCounters {
  static constexpr model::MetricFamily kFamily = model::MetricFamily::kIoErrors;

  model::Counter read_io{
      "read_eio", "Reads: input/output error", {kFamily, R"(op="read",errno="EIO")"}};
  model::Counter read_other{
      "read_other", "Reads: any other error", {kFamily, R"(op="read",errno="other")"}};
  model::Counter write_io{
      "write_eio", "Writes: input/output error", {kFamily, R"(op="write",errno="EIO")"}};
  model::Counter write_read_only{
      "write_erofs", "Writes: read-only file system", {kFamily, R"(op="write",errno="EROFS")"}};
  model::Counter write_space{
      "write_enospc", "Writes: no space left", {kFamily, R"(op="write",errno="ENOSPC")"}};
  model::Counter write_quota{
      "write_edquot", "Writes: disk quota exceeded", {kFamily, R"(op="write",errno="EDQUOT")"}};
  model::Counter write_file_size{
      "write_efbig", "Writes: limit of a file's size", {kFamily, R"(op="write",errno="EFBIG")"}};
  model::Counter write_other{
      "write_other", "Writes: any other error", {kFamily, R"(op="write",errno="other")"}};
  model::Counter sync_io{
      "sync_eio", "Syncs: input/output error", {kFamily, R"(op="sync",errno="EIO")"}};
  model::Counter sync_space{
      "sync_enospc", "Syncs: no space left", {kFamily, R"(op="sync",errno="ENOSPC")"}};
  model::Counter sync_quota{
      "sync_edquot", "Syncs: disk quota exceeded", {kFamily, R"(op="sync",errno="EDQUOT")"}};
  model::Counter sync_other{
      "sync_other", "Syncs: any other error", {kFamily, R"(op="sync",errno="other")"}};
};

class SsdHealth {
 public:
  explicit SsdHealth(const SsdHealthOptions& options) : options_(options) {}

  TierMode state() const { return state_; }
  bool may_read() const { return tiering::may_read(state_); }
  bool may_write() const { return tiering::may_write(state_); }
  const std::string& reason() const { return reason_; }  // one line; empty when ok
  const std::string& action() const { return action_; }  // what an operator can do

  // `what`: "write of data.000003: No space left on device". Each failure counts once: one of space
  // as a space error only.
  void read_failed(int error, std::string_view what, int64_t now_ns);
  void read_succeeded() { reads_failed_ = 0; }
  void write_failed(int error, std::string_view what, int64_t now_ns);  // also allocate, manifest
  // A file could not be opened: a device's failure unless descriptors were short, which is none.
  void open_failed(const model::Error& error, int64_t now_ns);
  // The tier could not grow; what it has works.
  void note_no_room();
  void sync_failed(int error, std::string_view what, int64_t now_ns);
  void hung(std::string_view what, int64_t now_ns);
  // For good, until restart: an operator's choice or a directory that may only be read. Never
  // probed, because a probe writes; failures may still make it worse.
  void pin_state(TierMode state, std::string_view reason, std::string_view action);

  // True once when it is time to try the device again; the caller then performs a probe (write and
  // read back) and reports it. A report that no probe is due for (of one given up) changes nothing.
  bool probe_due(int64_t now_ns);
  void probe_finished(bool read_worked, bool write_worked, int64_t now_ns);

  const SsdHealthCounters& counters() const { return counters_; }
  const SsdErrnoCounters& by_errno() const { return by_errno_; }

 private:
  void degrade(TierMode state, std::string reason, std::string_view action, int64_t now_ns);

  SsdHealthOptions options_;
  TierMode state_ = TierMode::kOk;
  bool pinned_ = false;
  bool probing_ = false;
  uint32_t reads_failed_ = 0;
  int64_t next_probe_ns_ = 0;
  int64_t probe_interval_ns_ = 0;  // before next_probe_ns_
  int64_t recovered_at_ns_ = 0;    // meaningful when counters_.recoveries > 0
  std::string reason_;
  std::string action_;
  SsdHealthCounters counters_;
  SsdErrnoCounters by_errno_;
};

}  // namespace quire::tiering
