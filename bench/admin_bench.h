// What watching a daemon costs: a scrape of /metrics with a thousand tenants, an attach while the
// daemon is scraped ten times a second over one while it is not, and `quirectl status`, the start
// of its process among it.
#pragma once

namespace quire::bench {

int run_admin_bench(bool json);

}  // namespace quire::bench
