// Prefill and decode on two hosts. The session of the prefill is given away: what it commits goes
// to the tier that the hosts share at once, and a note there says how much of it is durable. A
// session of another host follows it: it finds what the note says, which joins its tree, and its
// progress grows as if a process beside it committed.
//
//   give:    note written --> the address is told --> tip moved: written below, run by run
//              --durable--> note --> ... --session ended, all durable or given up--> note: ended
//   follow:  note read, again and again --more--> searched for --joined--> progress
//              --ended, and all of it here--> done       --no note, or silent--> lost
//
// 1. The note says what is durable and named: what a follower hears of it finds, or it has gone.
// 2. Only what is in the follower's own tree becomes its progress; who matches then hits.
// 3. A prefill that dies ends its session, and so the note; a host that dies falls silent. Either
//    way what is sealed stays, and the rest is unavailable.
// Giving counts as two uses, this host's and the other one's, so that a rule of the second use lets
// it up; budgets hold as ever.
// Threads: core only. Bounds: kMaxAtOnce given and followed, kMaxOfOneUser of them a user's, each
// with its chain; one operation a note.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/control/host_handover_note.h"
#include "server/control/verb_call.h"
#include "server/rings/session.h"
#include "server/sessions/session_registry.h"
#include "tiering/shared_notes.h"
#include "tiering/tier_set.h"

namespace quire::server {

class HostHandover {
 public:
  static constexpr size_t kMaxAtOnce = 64;           // given; as many followed
  static constexpr size_t kMaxOfOneUser = 32;        // likewise
  static constexpr int64_t kGatherNs = 20'000'000;   // new spans wait so long for longer runs
  static constexpr int64_t kBeatNs = 1'000'000'000;  // between notes that say nothing new
  static constexpr size_t kMaxSent = 4096;           // pieces; beyond them they become one
  static constexpr int64_t kReadNs = 10'000'000;  // between reads of a note, and looks at a session
  static constexpr int64_t kSilenceNs = 5'000'000'000;     // without a beat: its host is gone
  static constexpr int64_t kLastWriteNs = 10'000'000'000;  // after a session's end

  struct Parts {
    cache::Cache* cache = nullptr;
    SessionRegistry* registry = nullptr;
    tiering::TierSet* tiers = nullptr;  // null: none
    const model::Clock* clock = nullptr;
  };
  explicit HostHandover(const Parts& parts) : parts_(parts) {}

  // HandOverRequest; HandOverReply. To give: once the note is there. kUnavailable: no tier is
  // shared, or it takes no writes now. kNotFound: no such session. kInvalidArgument: the address is
  // of another store or root. kBusy: at a bound.
  model::Result<void> hand_over(const VerbCall& call);
  void step();
  bool waits() const { return !given_.empty() || !followed_.empty(); }
  void forget(const Connection& connection);
  // One of its processes is about to leave it: what it committed last may be its end.
  void note_leaving(const Session& session);

 private:
  // How far a piece goes that was sent below.
  struct Sent {
    model::Hash256 span;
    uint32_t units = 0;
  };
  struct Given {
    uint32_t uid = 0;
    uint64_t session = 0;
    std::string name;
    HostHandoverNote note;
    model::HandOverAddress address;
    Connection* asker = nullptr;  // that is to be told the address; null: it was
    uint32_t sequence = 0;
    uint32_t job = 0;  // of the write under way; 0: none
    bool news = true;
    int64_t written_ns = 0;
    int64_t gathered_ns = 0;
    int64_t ended_ns = 0;  // 0: the session is open
    int64_t looked_ns = 0;
    model::Hash256 tip;  // deepest span that it committed
    uint32_t tip_units = 0;
    std::deque<Sent> sent;    // below, and not known to be durable; the last one is the deepest
    uint32_t sent_units = 0;  // of the last one
    uint32_t checkpoint_units = 0;  // of the latest checkpoint that was sent
  };
  struct Followed {
    uint32_t uid = 0;
    uint64_t session = 0;
    std::string name;
    model::Hash256 root;
    std::vector<model::Hash256> chain;
    HostHandoverNote heard;
    uint32_t job = 0;
    int64_t heard_ns = 0;
    int64_t read_ns = 0;
    int64_t looked_ns = 0;
    bool gone = false;  // the note is
  };

  // Null: there is none.
  tiering::Tier* shared_tier() const;
  // Null: no tier that hosts share can be written to, or read.
  tiering::SharedNotes* notes(bool to_write) const;
  template <typename Entry>
  static model::Result<void> check_room(const std::vector<Entry>& all, uint32_t uid);
  model::Result<void> give(const VerbCall& call, Attachment& attachment);
  model::Result<void> follow(const VerbCall& call, Attachment& attachment,
                             const model::HandOverRequest& request);
  void take_answers();
  void take_written(Given& given, model::Errc code);
  void take_read(Followed& followed, const tiering::NoteAnswer& answer);
  // False: it is done with.
  bool step_given(Given& given, int64_t now_ns);
  void take_tip(Given& given, const Session& session);
  void send_below(Given& given, int64_t now_ns);
  void look_at_durable(Given& given);
  // Checkpoints of the last spans before this one. visit(NodeId)
  template <typename Visit>
  void for_each_checkpoint(model::NodeId span, Visit&& visit) const;
  bool step_followed(Followed& followed, int64_t now_ns);
  // False.
  static bool end_followed(Session& session, model::Handover how);
  void tell(Session& session, uint32_t span_units, uint32_t checkpoint_units);

  Parts parts_;
  std::vector<Given> given_;
  std::vector<Followed> followed_;
  uint32_t last_job_ = 0;
};

}  // namespace quire::server
