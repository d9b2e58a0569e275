// One process of one session: sends random requests through its ring, keeps what it was promised,
// and hands every answer to the judge. It obeys the protocol, but it may be slow, ask for nonsense
// that is legal, or scribble over its ring.
//
// Its answers are looked at twice: in the turn that brought them (watch()), for what has to be
// right at that time, and when the client takes them (take()), which may be much later. Each
// request is answered once, and in time (SimPatience), or the session ended. Lifetime: within one
// life of the daemon; the ring's memory is its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tests/sim/sim_judge.h"
#include "tests/sim/sim_patience.h"
#include "tests/sim/sim_ring.h"
#include "tests/sim/sim_stage.h"
#include "tests/sim/sim_turns.h"
#include "tests/sim/sim_world.h"

namespace quire::tests {

class SimSession {
 public:
  static server::LaneShape shape();

  // `groups`: those it writes, 0 = all. `chain`: shared with the others of the session.
  struct Identity {
    uint32_t root = 0;
    model::DomainId domain;
    model::GroupMask groups = 0;
    bool is_joint = false;  // other processes are attached to the session
    SimChain chain;
    std::array<uint8_t, 16> token{};
  };
  SimSession(SimStage* stage, server::Attachment& attachment, Identity identity);

  // One random request, or none where there is no room or reason for it.
  void act();
  // As many as fit, of the cheapest kind.
  void flood();
  void scribble();
  // Judges up to `count` answers. True when there were some.
  bool take(uint32_t count);
  // After a turn of the core: judges what it answered, and what it still owes.
  void watch();
  // Every some turns. A fill waits, and its domain could evict all the while: for what?
  void judge_starving(bool can_evict);
  // It ends, whether the daemon knows it yet or not: nothing stays for its sake, and it asks
  // nothing more.
  void let_go();
  // The daemon ended it: other sessions of its process may write where it did.
  void give_staging_back();
  // What it is told from now on it does not see: its turns cannot be compared.
  void count_no_more() { count_.forget(); }
  // Nothing more comes, or is to come.
  bool is_closed() const { return ring_.is_closed(); }
  // Another process attached itself to the session: whose tip it is cannot be told any more.
  void join() {
    drop_tip();
    count_.forget();
    identity_.is_joint = true;
  }
  const Identity& identity() const { return identity_; }
  model::TenantId tenant() const;  // whose memory it uses
  server::Attachment* attachment() { return attachment_; }
  size_t waiting_count() const { return requests_.size(); }

 private:
  struct Request {
    model::Submission submission;
    uint64_t turn = 0;   // when it was sent
    uint32_t area = 0;   // of a load or of positions: in the descriptor area; of a commit: staging
    uint64_t thing = 0;  // the lease or fill that it is about
    bool answered = false;  // and not taken yet
    uint32_t starving_looks = 0;
  };
  struct Page {
    model::PageDescriptor descriptor;
    SimPageHead head;
  };
  struct Lease {
    uint64_t id = 0;
    uint32_t exact_units = 0;
    uint32_t span_units = 0;
    SimChain chain;
    std::vector<SimKey> pinned;
    std::vector<Page> pages;  // delivered
    uint32_t loads = 0;       // on their way
    bool releasing = false;
  };
  struct Fill {
    uint64_t id = 0;
    SimJudge::Place place;
    uint32_t version = 0;
    bool committing = false;
  };

  void send_match();
  void send_load();
  void send_release();
  void send_begin();
  void send_commit();
  void send_abort();
  void send_supersede();
  void send_advice();
  void send_resumed();
  void send_positions();
  void send_locate();
  void look_at_pages();
  void change_context();

  void send(model::Verb verb, model::Submission submission, uint64_t thing = 0, uint32_t area = 0);
  void note_answer(const Request& request, const model::Completion& completion);
  void note_begin(const Request& request, const model::Completion& completion);
  void note_commit(const Request& request, const model::Completion& completion);
  void note_load(const Request& request, const model::Completion& completion);
  void judge_parent(const Request& request, const SimJudge::Place& place, uint64_t there_since);
  void judge_head(const model::LoadArgs& args, const Lease& lease, uint32_t delivered_blocks);
  uint32_t asked_blocks(const model::LoadArgs& args, const Lease& lease) const;
  void answer(const Request& request, const model::Completion& completion);
  void answer_match(const Request& request, const model::Completion& completion);
  void answer_load(const Request& request, const model::Completion& completion);
  void answer_release(const Request& request, const model::Completion& completion);
  void answer_begin(const Request& request, const model::Completion& completion);
  void answer_commit(const Request& request, const model::Completion& completion);
  void answer_positions(const Request& request, const model::Completion& completion);
  void answer_locate(const Request& request, const model::Completion& completion);
  void judge_pages(const Request& request, Lease& lease, const model::LoadResult& result);
  uint32_t judge_block(const Request& request, Lease& lease, uint32_t block, uint32_t at);
  void judge_checkpoint(const Request& request, Lease& lease, uint32_t at, uint32_t count);
  void keep_page(Lease& lease, uint32_t at, const SimJudge::Wanted& wanted);
  void set_tip(const SimJudge::Place& place, uint64_t user_data);
  void drop_tip();
  void write_staging(const Fill& fill, uint64_t offset);
  void unexpected(const Request& request, model::Errc code);

  SimRandom& random() { return *stage_->random; }
  SimJudge& judge() { return *stage_->judge; }
  const model::Layout& layout() const { return stage_->world->layout_of(identity_.root); }
  uint32_t units() const { return static_cast<uint32_t>(identity_.chain.size()); }
  uint32_t any_prompt();
  std::vector<Request>::iterator find_request(const model::Completion& completion);
  Lease* find_lease(uint64_t id);
  Fill* find_fill(uint64_t id);
  template <typename Accept>
  Lease* any_lease(Accept&& accept);
  std::optional<uint32_t> take_area(uint32_t& busy, uint32_t count);

  SimStage* stage_;
  SimProcess* process_;
  server::Attachment* attachment_;  // of a session that is not closed
  SimRing ring_;
  Identity identity_;
  SimPatience patience_;
  SimTurnCount count_;
  std::vector<SimKey> linked_now_;  // commits that the present turn answered as visible
  bool has_let_go_ = false;
  uint64_t next_user_data_ = 1;
  std::vector<Request> requests_;
  std::vector<Lease> leases_;
  std::vector<Fill> fills_;
  std::optional<SimJudge::Place> tip_;  // what the session keeps present; none: not known
  uint32_t tip_floor_ = 0;   // a tip that is not known may be so deep; shallower ones stay none
  uint64_t paused_at_ = 0;   // request of the last pause: it let the tip of earlier ones go
  uint32_t my_staging_ = 0;  // of the process's areas; bit i: area i
  uint32_t busy_descriptors_ = 0;
};

}  // namespace quire::tests
