#include "client/quirectl/status/live_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ostream>

#include "client/quirectl/readable.h"

namespace quire::client {

namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // another page, no cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";

volatile std::sig_atomic_t ended_by_signal = 0;

// While it lives: keys come one by one, the page is another, and signals end the wait.
class RawTerminal {
 public:
  RawTerminal(bool terminal, std::ostream& out) : terminal_(terminal), out_(out) {
    ended_by_signal = 0;
    struct sigaction note {};
    note.sa_handler = [](int) { ended_by_signal = 1; };
    for (size_t i = 0; i < kEnds.size(); ++i) ::sigaction(kEnds[i], &note, &before_[i]);
    if (!terminal_) return;
    keys_ = ::tcgetattr(STDIN_FILENO, &mode_) == 0;
    termios raw = mode_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    out_ << kEnter;
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    if (terminal_) {
      out_ << kLeave;
      out_.flush();
      if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &mode_);
    }
    for (size_t i = 0; i < kEnds.size(); ++i) ::sigaction(kEnds[i], &before_[i], nullptr);
  }
  // False: it is to end.
  bool wait(uint32_t interval_ms) const {
    pollfd keys{.fd = keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    ::poll(&keys, 1, static_cast<int>(interval_ms));
    if (ended_by_signal != 0) return false;
    char key = 0;
    if ((keys.revents & POLLIN) == 0) return true;
    return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
  }

 private:
  static constexpr std::array kEnds{SIGINT, SIGTERM, SIGHUP};
  bool terminal_;
  std::ostream& out_;
  bool keys_ = false;
  termios mode_{};
  std::array<struct sigaction, kEnds.size()> before_{};
};

ScreenSize present_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {};
  return {.rows = size.ws_row, .columns = size.ws_col};
}

// In its place, line by line, so that nothing flickers; what is below the last row is not drawn,
// for it would scroll the page.
std::string placed(const std::string& text, const ScreenSize& size) {
  std::string drawn(kHome);
  size_t row = 0;
  for (size_t start = 0; start < text.size() && row + 1 < size.rows; ++row) {
    const size_t end = std::min(text.find('\n', start), text.size());
    drawn += clipped(std::string_view(text).substr(start, end - start), size.columns);
    drawn.append(kClearLine).append("\n");
    start = end + 1;
  }
  return drawn.append(kClearBelow);
}

}  // namespace

void run_live_screen(const LiveOptions& options, std::ostream& out,
                     const std::function<std::string(const ScreenSize&)>& frame) {
  const RawTerminal terminal(options.terminal, out);
  for (uint64_t drawn = 1;; ++drawn) {
    const ScreenSize size = options.terminal ? present_size() : ScreenSize{};
    const std::string text = frame(size);
    out << (options.terminal ? placed(text, size) : text);
    out.flush();
    if (!out || drawn == options.count || !terminal.wait(options.interval_ms)) return;
    if (!options.terminal && !options.lines) out << '\n';
  }
}

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }
bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

}  // namespace quire::client
