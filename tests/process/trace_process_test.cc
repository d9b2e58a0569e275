// quirectl trace record and replay on the real daemon: what clients saw is what the trace says, and
// nobody pays for a recording but whoever records.
#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/quirectl/trace/trace_file.h"
#include "model/trace_wire.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::trace_process_test {

namespace {

using client::Client;
using client::TraceLine;
using model::Errc;
using model::FillKind;

constexpr int kNotAuthorised = 4;
constexpr uint32_t kBlock = 4;  // tokens, of small_append_layout()

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string make_directory() {
  const std::string path = testing::TempDir() + "quire-trace-" + std::to_string(::getpid());
  std::filesystem::create_directory(path);
  return path;
}

// A directory of the test's own for the daemon's log and the trace.
class TraceProcess : public testing::Test {
 protected:
  ~TraceProcess() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> quirectl(const std::vector<std::string>& arguments) const {
    std::vector<std::string> line{program_path("quirectl"), "--socket=" + daemon_.socket_path()};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return line;
  }
  Output run(const std::vector<std::string>& arguments) const {
    std::vector<std::string> line = quirectl(arguments);
    line.erase(line.begin());
    return run_program("quirectl", line);
  }
  // Returns when the recording is under way.
  TestProcess record() {
    const size_t before = recordings_begun();
    TestProcess recorder = TestProcess::exec(quirectl({"trace", "record", "--out", trace_}), {});
    EXPECT_TRUE(eventually([&] { return recordings_begun() > before; }));
    return recorder;
  }
  size_t recordings_begun() const {
    const std::string log = contents(log_path_);
    size_t count = 0;
    for (size_t at = 0; (at = log.find(" verb=trace domain=", at)) != log.npos; ++at) ++count;
    return count;
  }

  const std::string directory_ = make_directory();
  const std::string log_path_ = directory_ + "/log";
  const std::string trace_ = directory_ + "/trace.jsonl";
  DaemonProcess daemon_{{.flags = {"--log_level=warning", kNoGhosts}, .log_path = log_path_}};
};

// A turn of a conversation: matches the prompt, commits it and the answer behind it. The tokens of
// the hit.
uint32_t take_turn(Client& client, uint64_t context, uint32_t prompt, uint32_t answer) {
  auto options = session_options(small_append_layout());
  options.conversation = context;
  const auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(prompt, context)).ok());
  const auto match = session->match(prompt);
  QUIRE_CHECK(match.ok());
  const auto all = context_tokens(prompt + answer, context);
  QUIRE_CHECK(session->append_tokens(std::span(all).subspan(prompt)).ok());
  QUIRE_CHECK(commit_context(*session, prompt + answer).ok());
  QUIRE_CHECK(session
                  ->resumed({.how = match->exact_tokens > 0 ? model::ResumedHow::kExact
                                                            : model::ResumedHow::kNothing,
                             .resumed_tokens = match->exact_tokens,
                             .output_tokens = answer})
                  .ok());
  return match->exact_tokens;
}

std::vector<TraceLine> read_trace(const std::string& path) {
  std::vector<TraceLine> lines;
  const auto read = client::for_each_trace_line(path, [&](TraceLine line) {
    lines.push_back(std::move(line));
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.error().text;
  return lines;
}

// What a cache without an end would have hit.
uint64_t infinite_hits(const std::vector<TraceLine>& lines) {
  std::set<uint32_t> present;
  uint64_t blocks = 0;
  for (const TraceLine& line : lines) {
    for (const uint32_t id : line.ids) blocks += present.contains(id) ? 1 : 0;
    present.insert(line.ids.begin(), line.ids.end());
    present.insert(line.output_ids.begin(), line.output_ids.end());
  }
  return blocks * kBlock;
}

TEST_F(TraceProcess, RecordedTraceHitsWhatClientsSawAndItsReplayDoesToo) {
  TestProcess recorder = record();
  uint64_t seen = 0;
  {
    const auto client = daemon_.connect();
    for (uint32_t turn = 0; turn < 6; ++turn) {
      seen += take_turn(*client, 1, 41 + turn * 22, 14);
      seen += take_turn(*client, 2, 23, 0);
      seen += take_turn(*client, 100 + turn, 31, 5);
    }
  }
  ASSERT_GT(seen, 0u);
  recorder.signal(SIGINT);
  EXPECT_EQ(recorder.wait(), 0);
  const auto lines = read_trace(trace_);
  ASSERT_EQ(lines.size(), 18u);
  EXPECT_EQ(infinite_hits(lines), seen);
  uint64_t told = 0;
  std::set<uint32_t> conversations;
  for (const TraceLine& line : lines) {
    told += line.hit_tokens;
    conversations.insert(line.conversation);
    EXPECT_EQ(line.block_tokens, kBlock);
    EXPECT_EQ(line.ids.size(), line.input_tokens / kBlock);
  }
  EXPECT_EQ(told, seen);
  EXPECT_EQ(conversations.size(), 8u);
  EXPECT_EQ(lines[0].output_tokens, 14u);
  const Output replayed = run({"trace", "replay", trace_, "--asap", "-o", "json"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.text;
  EXPECT_TRUE(contains(replayed.text, "\"requests\":18,")) << replayed.text;
  EXPECT_TRUE(contains(replayed.text, "\"hit_tokens\":" + std::to_string(seen) + ","))
      << replayed.text;
  EXPECT_TRUE(contains(replayed.text, "\"wrong_pages\":0,")) << replayed.text;
}

TEST_F(TraceProcess, TraceHoldsNoNameAndNoHash) {
  TestProcess recorder = record();
  const auto client = daemon_.connect();
  auto options = session_options(small_append_layout(), "secret-model", "secret-tenant");
  options.salt = "secret-salt";
  const auto session = open_session(*client, options);
  ASSERT_TRUE(session->append_tokens(context_tokens(41, 1)).ok());
  ASSERT_TRUE(session->match(41).ok());
  recorder.signal(SIGTERM);
  EXPECT_EQ(recorder.wait(), 0);
  const std::string text = contents(trace_);
  EXPECT_FALSE(contains(text, "secret")) << text;
  EXPECT_TRUE(contains(text, "\"hash_ids\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")) << text;
}

TEST_F(TraceProcess, EndsByItselfWhenItsTimeIsOver) {
  EXPECT_EQ(run({"trace", "record", "--out", trace_, "--for", "1s"}).exit_code, 0);
  EXPECT_EQ(contents(trace_), "");
}

// A request whose prompt fills a pipe alone.
void ask_at_length(Client& client, uint64_t context) {
  constexpr uint32_t kTokens = model::kMaxTraceKeys * kBlock;
  auto options = session_options(small_append_layout());
  options.max_tokens = kTokens + kBlock;
  const auto session = open_session(client, options);
  std::vector<model::Hash256> hashes(model::kMaxTraceKeys);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const uint64_t leaf = context << 32 | i;
    std::memcpy(hashes[i].bytes.data(), &leaf, sizeof(leaf));
  }
  ASSERT_TRUE(session->append_unit_hashes(hashes).ok());
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok()) << match.error().text;
}

TEST_F(TraceProcess, ReaderThatNeverReadsCostsItsOwnRecordsAndNothingElse) {
  constexpr uint64_t kRequests = 64;  // 4 MiB of keys: more than its pipe and queue hold
  const auto operator_client = daemon_.connect("operator");
  const auto pipe = operator_client->record_trace();
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  const auto client = daemon_.connect();
  for (uint64_t i = 0; i < kRequests; ++i) ask_at_length(*client, i);
  EXPECT_TRUE(client->ping().ok());
  EXPECT_TRUE(operator_client->ping().ok());
  // It reads at last, what is there and the count of what is not.
  std::string bytes;
  uint64_t requests = 0;
  uint64_t lost = 0;
  size_t at = 0;
  std::string part(1 << 16, '\0');
  while (requests + lost < kRequests) {
    const ssize_t got = ::read(pipe->get(), part.data(), part.size());
    ASSERT_GT(got, 0);
    bytes.append(part, 0, static_cast<size_t>(got));
    while (bytes.size() - at >= sizeof(model::TraceRecord)) {
      model::TraceRecord record;
      std::memcpy(&record, bytes.data() + at, sizeof(record));
      const size_t whole = sizeof(record) + record.key_count * sizeof(uint64_t);
      if (bytes.size() - at < whole) break;
      at += whole;
      const auto kind = static_cast<model::TraceRecordKind>(record.kind);
      if (kind == model::TraceRecordKind::kRequest) ++requests;
      if (kind == model::TraceRecordKind::kLost) lost += record.count;
    }
    // What was lost is told with the next record that finds room.
    if (requests + lost < kRequests && requests > 0) ask_at_length(*client, kRequests);
  }
  EXPECT_GT(lost, 0u);
}

TEST_F(TraceProcess, KilledRecorderLeavesNothingBehind) {
  const uint64_t before = daemon_.status().open_files;
  TestProcess recorder = record();
  EXPECT_GT(daemon_.status().open_files, before);
  recorder.signal(SIGKILL);
  recorder.wait();
  EXPECT_TRUE(
      daemon_.eventually([&](const DaemonStatus& status) { return status.open_files == before; }));
}

TEST_F(TraceProcess, ThirdRecordingIsRefusedUntilOneEnds) {
  const auto client = daemon_.connect();
  std::optional<model::FdGuard> first = client->record_trace().value();
  const auto second = client->record_trace();
  ASSERT_TRUE(second.ok());
  const Output refused = run({"trace", "record", "--out", trace_});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(contains(refused.text, "busy: two recordings are under way")) << refused.text;
  EXPECT_FALSE(std::filesystem::exists(trace_)) << "nothing was recorded";
  first.reset();
  EXPECT_TRUE(eventually([&] { return client->record_trace().ok(); }));
}

TEST_F(TraceProcess, OnlyAdministratorsRecord) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a second uid";
  constexpr uid_t kNobody = 65534;
  std::filesystem::permissions(
      daemon_.directory(), std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  std::filesystem::permissions(daemon_.socket_path(), std::filesystem::perms::all);
  TestProcess stranger =
      TestProcess::exec(quirectl({"trace", "record"}), {.before_exec = [] {
                          QUIRE_CHECK(::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 &&
                                      ::setuid(kNobody) == 0);
                        }});
  EXPECT_EQ(stranger.wait(), kNotAuthorised);
  EXPECT_EQ(recordings_begun(), 0u);
}

TEST_F(TraceProcess, ReplaySaysWhatIsWrong) {
  const Output none = run({"trace", "replay", directory_ + "/none.jsonl"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(contains(none.text, "none.jsonl: No such file")) << none.text;
  std::ofstream(trace_) << client::to_text({.ids = {1}}) << "{\"timestamp\": -1}\n";
  const Output wrong = run({"trace", "replay", trace_});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_TRUE(contains(wrong.text, trace_ + ":2: there is no input_length")) << wrong.text;
  EXPECT_EQ(run({"trace", "replay", trace_, "--speed", "2", "--asap"}).exit_code, 2);
  EXPECT_EQ(run({"trace", "replay", trace_, "--sessions", "0"}).exit_code, 2);
  EXPECT_EQ(run({"trace", "replay", trace_, "--limit", "1"}).exit_code, 0)
      << "the rest is not read";
}

// Layouts with checkpoints, whose units are not the trace's blocks; several at once.
// The last line of a replay is the bill of it: tokens hit, as who drove it counted them.
TEST_F(TraceProcess, TheBillOfAReplayHasTheHitsThatItsDriverCounted) {
  const std::string ledger = directory_ + "/ledger";
  std::ofstream trace(trace_);
  // Conversations whose turns follow on each other, among prompts that nobody asks for again.
  for (uint32_t turn = 1; turn <= 12; ++turn) {
    for (uint32_t conversation = 0; conversation < 5; ++conversation) {
      std::vector<uint32_t> ids;
      for (uint32_t i = 0; i < turn * 2 + conversation; ++i) {
        ids.push_back(conversation * 1000 + i);
      }
      trace << client::to_text({.timestamp_ms = turn, .block_tokens = 512, .ids = ids});
    }
    trace << client::to_text(
        {.timestamp_ms = turn, .block_tokens = 512, .ids = {50'000 + turn, 60'000 + turn}});
  }
  trace.close();
  const std::string book = directory_ + "/book.toml";
  std::ofstream(book)
      << "vendor = \"v\"\n[[price]]\nmodel = \"trace-replay\"\ncurrency = \"USD\"\n"
         "from = 2020-01-01T00:00:00Z\nhit = \"1\"\nmiss = \"10\"\noutput = \"0\"\n";
  DaemonProcess daemon({.flags = {"--ledger_path=" + ledger, kNoGhosts}});
  const Output replayed = run_program("quirectl", {"--socket=" + daemon.socket_path(), "trace",
                                                   "replay", trace_, "--asap", "-o", "json"});
  ASSERT_EQ(replayed.exit_code, 0) << replayed.text;
  daemon.stop();
  const Output bill =
      run_program("quirectl", {"meter", "bill", "--ledger", ledger, "--quired",
                               program_path("quired"), "--book", book, "-o", "json"});
  ASSERT_EQ(bill.exit_code, 0) << bill.text;
  const auto number_behind = [](const std::string& text, const std::string& key) {
    const size_t at = text.find(key);
    return at == text.npos ? 0 : std::stoull(text.substr(at + key.size()));
  };
  const uint64_t hits = number_behind(replayed.text, "\"hit_tokens\":");
  EXPECT_GT(hits, 100'000u);
  EXPECT_EQ(number_behind(bill.text, "\"kind\":\"hit\",\"quantity\":\""), hits) << bill.text;
  EXPECT_EQ(number_behind(bill.text, "\"receipts\":"), 72u);
}

TEST_F(TraceProcess, ReplaysInAnotherLayoutAndComparesEveryByte) {
  std::ofstream trace(trace_);
  std::vector<uint32_t> ids;
  for (uint32_t turn = 0; turn < 8; ++turn) {
    for (uint32_t i = 0; i < 4; ++i) ids.push_back(static_cast<uint32_t>(ids.size()));
    trace << client::to_text({.timestamp_ms = turn, .block_tokens = 512, .ids = ids});
  }
  trace.close();
  const std::string layout = directory_ + "/layout.toml";
  std::ofstream(layout)
      << "name = \"replayed\"\nunit_tokens = 128\nblock_tokens = 256\n"
         "[[groups]]\nname = \"global\"\nkind = \"append\"\npage_bytes = 12289\n"
         "layers = [{first = 0, offset = 0, bytes = 12289}]\n"
         "[[groups]]\nname = \"swa\"\nkind = \"window\"\npage_bytes = 4096\n"
         "window_tokens = 128\nlayers = [{first = 0, offset = 0, bytes = 4096}]\n";
  const Output replayed =
      run({"trace", "replay", trace_, "--asap", "--layout", layout, "-o", "json"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.text;
  // Each turn finds the one before it: 4, 8, .. 28 blocks.
  EXPECT_TRUE(contains(replayed.text, "\"hit_tokens\":57344,")) << replayed.text;
  EXPECT_TRUE(contains(replayed.text, "\"wrong_pages\":0,")) << replayed.text;
  const Output together =
      run({"trace", "replay", trace_, "--speed", "1000", "--sessions", "3", "--layout", layout});
  EXPECT_EQ(together.exit_code, 0) << together.text;
  EXPECT_TRUE(contains(together.text, "requests           8\n")) << together.text;
  EXPECT_TRUE(contains(together.text, "wrong_pages        0\n")) << together.text;
}

}  // namespace

}  // namespace quire::tests::trace_process_test
