#include "bench/ssd_bench_report.h"

#include <algorithm>
#include <cstdio>
#include <thread>

namespace quire::bench {

namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

double highest_promote(const SsdFigures& f, double PromoteFigures::*field) {
  double highest = 0;
  for (const PromoteFigures& one : f.promote) highest = std::max(highest, one.*field);
  return highest;
}

double highest_demote(const SsdFigures& f, double DemoteFigures::*field) {
  double highest = 0;
  for (const DemoteFigures& one : f.demote) highest = std::max(highest, one.*field);
  return highest;
}

double fastest_raw(const SsdFigures& f, bool read) {
  double fastest = 0;
  for (const PromoteFigures& one : f.promote) {
    if (read) fastest = std::max(fastest, one.raw_gib_s);
  }
  for (const DemoteFigures& one : f.demote) {
    if (!read) fastest = std::max(fastest, one.raw_gib_s);
  }
  return fastest;
}

template <typename List, typename ToJson>
std::string json_array(const List& list, ToJson&& to_json) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ", ") + to_json(one);
  return "[" + text + "]";
}

std::string to_json(const PromoteFigures& f) {
  JsonObject object;
  object.add("model", f.model).add("tokens", static_cast<double>(f.tokens));
  if (!f.skipped.empty()) return object.add("skipped", f.skipped).str();
  return object.add("gib_s", f.gib_s)
      .add("raw_gib_s", f.raw_gib_s)
      .add("of_raw", ratio(f.gib_s, f.raw_gib_s))
      .add("cpu_cores", f.cpu_cores)
      .str();
}

std::string to_json(const DemoteFigures& f) {
  return JsonObject()
      .add("model", f.model)
      .add("gib", f.gib)
      .add("gib_s", f.gib_s)
      .add("raw_gib_s", f.raw_gib_s)
      .add("of_raw", ratio(f.gib_s, f.raw_gib_s))
      .add("cpu_cores", f.cpu_cores)
      .str();
}

std::string to_json(const CodecFigure& f) {
  return JsonObject()
      .add("content", f.content)
      .add("ratio", f.ratio)
      .add_raw("pays", f.pays ? "true" : "false")
      .add("encode_gib_s", f.encode_gib_s)
      .add("decode_gib_s", f.decode_gib_s)
      .str();
}

std::string pair_json(const char* first, double a, const char* second, double b) {
  return JsonObject().add(first, a).add(second, b).str();
}

std::string machine_json(const SsdFigures& f) {
  return JsonObject()
      .add("raw_read_gib_s", fastest_raw(f, true))
      .add("raw_write_gib_s", fastest_raw(f, false))
      .add("raw_span_read_us", f.first_span.raw_us)
      .add("cpus", static_cast<double>(std::thread::hardware_concurrency()))
      .add("file_system", f.file_system)
      .add("engine", f.engine)
      .add_raw("direct_io", f.direct_io ? "true" : "false")
      .add("pool_mib", static_cast<double>(f.pool_bytes >> 20))
      .add("pool_huge_mib", static_cast<double>(f.pool_huge_bytes >> 20))
      .add_raw("raw_buffer_huge", f.raw_huge_pages ? "true" : "false")
      .str();
}

void add_latency(JsonObject& object, const SsdFigures& f) {
  const FirstSpanFigures& first = f.first_span;
  object.add("first_span_of_raw", ratio(first.idle_us, first.raw_us))
      .add("first_span_loaded_of_raw", ratio(first.loaded_us, first.raw_us))
      .add_raw("first_span_us", JsonObject()
                                    .add("raw", first.raw_us)
                                    .add("idle", first.idle_us)
                                    .add("loaded", first.loaded_us)
                                    .add("samples", static_cast<double>(first.samples))
                                    .str())
      .add_raw("ram_hit_p99_us",
               pair_json("idle", f.ram_hit.idle_p99_us, "saturated", f.ram_hit.saturated_p99_us))
      .add_raw("ram_hit_p50_us",
               pair_json("idle", f.ram_hit.idle_p50_us, "saturated", f.ram_hit.saturated_p50_us))
      .add_raw("ram_hit_saturated_gib_s",
               pair_json("promote", f.ram_hit.promote_gib_s, "demote", f.ram_hit.demote_gib_s))
      .add("durable_lag_ms_p99", f.lag.durable_lag_ms_p99)
      .add("durable_lag_ms_p50", f.lag.durable_lag_ms_p50)
      .add("durable_lag_commit_gib_s", f.lag.committed_gib_s)
      .add("max_commit_stall_ms", f.lag.max_commit_stall_ms);
}

void add_restart(JsonObject& object, const RestartFigures& f) {
  object.add("spans", static_cast<double>(f.spans))
      .add("spans_commit_seconds", f.commit_seconds)
      .add("restart_ms_per_million_spans", f.restart_ms_per_million)
      .add("restart_cold_ms_per_million_spans", f.restart_cold_ms_per_million)
      .add("start_to_first_hit_ms", f.first_hit_ms)
      .add("bytes_held_per_ssd_span", f.bytes_per_span);
  if (f.rebuild_ms_per_million) {
    object.add("rebuild_ms_per_million_spans", *f.rebuild_ms_per_million);
  } else {
    object.add_raw("rebuild_ms_per_million_spans", "null");
  }
}

void print_codec(const CodecFigures& f) {
  for (const CodecFigure& one : f.contents) {
    std::printf("codec          %-26s stored/plain %.2f%s, encode %.2f, decode %.2f GiB/s a core\n",
                one.content.c_str(), one.ratio, one.pays ? " (pays)" : "", one.encode_gib_s,
                one.decode_gib_s);
  }
  std::printf("               memcpy %.2f GiB/s\n", f.memcpy_gib_s);
}

}  // namespace

void print_json(const SsdFigures& f) {
  JsonObject object;
  object.add("bench", std::string("ssd"))
      .add_raw("quick", f.quick ? "true" : "false")
      .add_raw("promote", json_array(f.promote, [](const auto& one) { return to_json(one); }))
      .add_raw("demote", json_array(f.demote, [](const auto& one) { return to_json(one); }))
      .add_raw("cpu_cores", pair_json("promote", highest_promote(f, &PromoteFigures::cpu_cores),
                                      "demote", highest_demote(f, &DemoteFigures::cpu_cores)))
      .add_raw("cpu_seconds_per_gib",
               pair_json("promote", highest_promote(f, &PromoteFigures::cpu_seconds_per_gib),
                         "demote", highest_demote(f, &DemoteFigures::cpu_seconds_per_gib)));
  add_latency(object, f);
  add_restart(object, f.restart);
  object.add("write_amplification", highest_demote(f, &DemoteFigures::write_amplification))
      .add_raw("codec", json_array(f.codec.contents, [](const auto& one) { return to_json(one); }))
      .add("codec_memcpy_gib_s", f.codec.memcpy_gib_s)
      .add_raw("machine", machine_json(f));
  std::puts(object.str().c_str());
}

void print_table(const SsdFigures& f) {
  std::printf("SSD tier on %s, engine %s, pool %lu MiB (%lu on huge pages)%s\n",
              f.file_system.c_str(), f.engine.c_str(), f.pool_bytes >> 20, f.pool_huge_bytes >> 20,
              f.quick ? "; quick: small sizes" : "");
  std::printf("%-8s %-6s %9s %9s %9s %8s %7s\n", "", "model", "tokens", "GiB/s", "bare", "of bare",
              "cores");
  for (const PromoteFigures& one : f.promote) {
    if (!one.skipped.empty()) {
      std::printf("%-8s %-6s %9u skipped: %s\n", "promote", one.model.c_str(), one.tokens,
                  one.skipped.c_str());
      continue;
    }
    std::printf("%-8s %-6s %9u %9.2f %9.2f %8.3f %7.2f\n", "promote", one.model.c_str(), one.tokens,
                one.gib_s, one.raw_gib_s, ratio(one.gib_s, one.raw_gib_s), one.cpu_cores);
  }
  for (const DemoteFigures& one : f.demote) {
    std::printf("%-8s %-6s %5.1f GiB %9.2f %9.2f %8.3f %7.2f\n", "demote", one.model.c_str(),
                one.gib, one.gib_s, one.raw_gib_s, ratio(one.gib_s, one.raw_gib_s), one.cpu_cores);
  }
  const FirstSpanFigures& first = f.first_span;
  std::printf(
      "first span     bare %.0f us, idle %.0f us (%.2fx), beside batch loads %.0f us (%.2fx)\n",
      first.raw_us, first.idle_us, ratio(first.idle_us, first.raw_us), first.loaded_us,
      ratio(first.loaded_us, first.raw_us));
  std::printf("RAM hit        p99 idle %.1f us, device saturated %.1f us (p50 %.1f, %.1f)\n",
              f.ram_hit.idle_p99_us, f.ram_hit.saturated_p99_us, f.ram_hit.idle_p50_us,
              f.ram_hit.saturated_p50_us);
  std::printf("               meanwhile promote %.2f GiB/s, demote %.2f GiB/s\n",
              f.ram_hit.promote_gib_s, f.ram_hit.demote_gib_s);
  std::printf(
      "write-through  %.2f GiB/s: durable after p50 %.0f ms, p99 %.0f ms; longest commit %.2f ms\n",
      f.lag.committed_gib_s, f.lag.durable_lag_ms_p50, f.lag.durable_lag_ms_p99,
      f.lag.max_commit_stall_ms);
  std::printf(
      "restart        %.0f ms a million of spans (%.0f cold), first hit after %.0f ms (%lu "
      "spans)\n",
      f.restart.restart_ms_per_million, f.restart.restart_cold_ms_per_million,
      f.restart.first_hit_ms, f.restart.spans);
  if (f.restart.rebuild_ms_per_million) {
    std::printf("rebuild        %.0f ms a million of spans\n", *f.restart.rebuild_ms_per_million);
  }
  std::printf("held in RAM    %.1f B a span on SSD\n", f.restart.bytes_per_span);
  std::printf("write amplification %.4f\n", highest_demote(f, &DemoteFigures::write_amplification));
  print_codec(f.codec);
}

}  // namespace quire::bench
