#include "client/engines/reference/demo_operator.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "client/quire.h"
#include "client/quirectl/advice_output.h"
#include "client/quirectl/daemon_command.h"

namespace quire::client {

namespace {

constexpr uint32_t kBlock = 64;            // tokens
constexpr uint64_t kPageBytes = 64 << 10;  // 1,024 blocks fill the RAM
constexpr uint32_t kConversations = 24;
constexpr uint32_t kRounds = 6;  // a turn of each conversation
constexpr uint32_t kTurnBlocks = 4;
constexpr uint32_t kOneShotBlocks = 48;  // so many of them lie between two turns
constexpr auto kAdviceTimeout = std::chrono::seconds(30);

model::Layout layout() {
  model::Layout layout{.name = "operator", .unit_tokens = kBlock, .block_tokens = kBlock};
  layout.groups.push_back(
      {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = kPageBytes});
  return layout;
}

struct Share {
  uint64_t hit_tokens = 0;
  uint64_t prompt_tokens = 0;
  double percent() const {
    return 100.0 * static_cast<double>(hit_tokens) / static_cast<double>(prompt_tokens);
  }
};

// One prompt: what is found is used, the rest is written.
model::Result<void> ask(Client& client, uint64_t context, uint32_t blocks, Share& share) {
  SessionOptions options;
  options.layout = layout();
  options.namespace_name = "operator";
  options.max_tokens = (blocks + 1) * kBlock;
  options.staging_bytes = 4 * kPageBytes;
  const auto session = QUIRE_TRY(client.open_session(options));
  std::vector<model::Hash256> hashes(blocks);
  for (uint32_t i = 0; i < blocks; ++i) {
    const uint64_t words[2] = {context, i};
    std::memcpy(hashes[i].bytes.data(), words, sizeof(words));
  }
  QUIRE_TRY(session->append_unit_hashes(hashes));
  const model::MatchResult match = QUIRE_TRY(session->match(blocks * kBlock + 1));
  for (uint32_t end = match.exact_tokens + kBlock; end <= blocks * kBlock; end += kBlock) {
    const Fill fill = QUIRE_TRY(session->begin_fill(model::FillKind::kSpan, end));
    if (!fill.duplicate) QUIRE_TRY(session->commit(fill));
  }
  share.hit_tokens += match.exact_tokens;
  share.prompt_tokens += blocks * kBlock;
  return {};
}

// `day`: the same requests about other things.
model::Result<Share> work(Client& client, uint64_t day) {
  Share share;
  for (uint32_t round = 1; round <= kRounds; ++round) {
    for (uint32_t c = 0; c < kConversations; ++c) {
      QUIRE_TRY(ask(client, day << 32 | c, round * kTurnBlocks, share));
      QUIRE_TRY(ask(client, day << 32 | (round * 1000 + c), kOneShotBlocks, share));
    }
  }
  return share;
}

// Once the ghosts have seen all that was asked for; they say what they know once a second.
model::Result<std::string> best_policy(Client& client, const Share& asked) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kAdviceTimeout) {
    const std::string json =
        QUIRE_TRY(client.advice_json(model::TierId::kRam, model::AdviceWindow::kQuarter));
    AdvisedPolicy best = QUIRE_TRY(advised_policy(json));
    if (best.prompt_tokens >= static_cast<double>(asked.prompt_tokens)) return best.name;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return model::make_error(model::Errc::kDeadlineExceeded, "the daemon gives no advice");
}

}  // namespace

model::Result<void> show_operator(const std::string& socket_path) {
  const auto client =
      QUIRE_TRY(Client::connect({.socket_path = socket_path, .client_name = "demo"}));
  const Share before = QUIRE_TRY(work(*client, 1));
  std::printf(
      "operator        24 conversations among 144 prompts that nobody asks for again, 64 MiB\n"
      "                hit %.1f %% of their tokens; quirectl policy advise ram --window 15m:\n",
      before.percent());
  std::fflush(stdout);
  DaemonCommandLine line;
  line.socket_path = socket_path;
  line.scope_tier = "ram";
  line.policy = QUIRE_TRY(best_policy(*client, before));
  line.advice_window = "15m";
  line.output = "table";
  if (run_policy(line, std::cout, std::cerr) != kExitOk) {
    return model::make_error(model::Errc::kInternal, "policy advise failed");
  }
  line.advice_window.clear();
  std::ostringstream said;
  if (run_policy(line, said, std::cerr) != kExitOk) {
    return model::make_error(model::Errc::kInternal, "policy set failed");
  }
  const Share after = QUIRE_TRY(work(*client, 2));
  std::printf(
      "                quirectl policy set ram %s, while it runs: such prompts hit %.1f %% now\n",
      line.policy.c_str(), after.percent());
  return {};
}

}  // namespace quire::client
