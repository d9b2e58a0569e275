#include "tests/attacks/neighbour.h"

#include <grp.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include "tests/process/client_life.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests {

using client::Client;
using client::Session;
using model::FillKind;

namespace {

constexpr uint64_t kKeptContext = 7;
constexpr uint32_t kRoundsBetweenNewcomers = 64;
constexpr uint32_t kSpanTokens = 8;           // of small_hybrid_layout()
constexpr uint32_t kTokensPerSession = 4096;  // then it goes on in another one
constexpr uint64_t kRefusalsShown = 5;
constexpr char kLeave = 'q';

struct Counts {
  uint32_t rounds = 0;
  uint32_t refusals = 0;
  uint32_t lost = 0;
  uint32_t wrong_pages = 0;
};

float us_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<float, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// The life of the neighbour, in its own process.
class Resident {
 public:
  explicit Resident(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  bool move_in() {
    client_ = connect();
    if (client_ == nullptr) return false;
    kept_ = committed_session(*client_, kKeptContext);
    return true;
  }

  NeighbourReport live(uint32_t rounds) {
    NeighbourReport report;
    for (uint32_t i = 0; i < rounds; ++i) {
      const auto start = std::chrono::steady_clock::now();
      commit_one(report);
      report.commit_us.push_back(us_since(start));
      const auto middle = std::chrono::steady_clock::now();
      find(*kept_, report);
      report.hit_us.push_back(us_since(middle));
      if (++rounds_ % kRoundsBetweenNewcomers == 0) come_anew(report);
      ++report.rounds;
    }
    return report;
  }

 private:
  std::unique_ptr<Client> connect() {
    auto connected = Client::connect(patient_client(socket_path_, "neighbour"));
    return connected.ok() ? std::move(connected).value() : nullptr;
  }

  template <typename T>
  bool granted(const model::Result<T>& result, const char* what, NeighbourReport& report) {
    if (result.ok()) return true;
    ++report.refusals;
    std::fprintf(stderr, "neighbour: %s: %s: %s\n", what,
                 std::string(model::errc_name(result.code())).c_str(), result.error().text.c_str());
    return false;
  }

  // The next span of a context that nobody finds again.
  void commit_one(NeighbourReport& report) {
    if (writer_ == nullptr || written_tokens_ + kSpanTokens > kTokensPerSession) {
      auto opened = client_->open_session(session_options(small_hybrid_layout()));
      if (!granted(opened, "open_session", report)) return;
      writer_ = std::move(opened).value();
      const auto tokens = context_tokens(kTokensPerSession, 1000 + ++contexts_);
      if (!granted(writer_->append_tokens(tokens), "append", report)) return;
      written_tokens_ = 0;
    }
    written_tokens_ += kSpanTokens;
    granted(commit_object(*writer_, FillKind::kSpan, written_tokens_), "commit", report);
  }

  void find(Session& session, NeighbourReport& report) {
    const auto match = session.match(kPromptTokens);
    if (!granted(match, "match", report)) return;
    if (match->exact_tokens != kExactTokens) {
      ++report.lost;
      std::fprintf(stderr, "neighbour: %u of %u tokens are there\n", match->exact_tokens,
                   kExactTokens);
      if (match->lease == 0) return;
    } else if (check_hit(session, *match) != kPagesPerHit) {
      ++report.wrong_pages;
    }
    granted(session.release(match->lease), "release", report);
  }

  void come_anew(NeighbourReport& report) {
    const auto client = connect();
    if (client == nullptr) {
      ++report.refusals;
      std::fprintf(stderr, "neighbour: a new connection was refused\n");
      return;
    }
    auto session = client->open_session(session_options(small_hybrid_layout()));
    if (!granted(session, "open_session of a newcomer", report)) return;
    const auto tokens = context_tokens(kPromptTokens, 1'000'000 + ++contexts_);
    if (!granted((*session)->append_tokens(tokens), "append", report)) return;
    if (!granted(commit_context(**session, kPromptTokens), "commit of a context", report)) return;
    find(**session, report);
    granted((*session)->close(), "close", report);
  }

  std::string socket_path_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Session> kept_;
  std::unique_ptr<Session> writer_;
  uint32_t written_tokens_ = 0;
  uint64_t contexts_ = 0;
  uint64_t rounds_ = 0;
};

template <typename T>
std::string_view bytes_of(const T* values, size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

int be_neighbour(const std::string& socket_path, uid_t uid, Channel& channel) {
  become(uid);
  Resident resident(socket_path);
  channel.send(resident.move_in() ? "m" : "-");
  for (;;) {
    if (!eventually([&] { return channel.readable(); })) continue;  // nothing is asked for
    uint32_t rounds = 0;
    const std::string command = channel.receive(1 + sizeof(rounds));
    if (command.empty() || command[0] == kLeave) return 0;
    std::memcpy(&rounds, command.data() + 1, sizeof(rounds));
    const NeighbourReport report = resident.live(rounds);
    const Counts counts{rounds, static_cast<uint32_t>(report.refusals),
                        static_cast<uint32_t>(report.lost),
                        static_cast<uint32_t>(report.wrong_pages)};
    channel.send(bytes_of(&counts, 1));
    channel.send(bytes_of(report.commit_us.data(), report.commit_us.size()));
    channel.send(bytes_of(report.hit_us.data(), report.hit_us.size()));
  }
}

bool receive_samples(Channel& channel, size_t count, std::vector<float>& samples) {
  const std::string bytes = channel.receive(count * sizeof(float));
  samples.resize(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  return samples.size() == count;
}

}  // namespace

void become(uid_t uid) {
  const bool changed = ::setgroups(0, nullptr) == 0 && ::setgid(uid) == 0 && ::setuid(uid) == 0;
  QUIRE_CHECK(changed);
}

Neighbour::Neighbour(const std::string& socket_path, uid_t uid)
    : process_(TestProcess::call(
          [&](Channel& channel) { return be_neighbour(socket_path, uid, channel); })) {
  QUIRE_CHECK(process_.channel().receive() == "m");
}

NeighbourReport Neighbour::rounds(uint32_t count) {
  std::string command(1, 'r');
  command.append(bytes_of(&count, 1));
  process_.channel().send(command);
  Counts counts;
  const std::string received = process_.channel().receive(sizeof(counts));
  NeighbourReport report;
  if (received.size() != sizeof(counts)) return report;
  std::memcpy(&counts, received.data(), sizeof(counts));
  report.alive = true;
  report.rounds = counts.rounds;
  report.refusals = counts.refusals;
  report.lost = counts.lost;
  report.wrong_pages = counts.wrong_pages;
  report.alive = receive_samples(process_.channel(), counts.rounds, report.commit_us) &&
                 receive_samples(process_.channel(), counts.rounds, report.hit_us);
  return report;
}

bool Neighbour::leave() {
  process_.channel().send(std::string(1, kLeave));
  process_.channel().close();
  return process_.wait() == 0;
}

}  // namespace quire::tests
