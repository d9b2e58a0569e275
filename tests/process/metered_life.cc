#include "tests/process/metered_life.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "client/quire.h"
#include "model/check.h"
#include "server/metering/ledger.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests {

using client::Client;
using client::Session;

namespace {

constexpr uint32_t kContextTokens = 40;
constexpr int kTurnsOfASession = 4;

struct LogEntry {
  enum class What : uint64_t { kAsked, kMatched, kSaying, kClosed };
  uint64_t request = 0;
  What what = What::kAsked;
  uint64_t value = 0;
  int64_t wall_us = 0;
};

// One session after the other, until the daemon is gone.
class MeteredClient {
 public:
  explicit MeteredClient(const MeteredLife& life)
      : life_(life),
        next_request_(uint64_t{life.number} << 32),
        random_(life.number),
        log_(::open(life.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    QUIRE_CHECK(log_.valid());
  }

  // False: the daemon does not answer.
  bool connect() {
    if (client_ != nullptr) return client_->reconnect(100).ok();
    auto connected = Client::connect(patient_client(life_.socket_path, life_.tenant));
    if (connected.ok()) client_ = std::move(connected).value();
    return client_ != nullptr;
  }

  // False as soon as a call failed.
  bool live_a_session() {
    // A turn that was cut short is not ended by the next answer of another daemon.
    open_request_ = 0;
    const uint64_t context = uint64_t{life_.number} << 32 | random_() % 8;
    client::SessionOptions options = session_options(small_hybrid_layout(), "model", life_.tenant);
    options.model = kMeteredModel;
    auto session = client_->open_session(options);
    if (!session.ok()) return false;
    if (!(*session)->append_tokens(context_tokens(kContextTokens + 8, context)).ok()) return false;
    for (int turn = 0; turn < kTurnsOfASession; ++turn) {
      if (!take_turn(**session)) return false;
      if (turn == 0 && !commit_context(**session, kContextTokens + 1).ok()) return false;
    }
    // No word on the last turn's end: there is nothing to close where the daemon is gone, and that
    // is no failure.
    return (*session)->close().ok();
  }

 private:
  bool take_turn(Session& session) {
    const uint64_t request = ++next_request_;
    const auto prompt = static_cast<uint32_t>(kContextTokens + 1 + random_() % 6);
    note(request, LogEntry::What::kAsked, prompt);
    const auto match = session.match(prompt, 0, {}, request);
    if (!match.ok()) return false;
    note_closed();
    note(request, LogEntry::What::kMatched, match->exact_tokens);
    open_request_ = request;
    if (match->lease != 0 && !session.load(match->lease).ok()) return false;
    const auto output = static_cast<uint32_t>(1 + random_() % 50);
    note(request, LogEntry::What::kSaying, output);
    const auto how =
        match->exact_tokens > 0 ? model::ResumedHow::kExact : model::ResumedHow::kNothing;
    const bool said = session
                          .resumed({.how = how,
                                    .resumed_tokens = match->exact_tokens,
                                    .output_tokens = output,
                                    .request_id = request})
                          .ok();
    // The first client decodes long answers at times: a turn that is open when the daemon dies.
    if (said && life_.number == 1 && random_() % 32 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(800));
    }
    return said;
  }
  // What was answered last ended the turn before.
  void note_closed() {
    if (open_request_ != 0) note(open_request_, LogEntry::What::kClosed, 0);
    open_request_ = 0;
  }
  void note(uint64_t request, LogEntry::What what, uint64_t value) {
    const LogEntry entry{request, what, value, server::wall_clock_us()};
    QUIRE_CHECK(::write(log_.get(), &entry, sizeof(entry)) == sizeof(entry));
  }

  const MeteredLife& life_;
  uint64_t next_request_;
  uint64_t open_request_ = 0;
  std::mt19937_64 random_;
  model::FdGuard log_;
  std::unique_ptr<Client> client_;
};

}  // namespace

int MeteredLife::run(Channel& channel) const {
  MeteredClient client(*this);
  while (!channel.readable()) {
    if (!client.connect()) continue;
    while (!channel.readable() && client.live_a_session()) {
    }
  }
  return 0;
}

std::map<uint64_t, MeteredTurn> read_metered_log(const std::string& log_path) {
  std::map<uint64_t, MeteredTurn> turns;
  std::ifstream file(log_path, std::ios::binary);
  LogEntry entry;
  int64_t asked_us = 0;
  while (file.read(reinterpret_cast<char*>(&entry), sizeof(entry))) {
    MeteredTurn& turn = turns[entry.request];
    const auto value = static_cast<uint32_t>(entry.value);
    switch (entry.what) {
      case LogEntry::What::kAsked:
        turn.prompt_tokens = value;
        asked_us = entry.wall_us;
        break;
      case LogEntry::What::kMatched:
        turn.exact_tokens = value;
        turn.matched_us = entry.wall_us;
        turn.asked_us = asked_us;
        break;
      case LogEntry::What::kSaying:
        turn.output_tokens = value;
        break;
      case LogEntry::What::kClosed:
        turn.closed_us = entry.wall_us;
        turn.asked_us = asked_us;  // the next one's match
        break;
    }
  }
  return turns;
}

}  // namespace quire::tests
