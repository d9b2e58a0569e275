#include "bench/replay_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "bench/replay_bound.h"
#include "bench/replay_daemon.h"
#include "bench/replay_ghosts.h"
#include "bench/replay_simulation.h"
#include "bench/replay_trace.h"
#include "cache/eviction/policy.h"
#include "cache/ghosts/auto_policy.h"

namespace quire::bench {

namespace {

constexpr uint32_t kMixedSessions = 4000;

struct ReplayOptions {
  ReplayTraceOptions trace;
  std::vector<std::string> policies;
  std::vector<double> capacities{1, 5, 10, 25};
  bool simulate = false;
  bool admission = false;
  bool ghosts = false;
  int ghost_halvings = -1;
  bool json = false;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) c == ',' ? (void)parts.emplace_back() : parts.back().push_back(c);
  return parts;
}

bool set_option(ReplayOptions& options, std::string_view name, const std::string& value) {
  if (name == "--trace") {
    options.trace.path = value;
  } else if (name == "--policy") {
    options.policies = value == "all" ? std::vector<std::string>{} : split(value);
  } else if (name == "--capacity") {
    options.capacities.clear();
    for (const std::string& one : split(value)) {
      options.capacities.push_back(std::strtod(one.c_str(), nullptr));
      if (!(options.capacities.back() > 0)) return false;
    }
  } else if (name == "--requests") {
    options.trace.requests = std::strtoull(value.c_str(), nullptr, 10);
  } else if (name == "--window_hours") {
    options.trace.window_hours = std::strtod(value.c_str(), nullptr);
  } else if (name == "--ghost_halvings") {
    options.ghosts = true;
    options.ghost_halvings = std::atoi(value.c_str());
  } else if (name == "--seed") {
    options.trace.seed = std::strtoull(value.c_str(), nullptr, 10);
  } else {
    return false;
  }
  return true;
}

std::optional<ReplayOptions> parse(std::span<const std::string_view> arguments) {
  ReplayOptions options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--simulate") {
      options.simulate = true;
    } else if (arguments[i] == "--admission") {
      options.admission = true;
    } else if (arguments[i] == "--ghosts") {
      options.ghosts = true;
    } else if (arguments[i] == "--json") {
      options.json = true;
    } else if (i + 1 == arguments.size() ||
               !set_option(options, arguments[i], std::string(arguments[i + 1]))) {
      return std::nullopt;
    } else {
      ++i;
    }
  }
  for (const std::string& name : options.policies) {
    const bool follows = name == cache::kAutoName;
    if (!follows && cache::find_policy(name) == nullptr) return std::nullopt;
  }
  // RAM takes whatever is committed: only a simulated tier can do without.
  if (options.trace.path.empty() || (options.admission && !options.simulate)) return std::nullopt;
  if (options.policies.empty()) {
    for (const cache::NamedPolicy& one : cache::all_policies()) {
      options.policies.emplace_back(one.name);
    }
  }
  return options;
}

struct Row {
  std::string policy;
  double capacity_percent = 0;
  double hit_token_percent = 0;
  double ceiling_percent = 0;
  double bound_percent = 0;
  double inserts_per_reference = 0;
  double bound_inserts_per_reference = 0;
  double ns_per_reference = 0;
  uint64_t hit_tokens = 0;
  std::optional<double> ghost_percent;  // what the policy's ghost said
};

std::string to_json(const ReplayTrace& trace, const Row& row) {
  JsonObject json;
  json.add("trace", trace.name)
      .add("policy", row.policy)
      .add("capacity_percent", row.capacity_percent)
      .add("hit_token_percent", row.hit_token_percent)
      .add("ceiling_percent", row.ceiling_percent)
      .add("bound_percent", row.bound_percent)
      .add("inserts_per_reference", row.inserts_per_reference)
      .add("bound_inserts_per_reference", row.bound_inserts_per_reference)
      .add("ns_per_reference", row.ns_per_reference)
      .add_raw("hit_tokens", std::to_string(row.hit_tokens));
  if (row.ghost_percent) json.add("ghost_hit_token_percent", *row.ghost_percent);
  return json.str();
}

void print_heading(const ReplayTrace& trace, uint64_t ceiling) {
  std::printf("%s: %zu requests, %llu references, %zu unique blocks of %u tokens, ceiling %llu\n",
              trace.name.c_str(), trace.requests.size(),
              static_cast<unsigned long long>(trace.references), trace.parents.size(),
              trace.block_tokens, static_cast<unsigned long long>(ceiling * trace.block_tokens));
  std::printf("%-10s %9s %9s %9s %9s %9s %9s\n", "policy", "capacity", "hit %", "bound %",
              "ceiling %", "ins/ref", "ns/ref");
}

void print(const Row& row) {
  std::printf("%-10s %7.4g %% %9.2f %9.2f %9.2f %9.3f %9.0f\n", row.policy.c_str(),
              row.capacity_percent, row.hit_token_percent, row.bound_percent, row.ceiling_percent,
              row.inserts_per_reference, row.ns_per_reference);
  std::fflush(stdout);
}

// Ghosts at one capacity, against the full simulations of the rows.
struct GhostCheck {
  GhostFigures figures;
  double error_points = 0;  // the largest
  double ceiling_error_points = 0;
};

std::string to_json(double capacity_percent, const GhostCheck& check) {
  return JsonObject()
      .add("capacity_percent", capacity_percent)
      .add("ghost_cpu_percent", check.figures.cpu_percent)
      .add("ghost_bytes", static_cast<double>(check.figures.bytes))
      .add("ghost_error_points", check.error_points)
      .add("ceiling_error_points", check.ceiling_error_points)
      .add("sample_rate", check.figures.near_rate)
      .add("other_sizes_sample_rate", check.figures.far_rate)
      .str();
}

void print(const GhostCheck& check) {
  std::printf(
      "ghosts: %.2f %% of a core at 1e5 references/s, %.1f MiB, error %.2f points at most, "
      "ceiling %.2f; sample 1/%.0f, other sizes 1/%.0f\n",
      check.figures.cpu_percent, static_cast<double>(check.figures.bytes) / (1 << 20),
      check.error_points, check.ceiling_error_points, 1 / check.figures.near_rate,
      1 / check.figures.far_rate);
}

// Beside a tier with the first policy of the list.
GhostCheck check_ghosts(const ReplayOptions& options, const ReplayTrace& trace, uint64_t capacity,
                        std::span<Row> rows) {
  GhostCheck check;
  check.figures = or_exit(run_ghosts(trace, {.policy = options.policies.front(),
                                             .capacity_blocks = capacity,
                                             .halvings = options.ghost_halvings}),
                          "run ghosts");
  for (Row& row : rows) {
    for (const cache::GhostRow& ghost : check.figures.rows) {
      if (ghost.size_percent != 0 || ghost.policy != row.policy) continue;
      row.ghost_percent = ghost.hits.percent;
      check.error_points =
          std::max(check.error_points, std::abs(ghost.hits.percent - row.hit_token_percent));
    }
  }
  check.ceiling_error_points =
      std::abs(check.figures.ceiling_percent - rows.front().ceiling_percent);
  return check;
}

SimulationFigures measure(const ReplayOptions& options, const ReplayTrace& trace,
                          const std::string& policy, uint64_t capacity) {
  if (options.simulate) {
    return or_exit(
        simulate(trace,
                 {.policy = policy, .capacity_blocks = capacity, .admission = options.admission}),
        "simulate");
  }
  return replay_through_daemon(trace, policy, capacity);
}

void print_all(const ReplayTrace& trace, uint64_t ceiling, const std::string& rows,
               const std::string& ghosts) {
  JsonObject json;
  json.add("bench", std::string("replay"))
      .add_raw("requests", std::to_string(trace.requests.size()))
      .add_raw("prompt_tokens", std::to_string(trace.references * trace.block_tokens))
      .add_raw("ceiling_tokens", std::to_string(ceiling * trace.block_tokens))
      .add_raw("unique_blocks", std::to_string(trace.parents.size()))
      .add_raw("rows", "[" + rows + "]");
  if (!ghosts.empty()) json.add_raw("ghosts", "[" + ghosts + "]");
  std::puts(json.str().c_str());
}

void replay(const ReplayOptions& options, const ReplayTrace& trace) {
  const uint64_t ceiling = ceiling_hits(trace);
  const ReplayBound bound(trace);
  const auto references = static_cast<double>(trace.references);
  const auto percent = [&](uint64_t hits) { return 100 * static_cast<double>(hits) / references; };
  if (!options.json) print_heading(trace, ceiling);
  std::string rows_json;
  std::string ghosts_json;
  for (const double capacity_percent : options.capacities) {
    const auto capacity = static_cast<uint64_t>(
        std::floor(capacity_percent / 100 * static_cast<double>(trace.parents.size())));
    const BoundFigures best = bound.at(capacity);
    std::vector<Row> rows;
    for (const std::string& policy : options.policies) {
      const SimulationFigures figures = measure(options, trace, policy, capacity);
      rows.push_back({.policy = policy,
                      .capacity_percent = capacity_percent,
                      .hit_token_percent = percent(figures.hits),
                      .ceiling_percent = percent(ceiling),
                      .bound_percent = percent(best.hits),
                      .inserts_per_reference = static_cast<double>(figures.inserts) / references,
                      .bound_inserts_per_reference = static_cast<double>(best.inserts) / references,
                      .ns_per_reference = figures.seconds * 1e9 / references,
                      .hit_tokens = figures.hits * trace.block_tokens});
      if (!options.json) print(rows.back());
    }
    if (options.ghosts) {
      const GhostCheck check = check_ghosts(options, trace, capacity, rows);
      ghosts_json += (ghosts_json.empty() ? "" : ",") + to_json(capacity_percent, check);
      if (!options.json) print(check);
    }
    for (const Row& row : rows) {
      rows_json += (rows_json.empty() ? "" : ",") + to_json(trace, row);
    }
  }
  if (options.json) print_all(trace, ceiling, rows_json, ghosts_json);
}

}  // namespace

int run_replay_bench(std::span<const std::string_view> arguments) {
  const auto options = parse(arguments);
  if (!options) {
    std::fprintf(
        stderr,
        "usage: quire_bench replay --trace FILE|mixed [--simulate [--admission] [--ghosts]]\n"
        "       [--policy NAME,...|all] [--capacity PERCENT,...] [--requests N]\n"
        "       [--window_hours H] [--seed N] [--ghost_halvings N] [--json]\npolicies: %s, auto\n",
        cache::policy_names().c_str());
    return 2;
  }
  if (options->trace.path == "mixed") {
    ReplayTrace trace = mixed_trace(kMixedSessions, options->trace.seed);
    trace.cut(options->trace.requests);
    replay(*options, trace);
    return 0;
  }
  replay(*options, or_exit(read_replay_trace(options->trace), "read the trace"));
  return 0;
}

}  // namespace quire::bench
