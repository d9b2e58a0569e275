#include "server/sessions/peer_roles.h"

#include "server/sessions/uid_shares.h"

namespace quire::server {

model::PeerRoles roles_of(const Connection& connection, const RoleRules& rules) {
  const uint32_t uid = connection.peer().uid;
  if (UidShares::is_administrator(uid)) return {.administrator = true};
  model::PeerRoles roles{.reader = rules.readers.names_uid(uid),
                         .meter = rules.meters.names_uid(uid)};
  if (!rules.names_groups()) return roles;
  const std::vector<uint32_t> groups = connection.peer_groups();
  roles.reader = roles.reader || rules.readers.names_group(groups);
  roles.meter = roles.meter || rules.meters.names_group(groups);
  return roles;
}

}  // namespace quire::server
