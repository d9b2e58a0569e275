// quire_demo: the main job, end to end, on real input. Starts a daemon of its own in a fresh
// directory, runs engine processes against it, ends by itself and leaves nothing behind.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "client/engines/reference/demo_bill.h"
#include "client/engines/reference/demo_operator.h"
#include "client/engines/reference/demo_steps.h"
#include "client/engines/reference/demo_text.h"

namespace {

namespace fs = std::filesystem;
using quire::client::ChildProcess;
using quire::client::Client;
using quire::client::DemoSettings;
using quire::client::DemoVerdict;
using quire::model::Errc;
using quire::model::make_error;
using quire::model::Result;

constexpr auto kStartTimeout = std::chrono::seconds(10);

// Removed with everything in it at the end.
class FreshDirectory {
 public:
  static Result<FreshDirectory> create() {
    std::string pattern = (fs::temp_directory_path() / "quire-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) return quire::model::errno_error("mkdtemp");
    FreshDirectory directory;
    directory.path_ = pattern;
    return directory;
  }
  FreshDirectory(FreshDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~FreshDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  FreshDirectory() = default;
  fs::path path_;
};

std::string beside_this_program(const std::string& name) {
  std::error_code error;
  return (fs::read_symlink("/proc/self/exe", error).parent_path() / name).string();
}

Result<ChildProcess> start_daemon(const FreshDirectory& directory, const std::string& ram_bytes,
                                  bool with_ssd = true) {
  const std::string socket = directory.file("quired.sock");
  std::vector<std::string> command{beside_this_program("quired"), "--socket=" + socket,
                                   "--ram_bytes=" + ram_bytes};
  if (with_ssd) {
    command.insert(command.end(), {"--ssd_path=" + directory.file("ssd"), "--ssd_bytes=4GiB"});
  }
  ChildProcess daemon = QUIRE_TRY(ChildProcess::execute(command, directory.file("quired.log")));
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kStartTimeout) {
    auto client = Client::connect({.socket_path = socket, .client_name = "demo"});
    if (client.ok() && (*client)->ping().ok()) return daemon;
    if (!daemon.running()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::ifstream log(directory.file("quired.log"));
  std::string text((std::istreambuf_iterator<char>(log)), {});
  return make_error(Errc::kUnavailable, "the daemon does not start: " + text);
}

Result<bool> run_demo(const std::string& text_path, size_t tokens, const std::string& ram_bytes) {
  const FreshDirectory directory = QUIRE_TRY(FreshDirectory::create());
  DemoSettings settings;
  settings.socket_path = directory.file("quired.sock");
  const std::string text =
      QUIRE_TRY(quire::client::read_demo_text(text_path, QUIRE_SOURCE_DIR, tokens));
  settings.document = quire::client::to_tokens(text);
  ChildProcess daemon = QUIRE_TRY(start_daemon(directory, ram_bytes));
  std::printf("daemon          pid %d, %s of RAM, SSD tier; text: %zu byte tokens of %s\n",
              daemon.pid(), ram_bytes.c_str(), settings.document.size(),
              text_path.empty() ? "this project's own files" : text_path.c_str());
  std::fflush(stdout);

  DemoVerdict verdict;
  const double cold_s = QUIRE_TRY(quire::client::show_cold(settings));
  QUIRE_TRY(quire::client::show_warm(settings, cold_s, verdict));
  QUIRE_TRY(quire::client::show_handover(settings, verdict));
  QUIRE_TRY(quire::client::show_ranks(settings, verdict));
  QUIRE_TRY(quire::client::show_resident(settings));
  const auto before = QUIRE_TRY(quire::client::show_bill(settings.socket_path, QUIRE_SOURCE_DIR));
  const auto restart = [&]() -> Result<void> {
    daemon.kill();
    daemon = QUIRE_TRY(start_daemon(directory, ram_bytes));
    return {};
  };
  QUIRE_TRY(quire::client::show_crash(settings, restart, verdict));
  QUIRE_TRY(quire::client::show_bill_again(settings.socket_path, QUIRE_SOURCE_DIR, before));
  bool stopped = daemon.stop();
  daemon = QUIRE_TRY(start_daemon(directory, "64MiB", false));
  QUIRE_TRY(quire::client::show_operator(settings.socket_path));
  stopped = daemon.stop() && stopped;
  const bool good = stopped && verdict.logits_equal && verdict.whole_hit;
  std::printf("%s\n",
              good ? "done: every hit was whole and bit-exact" : "FAILED: see the lines above");
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Quire's demo: an engine attaches, shares and resumes a long context");
  std::string text_path;
  std::string ram_bytes = "512MiB";
  size_t tokens = 65536;
  app.add_option("--text", text_path, "any text file; default: this project's own files")
      ->check(CLI::ExistingFile);
  app.add_option("--tokens", tokens, "bytes of the text to use")->check(CLI::Range(1024, 1 << 20));
  app.add_option("--ram_bytes", ram_bytes, "the daemon's RAM");
  CLI11_PARSE(app, argc, argv);
  const auto done = run_demo(text_path, tokens, ram_bytes);
  if (!done.ok()) {
    std::fprintf(stderr, "quire_demo: %s: %s\n",
                 std::string(quire::model::errc_name(done.code())).c_str(),
                 done.error().text.c_str());
    return 1;
  }
  return *done ? 0 : 1;
}
