// A daemon with an SSD tier in a directory of its own, and what tests ask of it.
#pragma once

#include <memory>
#include <string>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/oracle.h"
#include "tests/support/small_layout.h"
#include "tests/support/ssd_status.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests {

class SsdRig {
 public:
  explicit SsdRig(server::DaemonSeams seams = {},
                  const std::function<void(server::Options&)>& change = {})
      : daemon_(options(change), std::move(seams)) {}

  TestDaemon& daemon() { return daemon_; }
  const ScratchDirectory& directory() const { return directory_; }
  std::string ssd_path() const { return directory_ / "ssd"; }

  // A session that holds `tokens` + 1 tokens of a context.
  std::unique_ptr<client::Session> session(client::Client& client, uint64_t context,
                                           uint32_t tokens,
                                           const model::Layout& layout = small_hybrid_layout()) {
    auto session = open_session(client, session_options(layout));
    QUIRE_CHECK(session->append_tokens(context_tokens(tokens + 1, context)).ok());
    return session;
  }
  void commit(client::Client& client, uint64_t context, uint32_t tokens,
              const model::Layout& layout = small_hybrid_layout()) {
    QUIRE_CHECK(commit_context(*session(client, context, tokens, layout), tokens + 1).ok());
  }
  // Everything present has a durable copy.
  bool settle() {
    return daemon_.eventually(
        [](server::Daemon& d) { return inspect(d).counters().all_on_ssd() && d.tiers()->idle(); });
  }
  // What can leave RAM does. Returns how many nodes are on SSD only then.
  uint64_t empty_ram() {
    uint64_t count = 0;
    daemon_.on_core([&](server::Daemon& d) {
      meddle(d).evict();
      count = inspect(d).counters().ssd_only;
    });
    return count;
  }
  SsdStatus status() {
    SsdStatus status;
    daemon_.on_core([&](server::Daemon& d) { status = ssd_status(d); });
    return status;
  }
  CacheCounters counters() { return daemon_.counters(); }
  // Tokens of the context that can be resumed now; every byte of them is checked. -1: wrong bytes.
  int hit_tokens(client::Client& client, uint64_t context, uint32_t tokens,
                 const model::Layout& layout = small_hybrid_layout()) {
    const auto reader = session(client, context, tokens, layout);
    const auto match = reader->match(tokens + 1);
    QUIRE_CHECK(match.ok());
    if (match->exact_tokens == 0) return 0;
    const int pages = check_hit(*reader, *match);
    QUIRE_CHECK(reader->release(match->lease).ok());
    return pages < 0 ? -1 : static_cast<int>(match->exact_tokens);
  }

 private:
  server::Options options(const std::function<void(server::Options&)>& change) {
    server::Options options = small_options();
    options.ssd_path = ssd_path();
    options.ssd_bytes = 64ull << 20;
    options.ssd_region_bytes = 1ull << 20;
    options.ssd_write_delay_ms = 1;
    if (change) change(options);
    return options;
  }

  ScratchDirectory directory_;
  TestDaemon daemon_;
};

}  // namespace quire::tests
