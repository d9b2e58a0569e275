#include "server/control/audit.h"

#include <string>

#include "server/runtime/log.h"

namespace quire::server {

namespace {

std::string who_and_what(const PeerIdentity& peer, const model::SocketVerb& verb,
                         const model::VerbAction* action) {
  std::string text = " uid=" + std::to_string(peer.uid) + " pid=" + std::to_string(peer.pid) +
                     " verb=" + std::string(verb.name);
  if (action != nullptr && !action->name.empty()) {
    text += " action=" + std::string(action->name);
  }
  return text;
}

}  // namespace

void audit_change(const PeerIdentity& peer, const model::SocketVerb& verb,
                  const model::VerbAction* action, std::string_view payload,
                  const VerbChange& change) {
  std::string line = "audit=change" + who_and_what(peer, verb, action) +
                     model::arguments_text(verb.codec, action, payload);
  if (!change.from.empty()) line += " from=" + model::logfmt_value(change.from);
  if (!change.to.empty()) line += " to=" + model::logfmt_value(change.to);
  log(LogKind::kAuditChange, LogLevel::kWarning, line);
}

void audit_denied(const PeerIdentity& peer, const model::SocketVerb& verb,
                  const model::VerbAction* action, std::string_view payload) {
  log(LogKind::kAuditDenied, LogLevel::kWarning,
      "audit=denied" + who_and_what(peer, verb, action) +
          " role=" + std::string(model::role_name(model::role_of(verb, action))) +
          model::arguments_text(verb.codec, action, payload));
}

}  // namespace quire::server
