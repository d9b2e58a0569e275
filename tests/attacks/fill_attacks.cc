// Attacks with fills, commits, matches and loads: work of the core and of the copy workers.
#include "tests/attacks/attack.h"
#include "tests/support/raw_writer.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests {

using model::FillKind;

namespace {

constexpr uint32_t kUnits = 1024;
constexpr RawShape kLongShape{.ring_entries = kUnits, .max_units = kUnits};

// Fills that, by keys alone, would wait for each other.
void fill_in_circles(AttackGround& ground) {
  RawClient client(ground.socket_path());
  RawWriter writer(client, small_append_layout(), {}, 1);
  for (uint64_t context = 1;; ++context) {
    writer.claim_context(context);
    const uint64_t first = writer.granted(1);
    const uint64_t second = writer.granted(2);
    writer.session().set_hash(3, numbered_hash(context << 32 | 1));
    const uint64_t third = writer.granted(3);
    writer.abort(first);
    writer.submit_commit(second);
    writer.submit_commit(third);
    for (int i = 0; i < 2; ++i) writer.session().wait_completion();
    ground.ready();
  }
}

// Thousands of commits whose parent never comes; they stay until the attacker is killed.
void commit_without_parents(AttackGround& ground) {
  // Held until the process is killed.
  static std::vector<RawWriter> writers;
  static RawClient client(ground.socket_path());
  for (uint64_t context = 1; context <= 6; ++context) {
    writers.emplace_back(client, small_append_layout(), kLongShape, context);
    writers.back().commit_all_but_the_first(kUnits);
  }
  ground.ready();
}

// Chains that can be linked only once their first span comes, last.
void commit_in_the_worst_order(AttackGround& ground) {
  RawClient client(ground.socket_path());
  for (uint64_t context = 1;; ++context) {
    RawWriter writer(client, small_append_layout(), kLongShape, context);
    const uint64_t first = writer.commit_all_but_the_first(kUnits);
    if (first == 0) continue;
    ground.ready();
    writer.submit_commit(first);
    for (uint32_t i = 0; i < kUnits; ++i) writer.session().wait_completion();
  }
}

// A legal layout with 65,536 positions a block, all of which a search might look at.
void match_where_positions_are_many(AttackGround& ground) {
  constexpr uint32_t kBlock = 65'536;
  constexpr uint32_t kMatches = 256;
  model::Layout layout = small_hybrid_layout();
  layout.name = "fine-grained";
  layout.unit_tokens = 1;
  layout.block_tokens = kBlock;
  RawClient client(ground.socket_path());
  RawWriter writer(client, layout, {.ring_entries = kMatches, .max_units = kBlock}, 1);
  const uint64_t checkpoint = writer.granted(1, FillKind::kCheckpoint);
  writer.submit_commit(checkpoint);
  writer.session().wait_completion();
  writer.claim_context(2);  // another prompt: the checkpoint is not its own
  for (;;) {
    for (uint32_t i = 0; i < kMatches; ++i) writer.submit_match(kBlock, kBlock);
    for (uint32_t i = 0; i < kMatches; ++i) writer.session().wait_completion();
    ground.ready();
  }
}

// 64 loads of a long path at once, again and again.
void load_in_bulk(AttackGround& ground) {
  constexpr uint32_t kLoads = 16;  // of a lease
  constexpr uint32_t kLeases = 4;
  RawClient client(ground.socket_path());
  RawShape shape = kLongShape;
  shape.max_units = shape.max_load_pages = 8192;
  RawWriter writer(client, small_append_layout(), shape, 1);
  writer.commit_chain(8192);
  for (;;) {
    std::vector<uint64_t> leases;
    for (uint32_t i = 0; i < kLeases; ++i) {
      writer.submit_match(8192, 8192 * 4);
      leases.push_back(writer.session().wait_completion().result.match.lease);
    }
    for (const uint64_t lease : leases) {
      for (uint32_t i = 0; i < kLoads; ++i) writer.submit_load(lease);
    }
    for (uint32_t i = 0; i < kLeases * kLoads; ++i) writer.session().wait_completion();
    for (const uint64_t lease : leases) writer.submit_release(lease);
    for (uint32_t i = 0; i < kLeases; ++i) writer.session().wait_completion();
    ground.ready();
  }
}

// A long path that stays pinned in a dead epoch, and side paths of it that die with each new one.
void hold_a_dead_epoch(AttackGround& ground) {
  constexpr uint32_t kTokens = 16'384;
  const auto client = client::Client::connect({.socket_path = ground.socket_path()});
  if (!client.ok()) return;
  auto options = session_options(small_append_layout());
  options.max_tokens = kTokens;
  const auto open = [&](uint64_t epoch) {
    options.weights_epoch = epoch;
    return (*client)->open_session(options);
  };
  const auto held = open(1);
  if (!held.ok() || !(*held)->append_tokens(context_tokens(kTokens, 1)).ok()) return;
  (void)commit_context(**held, kTokens);
  for (uint64_t epoch = 2;; ++epoch) {
    const auto next = open(epoch);
    ground.ready();
    if (!next.ok() || !(*next)->append_tokens(context_tokens(kTokens, epoch)).ok()) continue;
    (void)commit_context(**next, 400);
  }
}

// Pages that keep a copy worker busy for milliseconds each.
void fill_the_copy_worker(AttackGround& ground) {
  constexpr uint64_t kPageBytes = 8 << 20;
  constexpr uint32_t kFills = 4;
  model::Layout layout = small_append_layout();
  layout.name = "huge-pages";
  layout.groups[0].page_bytes = kPageBytes;
  layout.groups[0].layers.clear();
  RawClient client(ground.socket_path());
  RawWriter writer(client, layout, {.staging_bytes = kPageBytes}, 1);
  uint64_t next = uint64_t{1} << 40;
  for (;;) {
    uint32_t begun = 0;
    uint64_t fills[kFills];
    for (uint32_t i = 0; i < kFills; ++i) {
      writer.session().set_hash(1, numbered_hash(next++));
      fills[begun] = writer.granted(1);
      if (fills[begun] != 0) ++begun;
    }
    for (uint32_t i = 0; i < begun; ++i) writer.submit_commit(fills[i]);
    for (uint32_t i = 0; i < begun; ++i) writer.session().wait_completion();
    ground.ready();
  }
}

}  // namespace

std::vector<Attack> fill_attacks() {
  return {{"FillsInCircles", fill_in_circles},
          {"CommitsWithoutParents", commit_without_parents},
          {"CommitsInTheWorstOrder", commit_in_the_worst_order},
          {"MatchesOfManyPositions", match_where_positions_are_many},
          {"LoadsInBulk", load_in_bulk},
          {"DeadEpochHeld", hold_a_dead_epoch},
          {"CopyWorkerFilled", fill_the_copy_worker}};
}

}  // namespace quire::tests
