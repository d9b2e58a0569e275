#include "bench/commit_bench.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "allocator/segment.h"
#include "allocator/segment_supply.h"
#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "server/rings/shared_region.h"
#include "tiering/io/crc_copy.h"

namespace quire::bench {

namespace {

constexpr uint64_t kPoolBytes = 2ull << 30;
constexpr uint64_t kStagingBytes = 512ull << 20;
constexpr uint64_t kBytesPerSize = 1ull << 30;  // committed in one measured pass
constexpr int kPasses = 3;                      // the best one counts, for limit and commit alike

struct SizeFigures {
  uint64_t bytes = 0;
  double commit_gib_s = 0;
  double fused_gib_s = 0;
  double memcpy_gib_s = 0;
};

double gib(uint64_t bytes) { return static_cast<double>(bytes) / (1ull << 30); }

model::Layout layout_of(uint64_t page_bytes) {
  model::Layout layout;
  layout.name = "commit-" + std::to_string(page_bytes);
  layout.unit_tokens = layout.block_tokens = 16;
  model::Group group;
  group.name = "kv";
  group.page_bytes = page_bytes;
  layout.groups.push_back(group);
  return layout;
}

// One pass of object-sized copies, sources and targets cycling as in the daemon.
template <typename Copy>
double measure_copies(std::byte* pool, const std::byte* staging, uint64_t object, Copy&& copy) {
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const Stopwatch watch;
    uint64_t from = 0;
    for (uint64_t to = 0; to + object <= kBytesPerSize; to += object) {
      copy(pool + to, staging + from, object);
      from = from + 2 * object <= kStagingBytes ? from + object : 0;
    }
    best = std::max(best, gib(kBytesPerSize / object * object) / watch.seconds());
  }
  return best;
}

class CommitPass {
 public:
  CommitPass(client::Client& client, uint64_t object, int pass) : object_(object) {
    client::SessionOptions options;
    options.layout = layout_of(object);
    options.namespace_name = "commit-" + std::to_string(pass);
    options.staging_bytes = kStagingBytes;
    options.ring_entries = 1024;
    options.max_tokens = static_cast<uint32_t>(kBytesPerSize / object + 1) * 16;
    session_ = or_exit(client.open_session(options), "open a session");
    std::vector<uint32_t> tokens(options.max_tokens);
    for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i;
    or_exit(session_->append_tokens(tokens), "append tokens");
  }

  // GiB/s from the first commit's submission to the last one's visibility, a staging area at a
  // time.
  double run() {
    const auto count = static_cast<uint32_t>(kBytesPerSize / object_);
    const auto batch =
        static_cast<uint32_t>(std::min<uint64_t>({kStagingBytes / object_, 1024, count}));
    double seconds = 0;
    uint32_t done = 0;
    while (done < count) {
      const uint32_t now = std::min(batch, count - done);
      const std::vector<client::Fill> fills = begin(done, now);
      const Stopwatch watch;
      commit(fills);
      seconds += watch.seconds();
      done += now;
    }
    return gib(uint64_t{count} * object_) / seconds;
  }

 private:
  std::vector<client::Fill> begin(uint32_t first, uint32_t count) {
    std::vector<client::Fill> fills;
    for (uint32_t i = 0; i < count; ++i) {
      fills.push_back(or_exit(session_->begin_fill(model::FillKind::kSpan, (first + i + 1) * 16),
                              "begin_fill"));
      std::memset(fills.back().staging, static_cast<int>(first + i), 64);
    }
    return fills;
  }
  // Waits as an engine does that has better to do: by the progress words, not a wake-up an object.
  void commit(const std::vector<client::Fill>& fills) {
    for (const client::Fill& fill : fills) or_exit(session_->submit_commit(fill), "commit");
    session_->flush();
    or_exit(session_->wait_for_tokens(fills.back().end_tokens, 60'000), "wait");
    size_t completed = 0;
    std::array<model::Completion, 64> completions;
    while (completed < fills.size()) {
      const size_t got = or_exit(session_->poll_completions(completions), "poll");
      for (size_t i = 0; i < got; ++i) QUIRE_CHECK(completions[i].code == 0);
      completed += got;
    }
  }

  uint64_t object_;
  std::unique_ptr<client::Session> session_;
};

std::string to_json(const SizeFigures& f) {
  return JsonObject()
      .add("bytes", static_cast<double>(f.bytes))
      .add("commit_gib_s", f.commit_gib_s)
      .add("fused_gib_s", f.fused_gib_s)
      .add("memcpy_gib_s", f.memcpy_gib_s)
      .add("of_fused_limit", f.commit_gib_s / f.fused_gib_s)
      .add("of_memcpy", f.commit_gib_s / f.memcpy_gib_s)
      .str();
}

void print(const std::vector<SizeFigures>& sizes, const std::string& huge_pages, bool json) {
  if (json) {
    std::string list;
    for (const SizeFigures& f : sizes) list += (list.empty() ? "" : ", ") + to_json(f);
    std::puts(JsonObject()
                  .add("bench", std::string("commit"))
                  .add("huge_pages", huge_pages)
                  .add_raw("sizes", "[" + list + "]")
                  .str()
                  .c_str());
    return;
  }
  std::printf("huge pages: %s\n", huge_pages.c_str());
  std::printf("%10s %10s %12s %10s %9s %9s\n", "object", "commit", "fused limit", "memcpy",
              "of limit", "of memcpy");
  for (const SizeFigures& f : sizes) {
    std::printf("%6lu KiB %10.2f %12.2f %10.2f %9.2f %9.2f   GiB/s\n", f.bytes >> 10,
                f.commit_gib_s, f.fused_gib_s, f.memcpy_gib_s, f.commit_gib_s / f.fused_gib_s,
                f.commit_gib_s / f.memcpy_gib_s);
  }
}

std::string measure_all(std::vector<SizeFigures>& sizes) {
  server::Options options;
  options.ram_bytes = kPoolBytes;
  options.segment_bytes = 256ull << 20;
  // The core looks for finished copies itself; a worker never has to wake it.
  options.spin_us = 2000;
  BenchDaemon daemon(options);
  const auto client = daemon.connect(50);
  for (SizeFigures& f : sizes) {
    for (int pass = 0; pass < kPasses; ++pass) {
      f.commit_gib_s = std::max(f.commit_gib_s, CommitPass(*client, f.bytes, pass).run());
      or_exit(client->evict(0), "evict");
    }
  }
  std::string granted;
  daemon.on_core([&](server::Daemon& d) {
    const auto supply = d.supply().status();
    granted = std::to_string(supply.huge_bytes >> 20) + " MiB of the pool";
  });
  return granted;
}

// The same kinds of buffers, without a daemon: a pool segment and a session's staging area.
void measure_limits(std::vector<SizeFigures>& sizes) {
  const auto pool = or_exit(allocator::Segment::create(kBytesPerSize, allocator::HugePages::kAuto,
                                                       allocator::Population::kEager),
                            "map a segment");
  const auto staging =
      or_exit(server::SharedRegion::create(kStagingBytes, server::ClientAccess::kReadWrite),
              "map a staging area");
  std::memset(staging.data(), 0x5a, kStagingBytes);
  for (SizeFigures& f : sizes) {
    f.fused_gib_s = measure_copies(pool->data(), staging.data(), f.bytes,
                                   [](std::byte* to, const std::byte* from, size_t bytes) {
                                     tiering::crc_copy(to, from, bytes);
                                   });
    f.memcpy_gib_s = measure_copies(
        pool->data(), staging.data(), f.bytes,
        [](void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); });
  }
}

}  // namespace

int run_commit_bench(bool json) {
  const HugePageReserve reserve(kPoolBytes + (64ull << 20));
  std::vector<SizeFigures> sizes;
  for (uint64_t bytes = 64 << 10; bytes <= 16 << 20; bytes *= 2) sizes.push_back({.bytes = bytes});
  const std::string huge_pages = measure_all(sizes);

  measure_limits(sizes);
  print(sizes, huge_pages, json);
  return 0;
}

}  // namespace quire::bench
