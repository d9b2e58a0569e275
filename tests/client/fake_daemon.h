// A small daemon in a thread for tests of the client library: the real wire, rings and memory, a
// store that never evicts, and knobs to misbehave. Destroying it is its death, at any moment.
// Threads: the public functions may be called by the test while the daemon's thread serves.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/frame_socket.h"
#include "model/fd_guard.h"
#include "tests/client/fake_session.h"

namespace quire::client {

struct FakeDaemonOptions {
  uint64_t epoch = 1;
  uint16_t hello_version = model::kProtocolVersion;
  bool hello_brings_segments = true;
  uint64_t segment_bytes = 1 << 20;
  size_t max_connections = 8;     // beyond: kBusy, then hang-up
  size_t refuse_connections = 0;  // so many of the first are refused in the same way
  uint32_t queued_answers = 0;    // so many times an open is answered with a ticket first
  std::string json = R"({"schema":"quire.status.1"})";  // of status, verify and scrub
};

class FakeDaemon {
 public:
  explicit FakeDaemon(std::string socket_path, FakeDaemonOptions options = {});
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  // While held, requests pile up unanswered.
  void hold_ring(bool held);
  void hold_replies(bool held);
  void fail_next_commit(model::Errc code);
  void cut_next_load(const FakeStore::LoadEnd& end);
  void change_next_runs(std::function<void(model::PageRun&)> change);
  // Held loads are taken, not completed; advance_loads counts their first `ready` pages as ready.
  void hold_loads(bool held);
  void advance_loads(uint32_t ready);
  void retire_segment(uint32_t segment);
  void end_sessions(model::Errc code, std::string_view why);
  void scribble_completion_indexes();
  void scribble_load_ready(uint32_t count);
  void ask_for_checkpoints(uint32_t shared_word);

  std::vector<uint32_t> acknowledged();
  model::OpenSessionRequest last_open();
  std::vector<uint64_t> staging_bytes();  // of the areas that clients asked for, in order
  model::MatchArgs last_match();
  model::LoadArgs last_load();
  model::ResumedArgs last_resumed();
  model::BeginFillArgs last_fill();
  Frame last_frame();  // without descriptors
  size_t session_count();
  size_t lease_count();
  size_t fill_count();

 private:
  struct Peer {
    explicit Peer(model::FdGuard fd) : socket(std::move(fd)) {}
    FrameSocket socket;
    std::vector<FakeStaging> staging;
    std::map<uint64_t, std::unique_ptr<FakeSession>> sessions;
    std::vector<Frame> held;
    bool gone = false;
  };

  void run();
  void serve_all();
  void sleep();
  void accept_peers();
  void refuse(const model::FdGuard& socket);
  void read_frames(Peer& peer);
  void handle(Peer& peer, const Frame& frame);
  void reply(Peer& peer, const Frame& request, std::string_view payload,
             const std::vector<int>& fds = {});
  std::string hello_payload(std::vector<int>& fds);
  void open_session(Peer& peer, const Frame& frame);
  void answer_queued(Peer& peer, const Frame& frame);
  void map_segment(Peer& peer, const Frame& frame);
  void wake();

  const std::string path_;
  const FakeDaemonOptions options_;
  model::FdGuard listener_;
  model::FdGuard waker_;  // eventfd: the test changed something
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // everything below
  FakeStore store_;
  std::list<Peer> peers_;
  std::vector<model::Layout> layouts_;
  std::vector<uint32_t> acknowledged_;
  std::vector<uint64_t> staging_bytes_;
  model::FrameHeader last_header_;
  std::string last_payload_;
  uint64_t next_session_ = 1;
  uint32_t queued_ = 0;  // opens answered with a ticket
  size_t accepted_ = 0;
  bool ring_held_ = false;
  bool replies_held_ = false;
  std::thread thread_;
};

// A path for a socket that no other test uses.
std::string fresh_socket_path();

}  // namespace quire::client
