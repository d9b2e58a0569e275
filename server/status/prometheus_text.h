// What parts say, in the text format that Prometheus scrapes (version 0.0.4).
//
// A name is "quire_", the sections and lists around the figure, and its key:
// tiers/[ssd]/written/bytes is quire_tier_written_bytes_total{tier="ssd"}. A counter ends in
// "_total" and nothing else does; sizes end in "_bytes", times in "_seconds", rates in
// "_per_second". A figure that names a family (model/metric_family.h) has the family's name
// instead, and no other. Rows become labels, a state its number. A summary is a gauge a quantile,
// labelled "part": it is of a window, so it is none of the format's own summaries. Times since the
// start are histograms. What is text for people is left out.
#pragma once

#include <string>

#include "server/status/metric_tape.h"

namespace quire::server {

// Any thread. `wide`: also lists whose rows clients name (model::MetricList::wide); a family that
// has such rows is then of these alone, so that its sum is the same either way.
std::string prometheus_of(const MetricTape& tape, bool wide = false);

}  // namespace quire::server
