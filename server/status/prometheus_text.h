// What parts say, in the text format that Prometheus scrapes (version 0.0.4).
//
// A name is "quire_", the sections and lists around the figure, and its key:
// tiers/[ssd]/written/bytes is quire_tier_written_bytes_total{tier="ssd"}. A counter ends in
// "_total" and nothing else does; sizes end in "_bytes", times in "_seconds", rates in
// "_per_second". Rows become labels, a state the label of a 1, a summary the label "quantile". What
// is text for people is left out.
#pragma once

#include <string>

#include "server/status/metric_tape.h"

namespace quire::server {

// Any thread.
std::string prometheus_of(const MetricTape& tape);

}  // namespace quire::server
