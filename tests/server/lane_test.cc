// The memory of a session that ended serves the next one of its process, and staging is the
// process's: what goes on from one session to another, and what must not.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <set>

#include "server/core.h"
#include "tests/support/patience.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::lane_test {

using model::Errc;
using model::FillKind;
using model::SessionLane;

namespace {

constexpr uint32_t kTokens = 41;

constexpr server::LaneShape kShape{.ring_entries = 8, .max_units = 64, .max_load_pages = 64};

Errc code_of(const std::string& reply) {
  model::ReplyStatus status;
  QUIRE_CHECK(reply.size() >= sizeof(status));
  std::memcpy(&status, reply.data(), sizeof(status));
  return static_cast<Errc>(status.code);
}

// Frames by hand.
class LaneTest : public testing::Test {
 protected:
  struct Opened {
    model::OpenSessionReply reply;
    std::vector<model::FdGuard> descriptors;
    SessionLane lane() const { return static_cast<SessionLane>(reply.lane_state); }
  };

  explicit LaneTest(const server::Options& options = small_options())
      : daemon_(options), client_(daemon_.socket_path()) {
    const std::vector<std::byte> encoded = model::encode(small_append_layout());
    client_.send(model::FrameType::kRegisterLayout,
                 {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
    layout_ = model::read_struct<model::RegisterLayoutReply>(client_.receive())->layout;
  }
  model::OpenSessionRequest request(uint64_t lane = 0) const {
    model::OpenSessionRequest request;
    request.layout = layout_;
    request.ring_entries = kShape.ring_entries;
    request.max_units = kShape.max_units;
    request.max_load_pages = kShape.max_load_pages;
    request.lane = lane;
    request.namespace_name = *model::to_wire_name("lanes");
    return request;
  }
  Opened open(const model::OpenSessionRequest& request) {
    client_.send(model::FrameType::kOpenSession, model::struct_bytes(request));
    Opened opened;
    opened.reply =
        *model::read_struct<model::OpenSessionReply>(client_.receive(&opened.descriptors));
    return opened;
  }
  Opened join(const std::array<uint8_t, 16>& token, uint64_t lane) {
    model::JoinSessionRequest request;
    request.token = token;
    request.ring_entries = kShape.ring_entries;
    request.max_load_pages = kShape.max_load_pages;
    request.lane = lane;
    client_.send(model::FrameType::kJoinSession, model::struct_bytes(request));
    Opened opened;
    opened.reply =
        *model::read_struct<model::OpenSessionReply>(client_.receive(&opened.descriptors));
    return opened;
  }
  bool close(uint64_t session, bool keep = true) {
    const model::CloseSessionRequest request{.session = session, .keep_lane = keep ? 1u : 0u};
    client_.send(model::FrameType::kCloseSession, model::struct_bytes(request));
    return model::read_struct<model::CloseSessionReply>(client_.receive())->lane_kept == 1;
  }
  // The files of what a lane's client writes and of what it reads.
  static std::array<ino_t, 2> files_of(const Opened& opened) {
    std::array<ino_t, 2> files{};
    for (size_t i = 0; i < files.size(); ++i) {
      struct stat status {};
      QUIRE_CHECK(::fstat(opened.descriptors[i].get(), &status) == 0);
      files[i] = status.st_ino;
    }
    return files;
  }
  uint64_t session_bytes() {
    uint64_t bytes = 0;
    daemon_.on_core([&](server::Daemon& d) { bytes = d.core().registry().shared_bytes(); });
    return bytes;
  }

  TestDaemon daemon_;
  RawClient client_;
  uint32_t layout_ = 0;
};

class ScarceLanes : public LaneTest {
 protected:
  static constexpr uint64_t kBytes = 1 << 20;  // the least that a daemon may have
  static server::Options scarce() {
    server::Options options = small_options();
    options.session_memory_bytes = kBytes;
    return options;
  }
  ScarceLanes() : LaneTest(scarce()) {}
  Errc try_open() {
    client_.send(model::FrameType::kOpenSession, model::struct_bytes(request()));
    std::vector<model::FdGuard> descriptors;
    return code_of(client_.receive(&descriptors));
  }
};

}  // namespace

TEST_F(LaneTest, ALaneThatWasKeptServesTheNextSessionOfItsSizes) {
  const Opened first = open(request());
  EXPECT_EQ(first.lane(), SessionLane::kNew);
  EXPECT_EQ(first.descriptors.size(), model::kSessionDescriptorCount);
  ASSERT_TRUE(close(first.reply.session));
  const Opened second = open(request(first.reply.lane));
  EXPECT_EQ(second.lane(), SessionLane::kKnownWhole);
  EXPECT_TRUE(second.descriptors.empty());
  EXPECT_EQ(second.reply.lane, first.reply.lane);
  EXPECT_NE(second.reply.session, first.reply.session);
  EXPECT_NE(second.reply.token, first.reply.token);
}

TEST_F(LaneTest, OneOfOtherSizesOrThatWasNotKeptIsMadeAnew) {
  const Opened first = open(request());
  ASSERT_TRUE(close(first.reply.session));
  model::OpenSessionRequest larger = request(first.reply.lane);
  larger.max_units = 128;
  const Opened second = open(larger);
  EXPECT_EQ(second.lane(), SessionLane::kNew);
  EXPECT_FALSE(close(second.reply.session, /*keep=*/false));
  larger.lane = second.reply.lane;
  EXPECT_EQ(open(larger).lane(), SessionLane::kNew);
}

TEST_F(LaneTest, IsNotHadByTwoSessions) {
  const Opened first = open(request());
  ASSERT_TRUE(close(first.reply.session));
  EXPECT_EQ(open(request(first.reply.lane)).lane(), SessionLane::kKnownWhole);
  EXPECT_EQ(open(request(first.reply.lane)).lane(), SessionLane::kNew);
}

TEST_F(LaneTest, Law13_IsNotHadByAnotherConnection) {
  const Opened first = open(request());
  ASSERT_TRUE(close(first.reply.session));
  RawClient other(daemon_.socket_path());
  std::swap(client_, other);
  const std::vector<std::byte> encoded = model::encode(small_append_layout());
  client_.send(model::FrameType::kRegisterLayout,
               {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  client_.receive();
  EXPECT_EQ(open(request(first.reply.lane)).lane(), SessionLane::kNew);
}

// The progress is the session's: a process that joins maps that one.
TEST_F(LaneTest, AJoinedSessionBringsItsOwnProgress) {
  const Opened mine = open(request());
  const Opened spare = open(request());
  ASSERT_TRUE(close(spare.reply.session));
  const Opened joined = join(mine.reply.token, spare.reply.lane);
  EXPECT_EQ(joined.lane(), SessionLane::kKnown);
  EXPECT_EQ(joined.descriptors.size(), 1u);
  ASSERT_TRUE(close(joined.reply.session));
  // The lane's first progress went when the other took its place in the process.
  const Opened again = open(request(spare.reply.lane));
  EXPECT_EQ(again.lane(), SessionLane::kKnown);
  EXPECT_EQ(again.descriptors.size(), 1u);
}

// Whoever opened a session may leave it to others, and its progress with it.
TEST_F(LaneTest, AProgressStaysWithTheSessionThatOthersAreIn) {
  const Opened opener = open(request());
  const Opened joined = join(opener.reply.token, 0);
  ASSERT_TRUE(close(opener.reply.session));
  const Opened next = open(request(opener.reply.lane));
  EXPECT_EQ(next.lane(), SessionLane::kKnown);
  ASSERT_EQ(next.descriptors.size(), 1u);
  EXPECT_TRUE(close(joined.reply.session));
  EXPECT_TRUE(close(next.reply.session));
  EXPECT_EQ(open(request(opener.reply.lane)).lane(), SessionLane::kKnownWhole);
}

TEST_F(LaneTest, Law10_SoManyAreKeptAndNoMore) {
  std::vector<Opened> all;
  for (size_t i = 0; i <= server::SessionRegistry::kMaxSpareLanes; ++i) {
    all.push_back(open(request()));
  }
  size_t kept = 0;
  for (const Opened& one : all) kept += close(one.reply.session) ? 1 : 0;
  EXPECT_EQ(kept, server::SessionRegistry::kMaxSpareLanes);
}

// Ring indexes that the client left as they were are as good as a scribble.
TEST_F(LaneTest, Law11_AClientThatDoesNotSetItsWordsBackLosesThatSessionOnly) {
  Opened first = open(request());
  RawSession session(std::move(first.descriptors), first.reply, {}, 0);
  session.submit_noop(1);
  session.wait_completion();
  ASSERT_TRUE(close(first.reply.session));
  ASSERT_EQ(open(request(first.reply.lane)).lane(), SessionLane::kKnownWhole);
  EXPECT_TRUE(session.wait_closed());
  EXPECT_TRUE(model::read_struct<model::SessionEndedEvent>(client_.receive()).ok());
  EXPECT_EQ(open(request()).lane(), SessionLane::kNew) << "its connection lives";
}

TEST_F(LaneTest, Law05_WhatAClientKeptGoesWithIt) {
  const uint64_t before = session_bytes();
  for (int i = 0; i < 3; ++i) close(open(request()).reply.session);
  client_.send(model::FrameType::kMakeStaging,
               model::struct_bytes(model::MakeStagingRequest{1 << 20}));
  std::vector<model::FdGuard> staging;
  client_.receive(&staging);
  EXPECT_GE(session_bytes(), before + (1 << 20));
  client_ = RawClient(daemon_.socket_path());
  EXPECT_TRUE(daemon_.eventually(
      [&](server::Daemon& d) { return d.core().registry().shared_bytes() == before; }));
}

TEST_F(LaneTest, Law10_StagingHasItsBounds) {
  const auto make = [&](uint64_t bytes) {
    client_.send(model::FrameType::kMakeStaging,
                 model::struct_bytes(model::MakeStagingRequest{bytes}));
    std::vector<model::FdGuard> descriptors;
    return code_of(client_.receive(&descriptors));
  };
  EXPECT_EQ(make(0), Errc::kInvalidArgument);
  EXPECT_EQ(make(model::kMaxStagingBytes + 1), Errc::kInvalidArgument);
  for (size_t i = 0; i < server::StagingAreas::kMaxAreasOfAClient; ++i) {
    ASSERT_EQ(make(4096), Errc::kOk);
  }
  EXPECT_EQ(make(4096), Errc::kBusy);
  model::OpenSessionRequest unknown = request();
  unknown.staging = 99;
  client_.send(model::FrameType::kOpenSession, model::struct_bytes(unknown));
  EXPECT_EQ(code_of(client_.receive()), Errc::kNotFound);
}

// Of a file for each session, a client that is killed with thousands leaves its neighbours to wait
// for the kernel.
TEST_F(LaneTest, LanesOfAShapeShareTheirFiles) {
  constexpr size_t kAlone = server::LaneMemory::kMostLanes;  // as long as it has no more
  constexpr size_t kLanes = 3 * kAlone;
  const uint64_t before = session_bytes();
  const uint64_t of_one = kShape.total_bytes();
  std::set<std::array<ino_t, 2>> files;
  std::set<std::pair<std::array<ino_t, 2>, uint64_t>> places;
  std::vector<Opened> all;
  for (size_t i = 1; i <= kLanes; ++i) {
    all.push_back(open(request()));
    const Opened& opened = all.back();
    ASSERT_EQ(opened.lane(), SessionLane::kNew);
    files.insert(files_of(opened));
    places.emplace(files_of(opened), opened.reply.control_offset);
    places.emplace(files_of(opened), opened.reply.reply_offset + 1);  // never a whole page
    EXPECT_LE(session_bytes() - before, of_one * (i <= kAlone ? i : 2 * i - 1)) << "lanes: " << i;
  }
  EXPECT_EQ(files.size(), kAlone + 2);
  EXPECT_EQ(places.size(), 2 * kLanes) << "and each has its own place in them";
}

TEST_F(LaneTest, ThePlaceOfALaneThatWentIsTakenAgain) {
  constexpr size_t kAlone = server::LaneMemory::kMostLanes;
  std::vector<Opened> all;
  for (size_t i = 0; i < 3 * kAlone; ++i) all.push_back(open(request()));
  const uint64_t full = session_bytes();
  for (const size_t gone : {kAlone, kAlone + 7, 3 * kAlone - 1}) {
    EXPECT_FALSE(close(all[gone].reply.session, false));
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(open(request()).lane(), SessionLane::kNew);
  EXPECT_EQ(session_bytes(), full);
}

TEST_F(LaneTest, Law13_LanesOfTwoConnectionsShareNoFile) {
  std::vector<Opened> mine;
  for (uint32_t i = 0; i <= server::LaneMemory::kMostLanes; ++i) mine.push_back(open(request()));
  client_ = RawClient(daemon_.socket_path());
  const std::vector<std::byte> encoded = model::encode(small_append_layout());
  client_.send(model::FrameType::kRegisterLayout,
               {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  client_.receive();
  const std::array<ino_t, 2> others = files_of(open(request()));
  for (const Opened& one : mine) {
    for (const ino_t file : files_of(one)) {
      EXPECT_NE(file, others[0]);
      EXPECT_NE(file, others[1]);
    }
  }
}

// Places to spare are none where memory is short: as many lanes as fit can be had.
TEST_F(ScarceLanes, Law10_PlacesToSpareTakeNoSessionItsMemory) {
  const uint64_t lanes = kBytes / kShape.total_bytes();
  ASSERT_GT(lanes, server::LaneMemory::kMostLanes);
  for (uint64_t i = 0; i < lanes; ++i) ASSERT_EQ(try_open(), Errc::kOk) << i;
  EXPECT_EQ(try_open(), Errc::kBusy);
}

// Through the library: what one session wrote is what the next one reads, in the same memory.
TEST(Lanes, SessionsFollowEachOtherInOneLane) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const std::byte* staging = nullptr;
  for (uint64_t context = 1; context <= 20; ++context) {
    auto session = open_session(*client, session_options(small_hybrid_layout()));
    if (staging == nullptr) staging = session->staging().data();
    EXPECT_EQ(session->staging().data(), staging);
    EXPECT_EQ(session->progress().committed_tokens, 0u);
    ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, context)).ok());
    ASSERT_TRUE(commit_context(*session, kTokens).ok());
    const auto match = session->match(kTokens);
    ASSERT_TRUE(match.ok());
    EXPECT_EQ(check_hit(*session, *match), 7);
    // What is under way at the end must not reach the next one.
    EXPECT_TRUE(session->submit_noop().ok());
    session->flush();
    ASSERT_TRUE(session->close().ok());
    daemon.on_core([](server::Daemon& d) { EXPECT_EQ(d.core().registry().session_count(), 0u); });
  }
  EXPECT_TRUE(daemon.is_quiet());
}

TEST(Lanes, SessionsAtOnceKeepApart) {
  constexpr uint64_t kSessions = 2 * server::LaneMemory::kMostLanes;
  TestDaemon daemon;
  const auto client = daemon.connect();
  std::vector<std::unique_ptr<client::Session>> all;
  for (uint64_t context = 1; context <= kSessions; ++context) {
    all.push_back(open_session(*client, session_options(small_hybrid_layout())));
    ASSERT_TRUE(all.back()->append_tokens(context_tokens(kTokens, context)).ok());
  }
  for (const auto& session : all) ASSERT_TRUE(commit_context(*session, kTokens).ok());
  for (const auto& session : all) {
    EXPECT_EQ(session->progress().committed_tokens, 40u);
    const auto match = session->match(kTokens);
    ASSERT_TRUE(match.ok());
    EXPECT_EQ(check_hit(*session, *match), 7);
  }
}

}  // namespace quire::tests::lane_test
