// What parts say, in the text format that Prometheus scrapes (version 0.0.4).
//
// A name is "quire_", the sections and lists around the figure, and its key:
// tiers/[ssd]/written/bytes is quire_tier_written_bytes_total{tier="ssd"}. A counter ends in
// "_total" and nothing else does; sizes end in "_bytes", times in "_seconds", rates in
// "_per_second". Rows become labels, a state the label of a 1. A summary is a gauge a quantile,
// labelled "part": it is of a window, so it is none of the format's own summaries. Times since the
// start are histograms. What is text for people is left out.
#pragma once

#include <string>

#include "server/status/metric_tape.h"

namespace quire::server {

// Any thread. `wide`: also lists whose rows clients name (model::MetricList::wide).
std::string prometheus_of(const MetricTape& tape, bool wide = false);

}  // namespace quire::server
