#include "server/http/http_tokens.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "model/fd_guard.h"

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

// A path that leads to a pipe must not keep the daemon from starting.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

model::Result<void> check_owner(int fd, const std::string& path) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return model::errno_error("--http_token_file " + path);
  if (!S_ISREG(facts.st_mode)) {
    return make_error(Errc::kInvalidArgument, "--http_token_file " + path + " is no file");
  }
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return make_error(Errc::kPermissionDenied,
                      "--http_token_file " + path + " is open to others: chmod go= " + path);
  }
  if (facts.st_uid == 0 || facts.st_uid == ::geteuid()) return {};
  return make_error(Errc::kPermissionDenied, "--http_token_file " + path + " belongs to uid " +
                                                 std::to_string(facts.st_uid) +
                                                 ": it must be root's, or the daemon's own");
}

bool is_token_char(char c) { return c > ' ' && c < 0x7f; }

// Filled up, so that every token is compared over the same length.
struct Padded {
  explicit Padded(std::string_view text) : size(text.size()) {
    std::copy_n(text.begin(), std::min(text.size(), bytes.size()), bytes.begin());
  }
  std::array<unsigned char, HttpTokens::kMaxTokenBytes> bytes{};
  size_t size;  // what is longer than all tokens has another than each
};

// No early end, and no branch on what differs.
bool same_in_constant_time(const Padded& one, const Padded& other) {
  volatile size_t different = one.size ^ other.size;
  for (size_t i = 0; i < one.bytes.size(); ++i) {
    different = different | size_t{static_cast<unsigned char>(one.bytes[i] ^ other.bytes[i])};
  }
  return different == 0;
}

}  // namespace

model::Result<HttpTokens> HttpTokens::read(const std::string& path) {
  const model::FdGuard fd(::open(path.c_str(), kReadFlags));
  if (!fd.valid()) return model::errno_error("--http_token_file " + path);
  QUIRE_TRY(check_owner(fd.get(), path));
  std::string text(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return model::errno_error("--http_token_file " + path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxFileBytes) {
    return make_error(Errc::kInvalidArgument,
                      "--http_token_file " + path + " has more than 64 KiB");
  }
  text.resize(size);
  return parse(text, path);
}

model::Result<HttpTokens> HttpTokens::parse(std::string_view text, const std::string& path) {
  HttpTokens tokens;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    // The token itself is never said: the text goes to a log.
    const auto wrong = [&](const std::string& rule) {
      return make_error(Errc::kInvalidArgument, "--http_token_file " + path + ", line " +
                                                    std::to_string(number) + ": " + rule);
    };
    const size_t space = std::min(line.find(' '), line.size());
    const std::string_view role = line.substr(0, space);
    const std::string_view token = line.substr(std::min(space + 1, line.size()));
    if (role != "metrics" && role != "reader") {
      return wrong("must be \"metrics TOKEN\" or \"reader TOKEN\"");
    }
    if (token.size() < kMinTokenBytes || token.size() > kMaxTokenBytes ||
        !std::all_of(token.begin(), token.end(), is_token_char)) {
      return wrong(
          "a token is 16 to 256 printable characters without a space; for example of "
          "openssl rand -hex 24");
    }
    if (tokens.tokens_.size() == kMaxTokens) return wrong("at most 64 tokens");
    tokens.tokens_.push_back(
        {std::string(token), role == "reader" ? HttpRole::kReader : HttpRole::kMetrics});
  }
  if (!tokens.tokens_.empty()) return tokens;
  return make_error(Errc::kInvalidArgument, "--http_token_file " + path + " has no token");
}

std::optional<HttpRole> HttpTokens::role_of(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) return std::nullopt;
  authorization.remove_prefix(kScheme.size());
  const Padded given(authorization);
  std::optional<HttpRole> role;
  // All of them, also behind the one that it is.
  for (const Token& token : tokens_) {
    if (same_in_constant_time(given, Padded(token.text))) role = token.role;
  }
  return role;
}

}  // namespace quire::server
