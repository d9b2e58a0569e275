#include "bench/attach_bench.h"

#include <array>
#include <cstdio>
#include <cstring>

#include "bench/bench_daemon.h"
#include "bench/filler.h"
#include "bench/measure.h"
#include "model/chain_hash.h"
#include "model/layout_toml.h"
#include "server/core.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"

namespace quire::bench {

namespace {

constexpr uint32_t kAttachContextTokens = 1 << 20;
constexpr uint64_t kFillerSpans = 10'000'000;
constexpr int kAttaches = 1000;
constexpr uint64_t kAttachPoolBytes = 8ull << 30;

struct AttachFigures {
  double match_load_p50_us = 0;
  double match_load_p99_us = 0;
  double match_load_runs_p50_us = 0;
  double match_load_runs_p99_us = 0;
  double runs = 0;
  double touch_us = 0;  // the machine's limit: one read of every page
  double pages_per_second_core = 0;
  double pages_per_second_ring = 0;
  double bytes_copied_per_hit = 0;
  double us_per_page = 0;
  double pages = 0;
  FillerCost held_one_group;
  FillerCost held_two_groups;
  double client_attach_ms = 0;
  uint64_t client_attach_huge_bytes = 0;
  uint64_t client_attach_pool_bytes = 0;
  double chain_hash_1m_ms = 0;
  double chain_hash_turn_us = 0;
};

model::Layout v4_flash() {
  return or_exit(
      model::load_layout_file(QUIRE_SOURCE_DIR "/configs/models/deepseek-v4-flash-fp8.toml"),
      "read the layout");
}

std::vector<uint32_t> context() {
  std::vector<uint32_t> tokens(kAttachContextTokens + 1);
  for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i * 2654435761u >> 12;
  return tokens;
}

client::SessionOptions session_options() {
  client::SessionOptions options;
  options.layout = v4_flash();
  options.namespace_name = "v4-flash";
  options.max_tokens = kAttachContextTokens + 1024;
  options.staging_bytes = 64ull << 20;
  return options;
}

// The real thing: every page of the session is copied into the pool.
void commit_context(client::Session& session, uint32_t tokens) {
  const uint32_t block = session.layout().block_tokens;
  for (uint32_t end = block; end <= tokens; end += block) {
    const auto fill =
        or_exit(session.begin_fill(model::FillKind::kSpan, end), "begin_fill of a span");
    std::memset(fill.staging, static_cast<int>(end / block), 4096);
    or_exit(session.commit(fill), "commit of a span");
  }
  const auto fill = or_exit(session.begin_fill(model::FillKind::kCheckpoint, tokens), "begin_fill");
  or_exit(session.commit(fill), "commit of the checkpoint");
}

// In turns: the whole context as pages, each of which is read once; the whole context as runs.
void measure_attach(client::Session& session, AttachFigures& figures) {
  std::vector<double> as_pages;
  std::vector<double> as_runs;
  std::vector<double> touches;
  volatile uint32_t sink = 0;
  for (int i = 0; i < kAttaches + 10; ++i) {
    const Stopwatch watch;
    const auto match = or_exit(session.match(kAttachContextTokens + 1), "match");
    const auto pages = or_exit(session.load(match.lease), "load");
    as_pages.push_back(watch.us());
    QUIRE_CHECK(match.exact_tokens == kAttachContextTokens && pages.block_count == 4096);
    const Stopwatch touch;
    for (const client::PageView& page : pages.pages) sink = sink + uint32_t(*page.data);
    touches.push_back(touch.us());
    figures.pages = static_cast<double>(pages.pages.size());
    or_exit(session.release(match.lease), "release");
    const Stopwatch run_watch;
    const auto again = or_exit(session.match(kAttachContextTokens + 1), "match");
    const auto runs = or_exit(session.load_runs(again.lease), "load of runs");
    as_runs.push_back(run_watch.us());
    QUIRE_CHECK(runs.block_count == 4096 && runs.page_count == pages.pages.size());
    figures.runs = static_cast<double>(runs.runs.size());
    or_exit(session.release(again.lease), "release");
  }
  for (std::vector<double>* samples : {&as_pages, &as_runs, &touches}) {
    samples->erase(samples->begin(), samples->begin() + 10);
  }
  figures.match_load_p50_us = percentile(as_pages, 0.50);
  figures.match_load_p99_us = percentile(as_pages, 0.99);
  figures.match_load_runs_p50_us = percentile(as_runs, 0.50);
  figures.match_load_runs_p99_us = percentile(as_runs, 0.99);
  figures.touch_us = percentile(touches, 0.50);
  figures.pages_per_second_ring = figures.pages / figures.match_load_p50_us * 1e6;
  figures.us_per_page = figures.match_load_p50_us / figures.pages;
}

// The core's part alone: match, pin and describe, then release, without a ring.
void measure_core(BenchDaemon& daemon, const client::Session& session, AttachFigures& figures) {
  daemon.on_core([&](server::Daemon& d) {
    cache::RootKey key;
    key.domain = model::DomainId{0};
    key.namespace_name = "v4-flash";
    key.layout = or_exit(d.cache().layouts().add(v4_flash()), "layout");
    cache::CacheSession cached;
    or_exit(d.cache().open_session(key, 1, cached), "open a session");
    cache::LeaseHolder holder;
    const auto& chain = session.chain();
    std::vector<model::PageDescriptor> out(8192);
    double best_us = 1e9;
    size_t pages = 0;
    for (int i = 0; i < 200; ++i) {
      const Stopwatch watch;
      const auto match =
          or_exit(d.cache().reader().match(cached, holder,
                                           {chain.data(), static_cast<uint32_t>(chain.size())},
                                           kAttachContextTokens + 1),
                  "match");
      model::LoadArgs args{};
      args.lease = match.lease;
      args.include_checkpoint = 1;
      pages = or_exit(d.cache().loader().load(holder, args, out), "load").result.descriptor_count;
      best_us = std::min(best_us, watch.us());
      or_exit(d.cache().loader().release(holder, model::LeaseId{match.lease}), "release");
    }
    figures.pages_per_second_core = static_cast<double>(pages) / best_us * 1e6;
    d.cache().close_session(cached);
  });
}

uint64_t copied_bytes(BenchDaemon& daemon) {
  uint64_t bytes = 0;
  daemon.on_core([&](server::Daemon& d) { bytes = d.core().dispatcher().copied_bytes(); });
  return bytes;
}

void measure_resident(AttachFigures& figures) {
  server::Options options;
  options.ram_bytes = 64ull << 30;  // address space: filler pages are never touched
  options.segment_bytes = 1ull << 30;
  options.huge_pages = allocator::HugePages::kThp;
  options.population = allocator::Population::kLazy;
  options.spin_us = 1'000'000;
  BenchDaemon daemon(options);
  const auto client = daemon.connect(1'000'000);
  const auto session = or_exit(client->open_session(session_options()), "open a session");
  or_exit(session->append_tokens(context()), "append tokens");
  commit_context(*session, kAttachContextTokens);
  daemon.on_core([&](server::Daemon& d) {
    figures.held_two_groups = add_filler(d.cache(), kFillerSpans / 10, 2);
    figures.held_one_group = add_filler(d.cache(), kFillerSpans, 1);
  });
  const uint64_t before = copied_bytes(daemon);
  measure_attach(*session, figures);
  figures.bytes_copied_per_hit = static_cast<double>(copied_bytes(daemon) - before) / kAttaches;
  measure_core(daemon, *session, figures);
}

void measure_client_attach(AttachFigures& figures) {
  const HugePageReserve reserve(kAttachPoolBytes);
  server::Options options;
  options.ram_bytes = kAttachPoolBytes;
  options.segment_bytes = 1ull << 30;
  BenchDaemon daemon(options);
  const auto writer = daemon.connect(50);
  const auto session = or_exit(writer->open_session(session_options()), "open a session");
  const std::vector<uint32_t> tokens = context();
  or_exit(session->append_tokens(std::span(tokens).first(4097)), "append tokens");
  commit_context(*session, 4096);
  bool whole = false;  // the domain holds all of the pool, as after hours of work
  while (!whole) {
    daemon.on_core([&](server::Daemon& d) {
      whole =
          tests::Meddler(d.cache()).grow(model::DomainId{0}) == allocator::Pool::Growth::kExhausted;
      figures.client_attach_huge_bytes = d.supply().status().huge_bytes;
      figures.client_attach_pool_bytes = tests::Inspector(d.cache()).usage().segment_bytes;
    });
  }
  std::vector<double> samples;
  for (int i = 0; i < 5; ++i) {
    const Stopwatch watch;
    const auto client = daemon.connect(50);
    client::SessionOptions reader_options = session_options();
    reader_options.staging_bytes = 4ull << 20;  // four spans at a time
    const auto reader = or_exit(client->open_session(reader_options), "open a session");
    or_exit(reader->append_tokens(std::span(tokens).first(4097)), "append tokens");
    const auto match = or_exit(reader->match(4097), "match");
    const auto pages = or_exit(reader->load(match.lease), "load");
    volatile std::byte sink = *pages.pages[0].data;
    (void)sink;
    samples.push_back(watch.us() / 1000);
  }
  figures.client_attach_ms = percentile(samples, 0.5);
}

void measure_chain_hash(AttachFigures& figures) {
  const std::vector<uint32_t> tokens = context();
  std::vector<double> whole;
  std::vector<double> turn;
  for (int i = 0; i < 9; ++i) {
    std::vector<model::Hash256> chain;
    chain.reserve(8200);
    const Stopwatch watch;
    model::extend_chain({}, std::span(tokens).first(kAttachContextTokens), 128, chain);
    whole.push_back(watch.us() / 1000);
    const Stopwatch second;
    model::extend_chain(chain.back(), std::span(tokens).first(640), 128, chain);
    turn.push_back(second.us());
  }
  figures.chain_hash_1m_ms = percentile(whole, 0.5);
  figures.chain_hash_turn_us = percentile(turn, 0.5);
}

void print_json(const AttachFigures& f) {
  std::puts(
      JsonObject()
          .add("bench", std::string("attach"))
          .add("spans_indexed", static_cast<double>(kFillerSpans + kFillerSpans / 10 + 4096))
          .add_raw(
              "match_load_us",
              JsonObject().add("p50", f.match_load_p50_us).add("p99", f.match_load_p99_us).str())
          .add_raw("match_load_runs_us", JsonObject()
                                             .add("p50", f.match_load_runs_p50_us)
                                             .add("p99", f.match_load_runs_p99_us)
                                             .str())
          .add("runs", f.runs)
          .add("touch_every_page_us", f.touch_us)
          .add("match_load_of_touch", f.match_load_p50_us / f.touch_us)
          .add("pages", f.pages)
          .add("pages_per_second_core", f.pages_per_second_core)
          .add("pages_per_second_ring", f.pages_per_second_ring)
          .add("bytes_copied_per_hit", f.bytes_copied_per_hit)
          .add("us_per_page", f.us_per_page)
          .add("bytes_held_per_span", f.held_one_group.bytes_per_span)
          .add("bytes_per_further_group",
               f.held_two_groups.bytes_per_span - f.held_one_group.bytes_per_span)
          .add("client_attach_ms", f.client_attach_ms)
          .add("client_attach_pool_gib", static_cast<double>(f.client_attach_pool_bytes >> 30))
          .add("huge_pages", std::to_string(f.client_attach_huge_bytes >> 20) + " MiB")
          .add("chain_hash_1m_ms", f.chain_hash_1m_ms)
          .add("chain_hash_640_tokens_us", f.chain_hash_turn_us)
          .str()
          .c_str());
}

void print_table(const AttachFigures& f) {
  std::printf("attach a 1M-token V4-Flash session among %lu spans\n",
              kFillerSpans + kFillerSpans / 10);
  std::printf("  match + load through the ring  p50 %8.1f us   p99 %8.1f us\n", f.match_load_p50_us,
              f.match_load_p99_us);
  std::printf("  the same as %5.0f runs             p50 %8.1f us   p99 %8.1f us\n", f.runs,
              f.match_load_runs_p50_us, f.match_load_runs_p99_us);
  std::printf("  limit: touch every page once       %8.1f us, which is %.2f of the first\n",
              f.touch_us, f.touch_us / f.match_load_p50_us);
  std::printf("  pages/s on the core                %8.1f M\n", f.pages_per_second_core / 1e6);
  std::printf("  pages/s through the ring           %8.1f M\n", f.pages_per_second_ring / 1e6);
  std::printf("  per page of a hit                  %8.3f us, %.0f bytes copied\n", f.us_per_page,
              f.bytes_copied_per_hit);
  std::printf("held per span                        %8.1f B, two groups %.1f B\n",
              f.held_one_group.bytes_per_span, f.held_two_groups.bytes_per_span);
  std::printf("client attach, %lu GiB pool           %8.2f ms (%lu MiB on huge pages)\n",
              f.client_attach_pool_bytes >> 30, f.client_attach_ms,
              f.client_attach_huge_bytes >> 20);
  std::printf("chain hash of 1M tokens              %8.2f ms; of 640 tokens %.1f us\n",
              f.chain_hash_1m_ms, f.chain_hash_turn_us);
}

}  // namespace

int run_attach_bench(bool json) {
  AttachFigures figures;
  measure_chain_hash(figures);
  measure_resident(figures);
  measure_client_attach(figures);
  json ? print_json(figures) : print_table(figures);
  return 0;
}

}  // namespace quire::bench
