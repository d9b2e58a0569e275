// Every verb of the socket, and nothing else that a client may send there: one table, asked by the
// daemon before a verb is called (ControlVerbs::on_frame) and by quirectl for its help, its --yes
// and its reference.
//
// A verb is a row here and a handler in server/control. A frame type without a row does not exist.
// A role is needed for an action: where a verb's codec names actions, the request's action byte
// decides; where it names none, or not this one, the row does.
// Threads: any; all of it is constant.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/result.h"
#include "model/verb_codec.h"
#include "model/wire.h"

namespace quire::model {

// A row. Names are those of the log, of quirectl and of error texts.
struct SocketVerb {
  FrameType type;
  std::string_view name;
  VerbRole role;             // where the codec names no action
  std::string_view help;     // one line, for people
  bool destructive = false;  // what it takes away does not come back: a person must say --yes
  bool replies = true;       // false: an acknowledgement, which no frame answers
  VerbCodec codec = {};      // how its requests are read; none: without actions and arguments
};

// In the order of their frame types, which are part of the protocol and never used again for
// something else.
inline constexpr std::array kSocketVerbs{
    SocketVerb{FrameType::kHello, "hello", VerbRole::kAnyone,
               "Say who connects, and agree on a version"},
    SocketVerb{FrameType::kRegisterLayout, "register_layout", VerbRole::kClient,
               "Declare the page layout of a model"},
    SocketVerb{FrameType::kOpenSession, "open_session", VerbRole::kClient,
               "Begin a session with rings of its own"},
    SocketVerb{FrameType::kJoinSession, "join_session", VerbRole::kClient,
               "Take part in another process's session"},
    SocketVerb{FrameType::kCloseSession, "close_session", VerbRole::kClient,
               "End a session, and give back what it held"},
    SocketVerb{FrameType::kMapSegment, "map_segment", VerbRole::kClient,
               "Receive the descriptor of a segment"},
    SocketVerb{FrameType::kUnmappedSegment, "unmapped_segment", VerbRole::kClient,
               "Acknowledge that a segment is unmapped", false, /*replies=*/false},
    SocketVerb{FrameType::kPing, "ping", VerbRole::kClient, "Check that the daemon answers"},
    // What it shows depends on who asks: everything, or what is of the asker's own domain.
    SocketVerb{FrameType::kStatus, "status", VerbRole::kClient, "Show the daemon's state"},
    SocketVerb{FrameType::kEvict, "evict", VerbRole::kAdministrator,
               "Make content leave a tier at once: of a user, a namespace, unused for long",
               /*destructive=*/true, /*replies=*/true, codecs::kEvict},
    SocketVerb{FrameType::kVerify, "verify", VerbRole::kAdministrator,
               "Read what the daemon holds and check it; waits for it", false, true,
               codecs::kVerify},
    SocketVerb{FrameType::kScrub, "scrub", VerbRole::kAdministrator,
               "Read the SSD tier through, looking for damage", false, true, codecs::kScrub},
    SocketVerb{FrameType::kKept, "kept", VerbRole::kAdministrator,
               "Show, or drop, what the SSD tier holds and this start cannot serve",
               /*destructive=*/true, /*replies=*/true, codecs::kKept},
    SocketVerb{FrameType::kPolicy, "policy", VerbRole::kAdministrator,
               "Show who decides what is evicted, or let another policy do it", false, true,
               codecs::kPolicy},
    SocketVerb{FrameType::kQuota, "quota", VerbRole::kAdministrator,
               "Show or change what users and tenants may hold of a tier", false, true,
               codecs::kQuota},
    SocketVerb{FrameType::kFlush, "flush", VerbRole::kAdministrator,
               "Write what is in memory only to the tiers below; waits for it", false, true,
               codecs::kFlush},
    SocketVerb{FrameType::kPin, "pin", VerbRole::kAdministrator,
               "Show what is kept in RAM for a while, or keep a namespace there", false, true,
               codecs::kPin},
    SocketVerb{FrameType::kMeter, "meter", VerbRole::kMeter,
               "Read receipts, or sums of them, from the ledger", false, true, codecs::kMeter},
    SocketVerb{FrameType::kTrace, "trace", VerbRole::kAdministrator,
               "Record what is asked for, as hashes; replay such a trace", false, true,
               codecs::kTrace},
    SocketVerb{FrameType::kConfig, "config", VerbRole::kAdministrator,
               "Show the daemon's flags, or change one of those that need no restart", false, true,
               codecs::kConfig},
    SocketVerb{FrameType::kEvents, "events", VerbRole::kClient,
               "Hear what is stored and removed, as hashes", false, true, codecs::kEvents},
    // Of whose content it tells depends on who asks, as with status.
    SocketVerb{FrameType::kLocate, "locate", VerbRole::kClient,
               "Show how much of a prompt is here, and on which tiers"},
    // Of turns of the caller's own domain; who reads, and administrators, of all.
    SocketVerb{FrameType::kWhy, "why", VerbRole::kClient,
               "Explain why a turn's hit went no further"},
    SocketVerb{FrameType::kSessions, "sessions", VerbRole::kReader,
               "Show the sessions: whose, of what, and what each asked for last"},
    SocketVerb{FrameType::kTenants, "tenants", VerbRole::kReader,
               "Show the tenants: what each holds of which tier"},
    SocketVerb{FrameType::kMakeStaging, "make_staging", VerbRole::kClient,
               "Receive memory that sessions commit from"},
    SocketVerb{FrameType::kHandOver, "hand_over", VerbRole::kClient,
               "Give a session to another host, or follow one of another host"},
};

// Null for what no client may send.
constexpr const SocketVerb* find_verb(FrameType type) {
  for (const SocketVerb& verb : kSocketVerbs) {
    if (verb.type == type) return &verb;
  }
  return nullptr;
}

// What a peer that said hello may do beside what every client may.
struct PeerRoles {
  bool reader = false;
  bool meter = false;
  bool administrator = false;

  constexpr bool has(VerbRole role) const {
    if (administrator || role <= VerbRole::kClient) return true;
    return (role == VerbRole::kReader && reader) || (role == VerbRole::kMeter && meter);
  }
};

// Of what a request asks for; `action` is its own, or null.
constexpr VerbRole role_of(const SocketVerb& verb, const VerbAction* action) {
  return action == nullptr ? verb.role : action->role;
}
// "policy set", "ping".
std::string verb_text(const SocketVerb& verb, const VerbAction* action);
// kPermissionDenied names what was asked for and who may. Whether hello was said is the
// connection's to know.
Result<void> authorise(const SocketVerb& verb, const VerbAction* action, PeerRoles roles);

}  // namespace quire::model
