// Whom the operator named as readers and as meters: --reader_uids and --meter_uids, resolved.
//
// Names of users and groups are looked up when the flags are read, and again at SIGHUP, never while
// somebody waits for an answer: a directory service may take its time. Values copy. Threads: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::server {

struct NamedPeers {
  std::vector<uint32_t> uids;
  std::vector<uint32_t> gids;  // of @group: whoever is in it, by its first group or another

  // Of --FLAG: "1000,prometheus,@operators". kInvalidArgument names what is no user, no group;
  // kResourceExhausted: who knows them does not answer now.
  static model::Result<NamedPeers> parse(const std::string& flag, const std::string& text);
  bool names_uid(uint32_t uid) const;
  bool names_group(std::span<const uint32_t> gids) const;
};

struct RoleRules {
  NamedPeers readers;
  NamedPeers meters;

  bool names_groups() const { return !readers.gids.empty() || !meters.gids.empty(); }
};

}  // namespace quire::server
