// What an engine pays for a session a request: opened and closed on one client, as engines do it.
#pragma once

namespace quire::bench {

int run_engine_bench(bool as_json);

}  // namespace quire::bench
