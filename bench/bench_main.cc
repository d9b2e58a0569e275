// quire_bench NAME [--json] [--quick] [FILE [SESSIONS] | ATTACK]: with --json exactly one JSON
// object on standard output; FILE is a trace for `trace`, of which SESSIONS are taken; ATTACK is
// the only attack of `neighbour` that is measured. `replay` has arguments of its own.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/admin_bench.h"
#include "bench/attach_bench.h"
#include "bench/attach_busy.h"
#include "bench/cluster_bench.h"
#include "bench/commit_bench.h"
#include "bench/engine_bench.h"
#include "bench/events_bench.h"
#include "bench/index_bench.h"
#include "bench/meter_bench.h"
#include "bench/neighbour_bench.h"
#include "bench/replay_bench.h"
#include "bench/ring_bench.h"
#include "bench/sched_bench.h"
#include "bench/ssd_bench.h"
#include "bench/switch_bench.h"
#include "bench/tier_match_bench.h"
#include "bench/trace_bench.h"

int main(int argc, char** argv) {
  // Its arguments are its own.
  if (argc >= 2 && std::strcmp(argv[1], "replay") == 0) {
    return quire::bench::run_replay_bench(std::vector<std::string_view>(argv + 2, argv + argc));
  }
  bool json = false;
  bool quick = false;
  bool busy = false;
  bool wrong = argc < 2;
  quire::bench::TraceBenchOptions trace;
  quire::bench::MeterBenchOptions meter;
  std::string sessions;
  std::string attack;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
    } else if (std::strcmp(argv[1], "attach") == 0 && std::strcmp(argv[i], "--busy") == 0) {
      busy = true;
    } else if (std::strcmp(argv[1], "trace") == 0 && argv[i][0] != '-') {
      (trace.path.empty() ? trace.path : sessions) = argv[i];
    } else if (std::strcmp(argv[1], "meter") == 0 && std::strcmp(argv[i], "--receipts") == 0 &&
               i + 1 < argc) {
      meter.bill_receipts = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[1], "neighbour") == 0 && argv[i][0] != '-') {
      attack = argv[i];
    } else {
      wrong = true;
    }
  }
  trace.sessions = static_cast<uint32_t>(std::strtoul(sessions.c_str(), nullptr, 10));
  const std::map<std::string, std::function<int(bool)>> benches = {
      {"admin", quire::bench::run_admin_bench},
      {"attach", busy ? quire::bench::run_attach_busy_bench : quire::bench::run_attach_bench},
      {"attach_ssd", quire::bench::run_tier_match_bench},
      {"cluster", quire::bench::run_cluster_bench},
      {"commit", quire::bench::run_commit_bench},
      {"engine", quire::bench::run_engine_bench},
      {"events", quire::bench::run_events_bench},
      {"index", quire::bench::run_index_bench},
      {"meter", [&](bool as_json) { return quire::bench::run_meter_bench(as_json, meter); }},
      {"neighbour",
       [&](bool as_json) { return quire::bench::run_neighbour_bench(as_json, attack); }},
      {"ring", quire::bench::run_ring_bench},
      {"sched", quire::bench::run_sched_bench},
      {"switch", quire::bench::run_switch_bench},
      {"trace", [&](bool as_json) { return quire::bench::run_trace_bench(as_json, trace); }},
      {"ssd", [quick](bool as_json) { return quire::bench::run_ssd_bench(as_json, quick); }}};
  const auto found = wrong ? benches.end() : benches.find(argv[1]);
  if (found == benches.end() || (quick && found->first != "ssd")) {
    std::fputs(
        "usage: quire_bench "
        "admin|attach|attach_ssd|cluster|commit|engine|events|index|meter|neighbour|replay|ring|"
        "sched|ssd|"
        "switch|"
        "trace "
        "[--json], attach also --busy, ssd also --quick, trace also FILE [SESSIONS], neighbour "
        "also ATTACK, meter "
        "also --receipts N, replay has its own\n",
        stderr);
    return 2;
  }
  return found->second(json);
}
