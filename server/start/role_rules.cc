#include "server/start/role_rules.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "server/start/options.h"

namespace quire::server {

namespace {

constexpr size_t kEntryBytes = 64 << 10;  // of a user or a group, with its members

// The last number, -1, is nobody's.
std::optional<uint32_t> number_in_text(const std::string& text) {
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number == UINT32_MAX) return std::nullopt;
  return number;
}

std::optional<uint32_t> find_user(const std::string& name) {
  if (const auto number = number_in_text(name)) return number;
  std::vector<char> room(kEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
  return found == nullptr ? std::nullopt : std::optional(found->pw_uid);
}

std::optional<uint32_t> find_group(const std::string& name) {
  if (const auto number = number_in_text(name)) return number;
  std::vector<char> room(kEntryBytes);
  group entry{};
  group* found = nullptr;
  ::getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
  return found == nullptr ? std::nullopt : std::optional(found->gr_gid);
}

}  // namespace

model::Result<NamedPeers> NamedPeers::parse(const std::string& flag, const std::string& text) {
  NamedPeers peers;
  for (const std::string& part : split_names(text, ',')) {
    const bool of_group = part.front() == '@';
    const auto id = of_group ? find_group(part.substr(1)) : find_user(part);
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
