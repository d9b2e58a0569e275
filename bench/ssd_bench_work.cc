#include "bench/ssd_bench_work.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "model/layout_toml.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"

namespace quire::bench {

namespace {

constexpr uint64_t kMergeBytes = 1 << 20;        // tiering::MoverOptions::merge_bytes
constexpr uint64_t kRegionsPerFile = 16;         // tiering::SsdDirectoryOptions::regions_per_file
constexpr uint64_t kContentBytes = 16ull << 20;  // larger than any object
constexpr uint64_t kEvictedAtOnce = 64;
constexpr double kRoomSeconds = 10;
constexpr double kSettleSeconds = 120;

// SplitMix64.
std::vector<std::byte> random_bytes(uint64_t bytes) {
  std::vector<std::byte> content(bytes);
  uint64_t state = 1;
  for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
    uint64_t word = (state += 0x9e3779b97f4a7c15ull);
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebull;
    word ^= word >> 31;
    std::memcpy(content.data() + at, &word, sizeof(word));
  }
  return content;
}

double clock_seconds(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

BenchModel load_bench_model(const std::string& name, const std::string& label) {
  BenchModel model{.name = name, .label = label};
  model.layout = or_exit(
      model::load_layout_file(std::string(QUIRE_SOURCE_DIR "/configs/models/") + name + ".toml"),
      "read the layout");
  for (const model::Group& group : model.layout.groups) {
    if (group.kind == model::GroupKind::kAppend) model.page_bytes += group.page_bytes;
  }
  return model;
}

BenchModel small_page_model() {
  BenchModel model{.name = "small-pages", .label = "small pages"};
  model.layout.name = model.name;
  model.layout.unit_tokens = model.layout.block_tokens = 16;
  model::Group group;
  group.name = "kv";
  group.page_bytes = model.page_bytes = 4096;
  model.layout.groups.push_back(group);
  return model;
}

double DaemonCpu::now() {
  return clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}

server::Options ssd_options(const std::string& ssd_path, uint64_t ram_bytes) {
  server::Options options;
  options.ram_bytes = ram_bytes;
  options.segment_bytes = std::min<uint64_t>(256ull << 20, ram_bytes);
  options.ssd_path = ssd_path;
  options.default_deadline_ms = 60'000;
  options.log_level = "warning";
  return options;
}

std::unique_ptr<client::Session> open_context(client::Client& client, const BenchModel& model,
                                              uint64_t number, uint32_t tokens, bool batch_class) {
  client::SessionOptions options;
  options.layout = model.layout;
  options.namespace_name = model.name;
  options.load_class = batch_class ? model::LoadClass::kBatch : model::LoadClass::kInteractive;
  options.max_tokens = tokens + 1024;
  options.ring_entries = 1024;
  auto session = or_exit(client.open_session(options), "open a session");
  std::vector<uint32_t> ids(tokens + 1);
  for (uint32_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<uint32_t>((number + 1) * 1'000'003 + i * 7) & 0xff'ffff;
  }
  or_exit(session->append_tokens(ids), "append tokens");
  return session;
}

double commit_object(client::Session& session, model::FillKind kind, uint32_t end_tokens) {
  static const std::vector<std::byte> content = random_bytes(kContentBytes);
  auto begun = session.begin_fill(kind, end_tokens);
  // All of RAM may be pinned by loads and writes under way for a moment.
  for (const Stopwatch waited;
       begun.code() == model::Errc::kResourceExhausted && waited.seconds() < kRoomSeconds;) {
    ::usleep(500);
    begun = session.begin_fill(kind, end_tokens);
  }
  const client::Fill fill = or_exit(std::move(begun), "begin_fill");
  if (fill.duplicate) return 0;
  const uint64_t bytes = fill.plan.staging_bytes;
  QUIRE_CHECK(bytes < content.size());
  const uint64_t from = uint64_t{end_tokens} * 64 % (content.size() - bytes);
  std::memcpy(fill.staging, content.data() + from, bytes);
  const Stopwatch watch;
  or_exit(session.commit(fill), "commit");
  return watch.seconds();
}

void commit_context(client::Session& session, uint32_t tokens) {
  const uint32_t block = session.layout().block_tokens;
  for (uint32_t end = block; end <= tokens; end += block) {
    commit_object(session, model::FillKind::kSpan, end);
  }
  if (model::needs_checkpoint(session.layout())) {
    commit_object(session, model::FillKind::kCheckpoint, tokens);
  }
}

void fill_pool(BenchDaemon& daemon) {
  bool whole = false;
  while (!whole) {
    daemon.on_core([&](server::Daemon& d) {
      whole =
          tests::Meddler(d.cache()).grow(model::DomainId{0}) == allocator::Pool::Growth::kExhausted;
    });
    ::usleep(1000);
  }
}

tests::SsdStatus tier_status(BenchDaemon& daemon) {
  tests::SsdStatus status;
  daemon.on_core([&](server::Daemon& d) { status = tests::ssd_status(d); });
  return status;
}

namespace {

[[noreturn]] void give_up(BenchDaemon& daemon) {
  const tests::SsdStatus status = tier_status(daemon);
  daemon.on_core([&](server::Daemon& d) {
    const tests::CacheCounters counters = tests::Inspector(d.cache()).counters();
    std::fprintf(stderr,
                 "bench: the SSD tier does not settle: %lu of %lu spans, %lu of %lu checkpoints "
                 "durable; %lu queued, %lu transfers, state %s %s %s\n",
                 counters.ssd_spans, counters.spans, counters.ssd_checkpoints, counters.checkpoints,
                 status.queued, status.transfers,
                 std::string(tiering::tier_mode_name(status.state)).c_str(), status.reason.c_str(),
                 status.blocked_by.c_str());
  });
  std::_Exit(1);
}

}  // namespace

void settle(BenchDaemon& daemon, uint32_t poll_us) {
  const Stopwatch watch;
  bool settled = false;
  while (!settled) {
    daemon.on_core([&](server::Daemon& d) {
      settled = tests::Inspector(d.cache()).counters().all_on_ssd() && d.tiers()->idle();
    });
    if (settled) return;
    if (watch.seconds() > kSettleSeconds) give_up(daemon);
    ::usleep(poll_us);
  }
}

// In steps, as the daemon itself evicts: what is timed meanwhile is not to wait for the bench.
void empty_ram(BenchDaemon& daemon) {
  uint64_t evicted = 1;
  while (evicted > 0) {
    daemon.on_core(
        [&](server::Daemon& d) { evicted = tests::Meddler(d.cache()).evict(kEvictedAtOnce); });
  }
}

namespace {

struct Extent {
  tiering::SsdSlot slot;
  std::vector<uint64_t> pages;  // whole blocks
};

std::vector<Extent> spans_of(server::Daemon& daemon, const BenchModel& model,
                             const client::Session& session, uint32_t tokens) {
  cache::RootKey key;
  key.domain = model::DomainId{0};
  key.namespace_name = model.name;
  key.layout = or_exit(daemon.cache().layouts().add(model.layout), "layout");
  cache::CacheSession cached;
  or_exit(daemon.cache().open_session(key, 1, cached), "open a session");
  const tests::Inspector inspector(daemon.cache());
  const uint32_t step = model.layout.units_per_block();
  std::vector<Extent> extents;
  for (uint32_t units = step; units * model.layout.unit_tokens <= tokens; units += step) {
    const auto node =
        inspector.find(cached.root, model::FillKind::kSpan, session.chain()[units - 1]);
    QUIRE_CHECK(node.has_value() && inspector.ssd_copy(*node).has_value());
    Extent extent{.slot = {inspector.ssd_copy(*node)->slot}, .pages = {}};
    const auto& plan = daemon.cache().names().root(cached.root).layout->span_plan;
    for (const model::PlannedPage& page : plan.pages) {
      extent.pages.push_back(tiering::whole_blocks(page.bytes));
    }
    extents.push_back(std::move(extent));
  }
  daemon.cache().close_session(cached);
  return extents;
}

void add_op(std::vector<RawOp>& ops, size_t mergeable_from, const RawOp& op) {
  if (ops.size() > mergeable_from) {
    RawOp& last = ops.back();
    if (last.file == op.file && last.offset + last.bytes == op.offset &&
        last.bytes + op.bytes <= kMergeBytes) {
      last.bytes += op.bytes;
      return;
    }
  }
  ops.push_back(op);
}

// One run, as SsdMover plans it.
void add_run(std::vector<RawOp>& ops, std::span<const Extent> run, uint64_t region_bytes) {
  uint64_t slot_bytes = 0;
  for (const uint64_t bytes : run.front().pages) slot_bytes += bytes;
  const tiering::SsdSlot first = run.front().slot;
  const auto file = static_cast<uint32_t>(first.region() / kRegionsPerFile);
  const uint64_t base = first.region() % kRegionsPerFile * region_bytes;
  const tiering::RegionGeometry geometry = tiering::region_geometry(region_bytes, slot_bytes);
  ops.push_back({.file = file,
                 .offset = base + first.index() * tiering::kSsdBlockBytes,
                 .bytes = run.size() * tiering::kSsdBlockBytes});
  const size_t mergeable_from = ops.size();
  uint64_t offset = base + geometry.slots_offset + first.index() * slot_bytes;
  for (const Extent& extent : run) {
    for (const uint64_t bytes : extent.pages) {
      add_op(ops, mergeable_from, {.file = file, .offset = offset, .bytes = bytes});
      offset += bytes;
    }
  }
}

}  // namespace

std::vector<RawOp> extents_of(BenchDaemon& daemon, const BenchModel& model,
                              const client::Session& session, uint32_t tokens) {
  std::vector<Extent> spans;
  uint64_t region_bytes = server::Options{}.ssd_region_bytes;
  daemon.on_core([&](server::Daemon& d) { spans = spans_of(d, model, session, tokens); });
  std::vector<RawOp> ops;
  for (size_t begin = 0; begin < spans.size();) {
    size_t end = begin + 1;
    while (end < spans.size() && end - begin < tiering::kMaxRunObjects &&
           spans[end].slot.value == spans[end - 1].slot.value + 1) {
      ++end;
    }
    add_run(ops, std::span(spans).subspan(begin, end - begin), region_bytes);
    begin = end;
  }
  return ops;
}

std::vector<std::string> data_files(const std::string& ssd_path) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(ssd_path)) {
    if (entry.path().filename().string().starts_with("data.")) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

uint64_t bytes_of(const std::vector<RawOp>& ops) {
  uint64_t bytes = 0;
  for (const RawOp& op : ops) bytes += op.bytes;
  return bytes;
}

}  // namespace quire::bench
