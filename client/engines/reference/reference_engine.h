// An honest client around the reference decoder: resumes a prompt from Quire, computes the rest,
// and commits what it computed.
//
// Prefix pages are read in place from the read-only mapping; new pages are written through
// begin_fill and commit. Pages of blocks computed here are kept in the engine's own memory too, as
// an engine keeps them on its device. Threads: one caller. Lifetime: decoder and session outlive
// the run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "client/engines/reference/reference_layout.h"
#include "client/quire.h"
#include "model/reference/page_sink.h"
#include "model/reference/sequence.h"

namespace quire::client {

struct RunOptions {
  uint32_t shard = 0;
  uint32_t chunk_tokens = 1024;
  bool verify_pages = false;  // check CRC32C of every page that is read
  // Where the caller knows that prompts will part ways (the end of a shared document): a checkpoint
  // is kept at the last resume point before it. 0 = nowhere.
  uint32_t shared_tokens = 0;
  // Of the prompt, the same in every process that works on it: it is metered once. 0: each match
  // is a request of its own.
  uint64_t request_id = 0;
  std::function<void(uint32_t position)> on_chunk;
  // Of follow(): the session of another host; none: it joined one of this host.
  std::optional<model::HandOverAddress> follows;
};

struct RunOutcome {
  std::vector<float> logits;  // of the last prompt token
  model::MatchResult match{};
  uint32_t hit_tokens = 0;  // resumed in place
  uint32_t pages_read = 0;
  uint32_t spans_committed = 0;
  uint32_t spans_duplicate = 0;
  uint32_t checkpoints_committed = 0;
};

class ReferenceRun final : public reference::PageSink {
 public:
  ReferenceRun(reference::Decoder& decoder, Session& session, RunOptions options);
  ~ReferenceRun() override;  // releases the lease

  // Resumes as far as it can and computes the rest of `prompt`. Call once. Errors: the session's;
  // kCorrupt when a page does not match its checksum (verify_pages).
  model::Result<RunOutcome> prefill(std::span<const uint32_t> prompt);
  // Instead of prefill(), in a process that joined the session of another one that is computing
  // `prompt` now: takes pages as they arrive and resumes at the prompt's end. `on_pages` hears how
  // many blocks are held. kDeadlineExceeded when nothing arrives for idle_timeout_ms.
  model::Result<RunOutcome> follow(std::span<const uint32_t> prompt, uint32_t idle_timeout_ms,
                                   const std::function<void(uint32_t blocks)>& on_pages);
  // One more token; commits what completes. Logits after it.
  model::Result<std::vector<float>> decode(uint32_t token);

  const std::byte* block_complete(uint32_t block, std::span<const std::byte> page) override;
  void checkpoint(const reference::Checkpoint& checkpoint) override;

 private:
  model::Result<void> resume();
  // Where it went on, and how much it has answered: what the request is billed by. Said by who
  // computes; a process that follows computes nothing.
  model::Result<void> say_resumed();
  void plan_checkpoints(uint32_t prompt_tokens);
  model::Result<void> compute_rest(std::span<const uint32_t> prompt);
  model::Result<void> take_new_blocks();
  model::Result<void> read_pages(const LoadedPages& loaded, reference::ResumePoint& point);
  model::Result<void> write_span(uint32_t block, std::span<const std::byte> page);
  model::Result<void> write_checkpoint(const reference::Checkpoint& checkpoint);
  void note(model::Result<void> result);  // keeps the first error of a callback

  const RunOptions options_;
  const ShardGroups groups_;
  Session& session_;
  reference::Sequence sequence_;
  RunOutcome outcome_;
  std::vector<uint64_t> leases_;
  std::vector<const std::byte*> sealed_;  // by block, in shared memory
  std::vector<std::vector<std::byte>> own_blocks_;
  std::vector<model::WantedCheckpoint> wanted_;
  std::optional<model::Error> failure_;
  uint32_t output_tokens_ = 0;
};

}  // namespace quire::client
