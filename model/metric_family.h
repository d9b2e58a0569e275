// Names under which Prometheus has what dashboards of KV caches look for, whichever part counts it:
// "quire_stored_bytes_total" of RAM is counted by the linker, of the SSD by its mover. A figure
// says so where it is described:
//
//   model::Counter bytes{"bytes", "Bytes written to the data files", {MetricFamily::kStoredBytes}};
//
// and is then printed under that name alone, with the labels of the rows around it and its own. A
// figure that says nothing has a name made of the sections around it
// (server/status/prometheus_text.h). The document's keys are the same either way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quire::model {

enum class MetricFamily : uint8_t {
  kOwn,       // the name follows from where the figure stands
  kDocument,  // no name: a sum of figures that have some, or what another unit says better
  kLookupTokens,
  kLookupPages,
  kHitTokens,
  kStoredBytes,
  kReadBytes,
  kEvictedGroups,
  kLeaseExpired,
  kPinnedBytes,
  kQuarantinedBytes,
  kSessions,
  kSessionReaped,
  kChecksumFailures,
  kIoErrors,
  kIoDeadlineExceeded,
  kScrubBytes,
  kScrubErrors,
  kIoDuration,
  kQueueDepth,
  kRejected,
  kEventsDropped,
  kMeterPendingRecords,
  kMeterExportLag,
  kGroupReuseGap,
  kGroupIdleBeforeEvict,
};

struct MetricFamilyText {
  std::string_view name;  // whole
  std::string_view help;  // of all its figures: a line, no full stop
  // Where rows of tenants are printed, these alone are: the figure of all would count them twice.
  bool by_tenant = false;
};

// By MetricFamily; the first two have no name of their own.
inline constexpr std::array kMetricFamilies{
    MetricFamilyText{},
    MetricFamilyText{},
    MetricFamilyText{"quire_lookup_tokens_total",
                     "Tokens of prompts matched: where each was found first, or that it was not"},
    MetricFamilyText{"quire_lookup_pages_total",
                     "Pages of prompts: of hits, those whose places were told to engines"},
    MetricFamilyText{"quire_hit_tokens_total", "Tokens of hits delivered, by where they were",
                     true},
    MetricFamilyText{"quire_stored_bytes_total",
                     "Bytes written to the tier: of pages in RAM, with headers below"},
    MetricFamilyText{"quire_read_bytes_total",
                     "Bytes read from the tier; what is in RAM is read in place, by engines"},
    MetricFamilyText{"quire_evicted_groups_total",
                     "Objects that left the tier, or with tier=\"all\" the host, and why"},
    MetricFamilyText{"quire_lease_expired_total",
                     "Leases that ended with their client or session, and not by a release"},
    MetricFamilyText{"quire_pinned_bytes", "RAM that what clients hold could keep at most"},
    MetricFamilyText{"quire_quarantined_bytes",
                     "Pages in RAM that cannot be hit any more, and that somebody holds still"},
    MetricFamilyText{"quire_sessions", "Sessions open"},
    MetricFamilyText{"quire_session_reaped_total",
                     "Clients and sessions that ended, and were cleaned up after"},
    MetricFamilyText{"quire_checksum_failures_total",
                     "Objects or pages that were not what was sealed, by who saw it"},
    MetricFamilyText{"quire_io_errors_total", "Operations that the device or pool failed"},
    MetricFamilyText{"quire_io_deadline_exceeded_total",
                     "Operations of the device or pool that did not come back in time"},
    MetricFamilyText{"quire_scrub_bytes_total", "Bytes read to check what lies on the tier"},
    MetricFamilyText{"quire_scrub_errors_total",
                     "Objects that such checks found bad, or could not read"},
    MetricFamilyText{"quire_io_duration_seconds",
                     "Time that operations of the device or pool took"},
    MetricFamilyText{"quire_queue_depth", "What waits now, by queue"},
    MetricFamilyText{"quire_rejected_total", "Requests and objects that were refused, and why"},
    MetricFamilyText{"quire_events_dropped_total",
                     "Events that lay in gaps: written over before being read"},
    MetricFamilyText{"quire_meter_pending_records",
                     "Entries of the ledger that are not durable yet"},
    MetricFamilyText{"quire_meter_export_lag_seconds",
                     "Age of the newest moment of which the ledger has everything"},
    MetricFamilyText{"quire_group_reuse_gap_seconds",
                     "Time between two uses of what is in RAM, of the deepest object of each hit"},
    MetricFamilyText{"quire_group_idle_before_evict_seconds",
                     "Time between the last use of an object and its leaving RAM to make room"},
};
static_assert(kMetricFamilies.size() ==
              static_cast<size_t>(MetricFamily::kGroupIdleBeforeEvict) + 1);

constexpr const MetricFamilyText& family_text(MetricFamily family) {
  return kMetricFamilies[static_cast<size_t>(family)];
}

// Under which name Prometheus has a figure, and with which labels besides those of its rows.
struct MetricName {
  MetricFamily family = MetricFamily::kOwn;
  const char* labels = "";  // a literal, as the text format has them: R"(tier="ram")"
};

}  // namespace quire::model
