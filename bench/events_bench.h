// Events: how many a second reach a subscriber that reads, and what they cost the core while nobody
// subscribes, while somebody reads, and while somebody is stuck.
#pragma once

namespace quire::bench {

int run_events_bench(bool json);

}  // namespace quire::bench
