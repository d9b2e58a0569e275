#include "server/start/role_rules.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "server/start/options.h"

namespace quire::server {

namespace {

// Of a user or a group, with its members.
constexpr size_t kEntryBytes = 64 << 10;
constexpr size_t kMostEntryBytes = 16 << 20;

// The last number, -1, is nobody's.
std::optional<uint32_t> number_in_text(const std::string& text) {
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number == UINT32_MAX) return std::nullopt;
  return number;
}

// `ask(room, bytes)` is a call of the getpwnam_r family, with ever more room. kResourceExhausted: a
// directory service does not answer now.
template <typename Ask>
model::Result<void> look_up(const std::string& name, Ask ask) {
  std::vector<char> room;
  int error = ERANGE;
  for (size_t bytes = kEntryBytes; error == ERANGE && bytes <= kMostEntryBytes; bytes *= 4) {
    room.resize(bytes);
    error = ask(room.data(), bytes);
  }
  // What is not there is told by these, or by no error.
  if (error == 0 || error == ENOENT || error == ESRCH) return {};
  return make_error(model::Errc::kResourceExhausted,
                    "cannot look up " + name + ": " + std::strerror(error) + "; try again");
}

model::Result<std::optional<uint32_t>> find_user(const std::string& name) {
  if (const auto number = number_in_text(name)) return number;
  std::optional<uint32_t> found;
  QUIRE_TRY(look_up(name, [&](char* room, size_t bytes) {
    passwd entry{};
    passwd* user = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &entry, room, bytes, &user);
    if (user != nullptr) found = user->pw_uid;
    return error;
  }));
  return found;
}

model::Result<std::optional<uint32_t>> find_group(const std::string& name) {
  if (const auto number = number_in_text(name)) return number;
  std::optional<uint32_t> found;
  QUIRE_TRY(look_up(name, [&](char* room, size_t bytes) {
    group entry{};
    group* named = nullptr;
    const int error = ::getgrnam_r(name.c_str(), &entry, room, bytes, &named);
    if (named != nullptr) found = named->gr_gid;
    return error;
  }));
  return found;
}

}  // namespace

model::Result<NamedPeers> NamedPeers::parse(const std::string& flag, const std::string& text) {
  NamedPeers peers;
  for (const std::string& part : split_names(text, ',')) {
    const bool of_group = part.front() == '@';
    const auto id = QUIRE_TRY(of_group ? find_group(part.substr(1)) : find_user(part));
    if (!id) {
      return make_error(model::Errc::kInvalidArgument,
                        "--" + flag + ": \"" + part + "\" is no " + (of_group ? "group" : "user") +
                            " of this machine; name users (numbers or names) and @groups");
    }
    (of_group ? peers.gids : peers.uids).push_back(*id);
  }
  return peers;
}

bool NamedPeers::names_uid(uint32_t uid) const {
  return std::find(uids.begin(), uids.end(), uid) != uids.end();
}

bool NamedPeers::names_group(std::span<const uint32_t> of_peer) const {
  return std::find_first_of(of_peer.begin(), of_peer.end(), gids.begin(), gids.end()) !=
         of_peer.end();
}

}  // namespace quire::server
