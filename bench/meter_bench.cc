#include "bench/meter_bench.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "model/chain_hash.h"
#include "model/prices/price_book.h"
#include "model/prices/receipt_bill.h"
#include "model/receipts/ledger_chain.h"
#include "server/metering/ledger.h"
#include "server/metering/ledger_reader.h"

namespace quire::bench {

namespace {

constexpr uint64_t kWritten = 2'000'000;   // receipts, for real
constexpr uint64_t kVerified = 1'000'000;  // in memory
constexpr uint32_t kMeterTenants = 200;
constexpr uint32_t kMeterContextTokens = 1 << 16;
constexpr int kAttachRounds = 100;  // of each daemon, in turns
constexpr int kAttachesARound = 50;
constexpr int kFirstAttaches = 10;       // of a round, not counted: whoever slept wakes up
constexpr uint64_t kAttachSpinUs = 500;  // of a core
constexpr uint32_t kClientSpinUs = 10'000;

struct MeterFigures {
  double receipt_ns = 0;
  double copy_ns = 0;  // the limit of that: a receipt's bytes, copied to where they are put
  double receipts_per_second = 0;
  double raw_receipts_per_second = 0;  // the machine's: the same bytes written and synced alone
  double bytes_per_receipt = 0;
  double device_bytes_per_receipt = 0;
  double verify_per_second = 0;
  double sha256_per_second = 0;  // the limit of that: their hashes alone
  double bill_per_second = 0;
  double bill_receipts = 0;
  double bill_peak_growth_bytes = 0;
  double attach_on_us = 0;
  double attach_off_us = 0;
};

// A fresh directory on the file system that tests use, removed at the end.
class Directory {
 public:
  Directory() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base == nullptr ? "/var/tmp" : base) + "/quire-meter-bench-" +
            std::to_string(::getpid());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

double peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

// Turns of some hundred tenants, as a busy daemon closes them.
class Turns {
 public:
  Turns() {
    for (uint32_t i = 0; i < kMeterTenants; ++i) tenants_.push_back("tenant-" + std::to_string(i));
  }
  const server::TurnRecord& next() {
    const std::string& tenant = tenants_[++number_ * 2654435761u % kMeterTenants];
    record_.request_id = number_;
    record_.session = number_ % 10'000;
    record_.turn = 3;
    record_.tenant = record_.payer = tenant;
    record_.namespace_name = "deepseek-v4-flash/7";
    record_.billing.model = "deepseek-flash";
    record_.prompt_tokens = 20'000 + number_ % 1000;
    record_.resumed_tokens = record_.hit_tokens = 18'944;
    record_.missed_tokens = record_.prompt_tokens - record_.hit_tokens;
    record_.output_tokens = 300;
    return record_;
  }

 private:
  std::vector<std::string> tenants_;
  server::TurnRecord record_;
  uint64_t number_ = 0;
};

std::unique_ptr<server::Ledger> open_ledger(const std::string& path) {
  server::LedgerOptions options;
  options.writer.database = server::ledger_database(path);
  return or_exit(server::Ledger::open(options), "open a ledger");
}

void wait_durable(const server::Ledger& ledger, uint64_t sequence) {
  while (ledger.status().head.position.sequence < sequence) std::this_thread::yield();
}

// What the core pays: in bursts that the queue has room for, while the thread is not looking.
void measure_core(const std::string& path, MeterFigures& figures) {
  constexpr int kBurst = 2048;
  const auto ledger = open_ledger(path);
  Turns turns;
  std::vector<double> receipts;
  std::vector<double> copies;
  std::vector<server::LedgerItem> items(kBurst);
  const server::LedgerItem item{};
  for (int round = 0; round < 60; ++round) {
    const ThreadStopwatch watch;
    for (int i = 0; i < kBurst; ++i) ledger->on_turn(turns.next());
    receipts.push_back(watch.us() * 1000 / kBurst);
    const ThreadStopwatch copy;
    for (server::LedgerItem& place : items) place = item;
    copies.push_back(copy.us() * 1000 / kBurst);
    wait_durable(*ledger, static_cast<uint64_t>(round + 1) * kBurst + 1);
  }
  figures.receipt_ns = percentile(receipts, 0.5);
  figures.copy_ns = percentile(copies, 0.5);
}

void measure_writing(const std::string& path, MeterFigures& figures) {
  const auto ledger = open_ledger(path);
  Turns turns;
  const Stopwatch watch;
  for (uint64_t i = 0; i < kWritten; ++i) {
    // As many as wait in the queue at most: nothing may be lost here.
    while (i % 1024 == 0 && ledger->status().waiting > server::Ledger::kQueueItems / 2) {
      std::this_thread::yield();
    }
    ledger->on_turn(turns.next());
  }
  wait_durable(*ledger, kWritten + 1);
  figures.receipts_per_second = static_cast<double>(kWritten) / watch.seconds();
  const server::LedgerStatus status = ledger->status();
  if (status.lost > 0)
    or_exit(model::Result<void>(model::make_error(model::Errc::kInternal, "lost")), "write");
  figures.device_bytes_per_receipt =
      static_cast<double>(status.bytes_written) / static_cast<double>(kWritten);
}

// Blocks of so many receipts, as the ledger has them.
std::vector<std::string> make_blocks(uint64_t receipts) {
  Turns turns;
  model::BlockBuilder builder;
  model::LedgerHead head;
  server::LedgerItem item;
  std::vector<std::string> blocks;
  const int64_t now = server::wall_clock_us();
  for (uint64_t i = 0; i < receipts; ++i) {
    server::fill_receipt(turns.next(), now, item);
    builder.add(item.receipt, item.texts.all());
    if (builder.full()) blocks.push_back(builder.finish(head, 1, now));
  }
  if (builder.count() > 0) blocks.push_back(builder.finish(head, 1, now));
  return blocks;
}

// The same bytes in the same groups to a file, each synced: what the device and its file system
// take, whatever a ledger does.
void measure_raw(const std::string& path, const std::vector<std::string>& blocks,
                 MeterFigures& figures) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  QUIRE_CHECK(file >= 0);
  const size_t count = std::min<size_t>(blocks.size(), 200);
  const Stopwatch watch;
  for (size_t i = 0; i < count; ++i) {
    QUIRE_CHECK(::write(file, blocks[i].data(), blocks[i].size()) ==
                static_cast<ssize_t>(blocks[i].size()));
    QUIRE_CHECK(::fdatasync(file) == 0);
  }
  figures.raw_receipts_per_second =
      static_cast<double>(count * model::kMaxBlockEntries) / watch.seconds();
  ::close(file);
}

void measure_verify(const std::vector<std::string>& blocks, MeterFigures& figures) {
  uint64_t bytes = 0;
  for (const std::string& block : blocks) bytes += block.size();
  figures.bytes_per_receipt = static_cast<double>(bytes) / static_cast<double>(kVerified);
  uint64_t faults = 0;
  model::LedgerChain chain([&](const model::LedgerFault&) { ++faults; });
  const ThreadStopwatch watch;
  for (const std::string& bytes_of : blocks) {
    const auto block = or_exit(model::LedgerBlock::parse(bytes_of), "parse a block");
    chain.add(block);
    for (const model::LedgerEntry& entry : block.entries()) {
      const auto record = model::read_record<model::ReceiptRecord>(entry, entry.type);
      faults += record.ok() && model::check_sums(*record).ok() ? 0 : 1;
    }
  }
  chain.finish(std::nullopt);
  figures.verify_per_second = static_cast<double>(kVerified) / watch.seconds();
  QUIRE_CHECK(faults == 0 && chain.entries() == kVerified);
  const ThreadStopwatch hashes;
  constexpr size_t kHashed = 228;  // hash before it, header, receipt
  uint64_t sink = 0;
  for (uint64_t i = 0; i < kVerified; ++i) {
    const std::string& block = blocks[i % blocks.size()];
    sink += model::sha256(std::as_bytes(std::span(block.data() + i % 512, kHashed))).word(0);
  }
  figures.sha256_per_second = static_cast<double>(kVerified) / hashes.seconds() + double(sink == 1);
}

void measure_bill(const std::vector<std::string>& blocks, uint64_t receipts,
                  MeterFigures& figures) {
  const auto book = or_exit(
      prices::PriceBook::load(QUIRE_SOURCE_DIR "/configs/prices/deepseek.toml"), "read the book");
  prices::ReceiptBillOptions options;
  options.bill.by_tenant = true;
  auto bill = or_exit(prices::ReceiptBill::create(book, options), "begin a bill");
  const double before = peak_bytes();
  const ThreadStopwatch watch;
  uint64_t billed = 0;
  while (billed < receipts) {
    for (const std::string& bytes : blocks) {
      const auto block = or_exit(model::LedgerBlock::parse(bytes), "parse a block");
      or_exit(bill.add(block), "bill a block");
      billed += block.entries().size();
      if (billed >= receipts) break;
    }
  }
  or_exit(bill.finish(), "write the bill");
  figures.bill_per_second = static_cast<double>(billed) / watch.seconds();
  figures.bill_receipts = static_cast<double>(billed);
  figures.bill_peak_growth_bytes = peak_bytes() - before;
}

model::Layout attach_layout() {
  model::Layout layout{.name = "meter", .unit_tokens = 256, .block_tokens = 256};
  layout.groups = {{.name = "kv",
                    .kind = model::GroupKind::kAppend,
                    .page_bytes = 4096,
                    .layers = {{.layer = 0, .offset = 0, .bytes = 4096}}}};
  return layout;
}

// A daemon with one context, and turns that attach to it.
class Attacher {
 public:
  explicit Attacher(const std::string& ledger) : daemon_(options(ledger)) {
    client_ = daemon_.connect(kClientSpinUs);
    client::SessionOptions session;
    session.layout = attach_layout();
    session.tenant = "tenant";
    session.namespace_name = "model";
    session.max_tokens = kMeterContextTokens + 1024;
    session_ = or_exit(client_->open_session(session), "open a session");
    std::vector<uint32_t> tokens(kMeterContextTokens + 1);
    for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i * 2654435761u >> 12;
    or_exit(session_->append_tokens(tokens), "hash the context");
    for (uint32_t end = 256; end <= kMeterContextTokens; end += 256) {
      const auto fill = or_exit(session_->begin_fill(model::FillKind::kSpan, end), "begin_fill");
      std::memset(fill.staging, 1, 4096);
      or_exit(session_->commit(fill), "commit");
    }
  }
  // The other daemon's core has gone to sleep before: on two processors a third thread that spins
  // would be measured, not the metering.
  void round(std::vector<double>& samples) {
    std::this_thread::sleep_for(std::chrono::microseconds(2 * kAttachSpinUs));
    std::vector<double> first;
    for (int i = 0; i < kFirstAttaches; ++i) attach(first);
    for (int i = 0; i < kAttachesARound; ++i) attach(samples);
  }

 private:
  // Of one turn, from the match to the release.
  void attach(std::vector<double>& samples) {
    const Stopwatch watch;
    const auto match =
        or_exit(session_->match(kMeterContextTokens + 1, 0, {}, ++request_), "match");
    QUIRE_CHECK(match.exact_tokens == kMeterContextTokens);
    or_exit(session_->load(match.lease), "load");
    or_exit(session_->resumed({.resumed_tokens = kMeterContextTokens, .output_tokens = 1}),
            "resumed");
    or_exit(session_->release(match.lease), "release");
    samples.push_back(watch.us());
  }
  static server::Options options(const std::string& ledger) {
    server::Options options;
    options.ram_bytes = 512ull << 20;
    options.spin_us = kAttachSpinUs;
    options.ledger_path = ledger;
    options.metering = !ledger.empty();
    return options;
  }

  BenchDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<client::Session> session_;
  uint64_t request_ = 0;
};

void measure_attach(const std::string& path, MeterFigures& figures) {
  Attacher on(path);
  Attacher off("");
  std::vector<double> with;
  std::vector<double> without;
  for (int round = 0; round < kAttachRounds; ++round) {
    on.round(with);
    off.round(without);
  }
  figures.attach_on_us = percentile(with, 0.5);
  figures.attach_off_us = percentile(without, 0.5);
}

void print(const MeterFigures& f) {
  std::printf("a receipt, on the core thread    %9.0f ns   copying its bytes alone %6.0f ns\n",
              f.receipt_ns, f.copy_ns);
  std::printf("receipts kept, durable           %9.0f /s   written and synced alone %.0f /s\n",
              f.receipts_per_second, f.raw_receipts_per_second);
  std::printf("  %.1f bytes each in the chain, %.1f written to the device\n", f.bytes_per_receipt,
              f.device_bytes_per_receipt);
  std::printf("receipts verified                %9.0f /s   their hashes alone %.0f /s\n",
              f.verify_per_second, f.sha256_per_second);
  std::printf("receipts billed, by tenant       %9.0f /s   %.0f of them, %.1f MiB more memory\n",
              f.bill_per_second, f.bill_receipts, f.bill_peak_growth_bytes / (1 << 20));
  std::printf("attach of %u tokens, metered    %9.2f us   without %.2f us: %.3f\n",
              kMeterContextTokens, f.attach_on_us, f.attach_off_us,
              f.attach_on_us / f.attach_off_us);
}

}  // namespace

int run_meter_bench(bool json, const MeterBenchOptions& options) {
  const Directory directory;
  MeterFigures f;
  measure_attach(directory.path() + "/attach", f);
  measure_core(directory.path() + "/core", f);
  measure_writing(directory.path() + "/writing", f);
  const std::vector<std::string> blocks = make_blocks(kVerified);
  measure_raw(directory.path() + "/raw", blocks, f);
  measure_verify(blocks, f);
  measure_bill(blocks, options.bill_receipts, f);
  if (!json) {
    print(f);
    return 0;
  }
  std::puts(JsonObject()
                .add("bench", std::string("meter"))
                .add("receipt_ns", f.receipt_ns)
                .add("receipt_of_copy", f.receipt_ns / f.copy_ns)
                .add("receipts_per_second", f.receipts_per_second)
                .add("of_raw", f.receipts_per_second / f.raw_receipts_per_second)
                .add("bytes_per_receipt", f.bytes_per_receipt)
                .add("device_bytes_per_receipt", f.device_bytes_per_receipt)
                .add("verify_per_second", f.verify_per_second)
                .add("verify_of_sha256", f.verify_per_second / f.sha256_per_second)
                .add("bill_receipts_per_second", f.bill_per_second)
                .add("bill_receipts", f.bill_receipts)
                .add("bill_peak_growth_bytes", f.bill_peak_growth_bytes)
                .add("attach_us", f.attach_on_us)
                .add("attach_ratio", f.attach_on_us / f.attach_off_us)
                .str()
                .c_str());
  return 0;
}

}  // namespace quire::bench
