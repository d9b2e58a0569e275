// Events over ZeroMQ: a router in Python, with the libraries that such routers use, and the real
// daemon.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "client/quirectl/routing/event_text.h"
#include "model/hex_text.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::zmq_process_test {

namespace {

constexpr uint32_t kTokens = 33;                     // eight spans and a token
constexpr const char* kPython = "/usr/bin/python3";  // the distribution's, whose packages these are

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<uint32_t> tokens() { return context_tokens(kTokens, 1); }

// What a router of vLLM's kind needs: the envelope, live and replayed, without holes.
class ZmqProcess : public testing::TestWithParam<std::string> {
 protected:
  ~ZmqProcess() override { std::filesystem::remove_all(directory_); }
  static std::string make_directory() {
    const std::string path = testing::TempDir() + "quire-zmq-" + std::to_string(::getpid());
    std::filesystem::create_directories(path);
    return path;
  }
  const std::string directory_ = make_directory();
  const std::string events_ = "ipc://" + directory_ + "/events";
  const std::string replay_ = "ipc://" + directory_ + "/replay";
};

TEST_P(ZmqProcess, RouterInPythonHearsWhatIsStored) {
  DaemonProcess daemon(
      {.flags = {kNoGhosts, "--events_zmq=" + events_, "--events_zmq_replay=" + replay_,
                 "--events_zmq_format=" + GetParam()}});
  EXPECT_EQ(std::filesystem::status(directory_ + "/events").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto client = daemon.connect();
  {
    const auto writer = open_session(*client, session_options(small_append_layout()));
    ASSERT_TRUE(writer->append_tokens(tokens()).ok());
    ASSERT_TRUE(commit_context(*writer, kTokens).ok());
  }
  model::FdGuard out(::open((directory_ + "/heard").c_str(), O_CREAT | O_RDWR, 0600));
  TestProcess router = TestProcess::exec(
      {kPython, QUIRE_SOURCE_DIR "/tests/events/zmq_subscriber.py", events_, replay_, "8"},
      {.output_fd = out.get()});
  const int exit_code = router.wait();
  std::ifstream file(directory_ + "/heard");
  const std::string heard{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(exit_code, 0) << heard;
  EXPECT_TRUE(says(heard, "\"holes\": false")) << heard;
  EXPECT_TRUE(says(heard, "\"block_size\": 4,")) << heard;
  EXPECT_TRUE(says(heard, "\"tenant\", \"model\", 0]")) << heard;
  // The whole path, in the hashes of the engine's library.
  const auto session = open_session(*client, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_tokens(tokens()).ok());
  std::string chain;
  for (const model::Hash256& hash : session->chain()) {
    chain += (chain.empty() ? "\"" : ", \"") + model::hex_text(hash.bytes) + '"';
  }
  EXPECT_TRUE(says(heard, "\"chain\": [" + chain + "]")) << heard << '\n' << chain;
}

INSTANTIATE_TEST_SUITE_P(Shapes, ZmqProcess, testing::Values("array", "map"));

TEST(ZmqOptions, EndpointsOfThisMachineAlone) {
  for (const std::string flag : {"--events_zmq=tcp://0.0.0.0:5557", "--events_zmq=tcp://*:5557",
                                 "--events_zmq=ipc://", "--events_zmq_replay=tcp://127.0.0.1:1",
                                 "--events_zmq_format=json", "--event_memory=1KiB"}) {
    EXPECT_EQ(run_program("quired", {flag, "--check_config"}).exit_code, 2) << flag;
  }
}

}  // namespace

}  // namespace quire::tests::zmq_process_test
