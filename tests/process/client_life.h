// The life of a client in steps, each of which can be its last: SIGKILL at a named point.
//
//   connected, session open, [span 1: fill begun, half of staging written, commit submitted,
//   committed], spans 2..5, [checkpoint: fill begun, committed], matched, loaded, 100 leases,
//   50 open fills, between the commits of two ranks, full ring that nobody was told of
//
// What came before a point is still held there, except the fills that were committed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/quire.h"

namespace quire::tests {

enum class LifePoint : uint8_t {
  kConnected,
  kSessionOpen,
  kFillBegun,
  kStagingHalfWritten,
  kCommitSubmitted,
  kCommitted,
  kCheckpointFillBegun,
  kMatched,
  kLoaded,
  kManyLeases,
  kManyFills,
  kBetweenRanks,
  kRingFull,
};
inline constexpr LifePoint kLastLifePoint = LifePoint::kRingFull;
std::string_view life_point_name(LifePoint point);

// What a client that died there has committed; it stays.
struct Legacy {
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  bool may_have_one_span_more = false;  // the commit was under way
};
Legacy legacy_of(LifePoint point);

// small_hybrid_layout(): a prompt of 41 tokens resumes at 40 from 5 spans and a checkpoint.
inline constexpr uint32_t kPromptTokens = 41;
inline constexpr uint32_t kExactTokens = 40;
inline constexpr uint64_t kPagesPerSpan = 1;
inline constexpr uint64_t kPagesPerCheckpoint = 2;
inline constexpr int kPagesPerHit = 7;

// Commits the context of this number and leaves the session ready to be matched.
std::unique_ptr<client::Session> committed_session(client::Client& client, uint64_t context,
                                                   const std::string& tenant = "tenant");
// Errors of the session's calls.
model::Result<std::unique_ptr<client::Session>> try_committed_session(
    client::Client& client, uint64_t context, const std::string& tenant = "tenant");
// Match, load, compare every byte, release: true when all of it is as it must be.
bool hits_bit_exactly(client::Session& session);

class ClientLife {
 public:
  ClientLife(std::string socket_path, uint64_t context, LifePoint end)
      : socket_path_(std::move(socket_path)), context_(context), end_(end) {}

  // Does not return unless the end is never reached, which is a failure.
  void run();

 private:
  void reach(LifePoint point) const;
  void commit_slowly();
  void hold_leases();
  void hold_fills();
  void commit_half_of_a_sharded_span();
  void fill_ring();
  std::unique_ptr<client::Client> connect() const;

  std::string socket_path_;
  uint64_t context_;
  LifePoint end_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<client::Session> session_;
};

}  // namespace quire::tests
