// Every verb of the socket, and nothing else that a client may send there: one table, asked by the
// daemon before a verb is called (ControlVerbs::on_frame) and by quirectl for its help and --yes.
//
// A verb is a row here and a handler in server/control. A frame type without a row does not exist.
// Threads: any; all of it is constant.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "model/result.h"
#include "model/wire.h"

namespace quire::model {

// Who may call a verb. Each may do what those before it may.
enum class VerbRole : uint8_t {
  kAnyone,         // connected; said no hello yet
  kOwnDomain,      // said hello: reaches what is of its own domain, and nothing else
  kAdministrator,  // root, or the daemon's own uid: reaches what is everybody's
};

// A row. Names are those of the log, of quirectl and of error texts.
struct SocketVerb {
  FrameType type;
  std::string_view name;
  VerbRole role;
  std::string_view help;     // one line, for people
  bool destructive = false;  // what it takes away does not come back: a person must say --yes
  bool replies = true;       // false: an acknowledgement, which no frame answers
};

// In the order of their frame types, which are part of the protocol and never used again for
// something else.
inline constexpr std::array kSocketVerbs{
    SocketVerb{FrameType::kHello, "hello", VerbRole::kAnyone,
               "Say who connects, and agree on a version"},
    SocketVerb{FrameType::kRegisterLayout, "register_layout", VerbRole::kOwnDomain,
               "Declare the page layout of a model"},
    SocketVerb{FrameType::kOpenSession, "open_session", VerbRole::kOwnDomain,
               "Begin a session with rings of its own"},
    SocketVerb{FrameType::kJoinSession, "join_session", VerbRole::kOwnDomain,
               "Take part in another process's session"},
    SocketVerb{FrameType::kCloseSession, "close_session", VerbRole::kOwnDomain,
               "End a session, and give back what it held"},
    SocketVerb{FrameType::kMapSegment, "map_segment", VerbRole::kOwnDomain,
               "Receive the descriptor of a segment"},
    SocketVerb{FrameType::kUnmappedSegment, "unmapped_segment", VerbRole::kOwnDomain,
               "Acknowledge that a segment is unmapped", false, /*replies=*/false},
    SocketVerb{FrameType::kPing, "ping", VerbRole::kOwnDomain, "Check that the daemon answers"},
    // What it shows depends on who asks: everything, or what is of the asker's own domain.
    SocketVerb{FrameType::kStatus, "status", VerbRole::kOwnDomain, "Show the daemon's state"},
    SocketVerb{FrameType::kEvict, "evict", VerbRole::kAdministrator,
               "Make content leave a tier at once: of a user, a namespace, unused for long",
               /*destructive=*/true},
    SocketVerb{FrameType::kVerify, "verify", VerbRole::kAdministrator,
               "Read what the daemon holds and check it; waits for it"},
    SocketVerb{FrameType::kScrub, "scrub", VerbRole::kAdministrator,
               "Read the SSD tier through, looking for damage"},
    SocketVerb{FrameType::kKept, "kept", VerbRole::kAdministrator,
               "Show, or drop, what the SSD tier holds and this start cannot serve",
               /*destructive=*/true},
    SocketVerb{FrameType::kPolicy, "policy", VerbRole::kAdministrator,
               "Show who decides what is evicted, or let another policy do it"},
    SocketVerb{FrameType::kQuota, "quota", VerbRole::kAdministrator,
               "Show or change what users and tenants may hold of a tier"},
    SocketVerb{FrameType::kFlush, "flush", VerbRole::kAdministrator,
               "Write what is in memory only to the tiers below; waits for it"},
    SocketVerb{FrameType::kPin, "pin", VerbRole::kAdministrator,
               "Show what is kept in RAM for a while, or keep a namespace there"},
    SocketVerb{FrameType::kMeter, "meter", VerbRole::kAdministrator,
               "Read receipts, or sums of them, from the ledger"},
    SocketVerb{FrameType::kTrace, "trace", VerbRole::kAdministrator,
               "Record what is asked for, as hashes; replay such a trace"},
};

// Null for what no client may send.
constexpr const SocketVerb* find_verb(FrameType type) {
  for (const SocketVerb& verb : kSocketVerbs) {
    if (verb.type == type) return &verb;
  }
  return nullptr;
}

// Whether a client that said hello, or an administrator, may call it: kPermissionDenied names the
// verb and who may. Whether hello was said is the connection's to know.
Result<void> authorise(const SocketVerb& verb, bool administrator);

}  // namespace quire::model
