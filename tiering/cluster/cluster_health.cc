#include "tiering/cluster/cluster_health.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace quire::tiering {
namespace {

bool is_room_error(int error) { return error == ENOSPC || error == EDQUOT; }

}  // namespace

std::string ClusterHealth::action_for(int error) const {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "make room in the cluster, raise the quota of pool " + pool_ +
             ", or lower --cluster_bytes; writing resumes by itself";
    case EACCES:
    case EPERM:
      return "see that the user of --cluster_user has its key in the keyring that --cluster_conf "
             "names, and may use pool " +
             pool_ + " (ceph auth get); it is tried again by itself";
    case ENOENT:
      return "make pool " + pool_ + " (ceph osd pool create), or name another with --cluster_pool";
    case ETIMEDOUT:
      return "see ceph -s, and whether this host reaches monitors and OSDs; it is tried again by "
             "itself";
  }
  return "see ceph -s; it is tried again by itself";
}

void ClusterHealth::set(TierMode mode, int error, std::string reason) {
  mode_ = mode;
  reason_ = std::move(reason);
  action_ = action_for(error);
}

void ClusterHealth::degrade(TierMode mode, int error, std::string reason, int64_t now_ns) {
  if (mode <= mode_) return;
  set(mode, error, std::move(reason));
  probe_interval_ns_ = options_.first_probe_ns;
  next_probe_ns_ = now_ns + probe_interval_ns_;
}

void ClusterHealth::failed(int error, std::string_view what, int64_t now_ns) {
  std::array<char, 128> buffer{};
  const std::string text =
      std::string(what) + ": " + ::strerror_r(error, buffer.data(), buffer.size());
  if (is_room_error(error)) {
    ++counters_.full;
    return degrade(TierMode::kReadOnly, error, text, now_ns);
  }
  ++counters_.failed;
  if (error == ETIMEDOUT) ++counters_.timeouts;
  if (++failed_in_row_ < options_.failed_to_off) return;
  degrade(TierMode::kOff, error,
          std::to_string(failed_in_row_) + " operations failed in a row, the last: " + text,
          now_ns);
}

void ClusterHealth::pool_gone(int64_t now_ns) {
  ++counters_.failed;
  degrade(TierMode::kOff, ENOENT, "pool " + pool_ + " is not there any more", now_ns);
}

bool ClusterHealth::probe_due(int64_t now_ns) {
  if (mode_ == TierMode::kOk || probing_ || now_ns < next_probe_ns_) return false;
  return probing_ = true;
}

void ClusterHealth::probe_finished(bool can_read, int error, std::string_view what,
                                   int64_t now_ns) {
  probing_ = false;
  ++counters_.probes;
  if (error == 0) {
    mode_ = TierMode::kOk;
    reason_.clear();
    action_.clear();
    failed_in_row_ = 0;
    if (std::exchange(was_ok_, true)) ++counters_.recoveries;
    return;
  }
  failed_in_row_ = 0;
  set(can_read ? TierMode::kReadOnly : TierMode::kOff, error, std::string(what));
  probe_interval_ns_ =
      std::clamp(2 * probe_interval_ns_, options_.first_probe_ns, options_.last_probe_ns);
  next_probe_ns_ = now_ns + probe_interval_ns_;
}

}  // namespace quire::tiering
