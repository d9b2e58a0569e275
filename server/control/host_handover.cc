#include "server/control/host_handover.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/boundary.h"
#include "model/hex_text.h"
#include "tiering/io/crc_copy.h"

namespace quire::server {

using cache::NodeKind;
using model::Errc;
using model::Handover;
using model::make_error;
using model::NodeId;
using model::Result;

namespace {

// A checkpoint is looked for so many spans above the tip.
constexpr int kCheckpointSpans = 8;
constexpr uint32_t kCheckpointSteps = 64;

uint32_t checksum(HostHandoverNote note) {
  note.crc32c = 0;
  return tiering::crc32c(reinterpret_cast<const std::byte*>(&note), sizeof(note));
}

std::string name_of(const model::HandOverAddress& address) {
  return model::hex_text(address.root.bytes) + "/" + model::hex_text(address.token);
}

Attachment* find_attachment(const Connection& connection, uint64_t id) {
  const auto found = std::find_if(connection.attachments.begin(), connection.attachments.end(),
                                  [&](Attachment* one) { return one->id == id; });
  return found == connection.attachments.end() ? nullptr : *found;
}

}  // namespace

std::string sealed(HostHandoverNote note) {
  note.crc32c = checksum(note);
  return {reinterpret_cast<const char*>(&note), sizeof(note)};
}

std::optional<HostHandoverNote> opened_note(const std::string& value, const model::Hash256& root) {
  HostHandoverNote note;
  if (value.size() != sizeof(note)) return std::nullopt;
  const HostHandoverNote expected;
  std::memcpy(&note, value.data(), sizeof(note));
  const bool good = note.magic == expected.magic && note.format == expected.format &&
                    note.crc32c == checksum(note) && note.root == root;
  return good ? std::optional(note) : std::nullopt;
}

// Of the tier that daemons share there is one.
tiering::Tier* HostHandover::shared_tier() const {
  if (parts_.tiers == nullptr) return nullptr;
  for (const tiering::TierSet::Member& member : parts_.tiers->members()) {
    if (member.tier->notes() != nullptr) return member.tier.get();
  }
  return nullptr;
}

tiering::SharedNotes* HostHandover::notes(bool to_write) const {
  tiering::Tier* tier = shared_tier();
  if (tier == nullptr) return nullptr;
  const bool may = to_write ? tiering::may_write(tier->mode()) : tiering::may_read(tier->mode());
  return may ? tier->notes() : nullptr;
}

// So that a user who hands over without end leaves places to the others.
template <typename Entry>
Result<void> HostHandover::check_room(const std::vector<Entry>& all, uint32_t uid) {
  const auto own =
      std::count_if(all.begin(), all.end(), [&](const Entry& one) { return one.uid == uid; });
  if (all.size() < kMaxAtOnce && static_cast<size_t>(own) < kMaxOfOneUser) return {};
  return make_error(Errc::kBusy, "too many sessions are handed over to, or from, other hosts");
}

Result<void> HostHandover::hand_over(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::HandOverRequest>(call.payload));
  Attachment* attachment = find_attachment(call.connection, request.session);
  if (attachment == nullptr) {
    return make_error(Errc::kNotFound, "this connection has no such session");
  }
  const bool gives = request.follow == 0;
  if (notes(gives) == nullptr) {
    return make_error(Errc::kUnavailable,
                      "no tier that hosts share can be used now: quirectl status");
  }
  return gives ? give(call, *attachment) : follow(call, *attachment, request);
}

Result<void> HostHandover::give(const VerbCall& call, Attachment& attachment) {
  const uint32_t uid = call.connection.peer().uid;
  QUIRE_TRY(check_room(given_, uid));
  const cache::Root& root = parts_.cache->names().root(attachment.session().cached.root);
  Given given{.uid = uid, .session = attachment.session().id.value, .asker = &call.connection};
  given.sequence = call.sequence;
  given.address.store = notes(true)->store();
  given.address.root = given.note.root = root.hash;
  if (::getrandom(given.address.token.data(), given.address.token.size(), 0) !=
      static_cast<ssize_t>(given.address.token.size())) {
    return model::errno_error("getrandom");
  }
  given.name = name_of(given.address);
  attachment.session().crosses_hosts = true;
  given_.push_back(std::move(given));
  return {};
}

Result<void> HostHandover::follow(const VerbCall& call, Attachment& attachment,
                                  const model::HandOverRequest& request) {
  Session& session = attachment.session();
  const cache::Root& root = parts_.cache->names().root(session.cached.root);
  if (request.address.store != notes(false)->store()) {
    return make_error(Errc::kInvalidArgument, "the address is of another cluster or pool");
  }
  if (request.address.root != root.hash) {
    return make_error(Errc::kInvalidArgument,
                      "the address is of another domain, tenant, namespace, epoch, layout or salt");
  }
  if (request.unit_count == 0 || request.unit_count > attachment.lane().shape().max_units) {
    return make_error(Errc::kInvalidArgument, "the prompt's hashes must be there first");
  }
  const uint32_t uid = call.connection.peer().uid;
  QUIRE_TRY(check_room(followed_, uid));
  const cache::ChainView chain = attachment.lane().chain().first(request.unit_count);
  Followed followed{.uid = uid, .session = session.id.value};
  followed.name = name_of(request.address);
  followed.root = root.hash;
  for (uint32_t units = 1; units <= chain.count(); ++units) {
    followed.chain.push_back(chain.after(units));
  }
  followed.heard_ns = parts_.clock->now_ns();
  followed_.push_back(std::move(followed));
  session.crosses_hosts = true;
  session.handover.follows(Handover::kRunning, session.progress_header());
  model::HandOverReply reply;
  reply.address = request.address;
  call.reply(model::struct_bytes(reply));
  return {};
}

void HostHandover::forget(const Connection& connection) {
  for (Given& given : given_) {
    if (given.asker == &connection) given.asker = nullptr;
  }
}

void HostHandover::take_answers() {
  tiering::Tier* tier = shared_tier();
  if (tier == nullptr) return;
  for (const tiering::NoteAnswer& answer : std::exchange(tier->notes()->answers(), {})) {
    const auto is_job = [&](const auto& one) { return one.job == answer.job; };
    const auto given = std::find_if(given_.begin(), given_.end(), is_job);
    if (given != given_.end()) take_written(*given, answer.code);
    const auto followed = std::find_if(followed_.begin(), followed_.end(), is_job);
    if (followed != followed_.end()) take_read(*followed, answer);
  }
}

void HostHandover::take_written(Given& given, Errc code) {
  given.job = 0;
  if (code != Errc::kOk) given.news = true;
  Connection* asker = std::exchange(given.asker, nullptr);
  if (asker == nullptr || asker->ended()) return;
  if (code != Errc::kOk) {
    given.session = 0;  // nobody has its address
    asker->send_error(model::FrameType::kHandOver, given.sequence,
                      {Errc::kUnavailable, "the note of the hand-over could not be written"});
    return;
  }
  model::HandOverReply reply;
  reply.address = given.address;
  asker->send(model::FrameType::kHandOver, true, given.sequence, model::struct_bytes(reply));
}

void HostHandover::take_read(Followed& followed, const tiering::NoteAnswer& answer) {
  followed.job = 0;
  followed.read_ns = parts_.clock->now_ns();
  followed.gone = answer.code == Errc::kNotFound;
  if (answer.code != Errc::kOk) return;
  const auto note = opened_note(answer.value, followed.root);
  if (!note || note->beat <= followed.heard.beat) return;
  followed.heard = *note;
  followed.heard_ns = followed.read_ns;
}

void HostHandover::take_tip(Given& given, const Session& session) {
  if (!session.cached.tip.valid()) return;
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId tip = session.cached.tip.node();
  if (given.tip_units == 0) {
    NodeId first = tip;
    while (tree.node(tree.parent(first)).is_span()) first = tree.parent(first);
    // Its own use of it, and the other host's.
    parts_.tiers->note_use(tree.key(first));
    parts_.tiers->note_use(tree.key(first));
  }
  given.tip = tree.key(tip);
  given.tip_units = tree.node(tip).units();
}

void HostHandover::note_leaving(const Session& session) {
  for (Given& given : given_) {
    if (given.session == session.id.value) take_tip(given, session);
  }
}

template <typename Visit>
void HostHandover::for_each_checkpoint(NodeId span, Visit&& visit) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  uint32_t budget = kCheckpointSteps;
  for (int i = 0; i < kCheckpointSpans && tree.node(span).is_span(); ++i) {
    tree.children(span).for_each_checkpoint(budget, visit);
    span = tree.parent(span);
  }
}

// What is committed goes below in one piece: as long runs as came together meanwhile.
void HostHandover::send_below(Given& given, int64_t now_ns) {
  const bool is_last = given.ended_ns != 0 && given.gathered_ns < given.ended_ns;
  if (given.tip_units == 0 || (!is_last && now_ns - given.gathered_ns < kGatherNs)) return;
  const auto root = parts_.cache->names().find_root(given.note.root);
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const auto tip = root ? tree.find(*root, NodeKind::kSpan, given.tip) : std::nullopt;
  if (!tip) return;
  given.gathered_ns = now_ns;
  if (given.sent_units != given.tip_units) {
    if (given.sent.size() == kMaxSent) given.sent.pop_back();
    given.sent.push_back({given.tip, given.tip_units});
    given.sent_units = given.tip_units;
    parts_.tiers->demote_now(*tip, now_ns);
  }
  for_each_checkpoint(*tip, [&](NodeId checkpoint) {
    const uint32_t units = tree.node(checkpoint).units();
    if (units <= given.checkpoint_units) return;
    given.checkpoint_units = units;
    parts_.tiers->demote_now(checkpoint, now_ns);
  });
}

// What is on the tier has all before it there, too: so the pieces become durable in order.
void HostHandover::look_at_durable(Given& given) {
  const auto root = parts_.cache->names().find_root(given.note.root);
  if (!root) return;
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const auto is_durable = [&](NodeId node) {
    return tree.node(node).is_in(cache::Presence::kHintTier);
  };
  for (; !given.sent.empty(); given.sent.pop_front()) {
    const auto span = tree.find(*root, NodeKind::kSpan, given.sent.front().span);
    if (span && !is_durable(*span)) break;
    // One that is gone says nothing.
    if (!span || given.sent.front().units <= given.note.span_units) continue;
    given.note.span_units = given.sent.front().units;
    given.news = true;
  }
  const auto tip = tree.find(*root, NodeKind::kSpan, given.tip);
  if (!tip || given.note.checkpoint_units >= given.checkpoint_units) return;
  for_each_checkpoint(*tip, [&](NodeId checkpoint) {
    const uint32_t units = tree.node(checkpoint).units();
    if (units <= given.note.checkpoint_units || !is_durable(checkpoint)) return;
    given.note.checkpoint_units = units;
    given.news = true;
  });
}

bool HostHandover::step_given(Given& given, int64_t now_ns) {
  if (given.session == 0) return false;
  if (now_ns - given.looked_ns < kReadNs) return true;
  given.looked_ns = now_ns;
  const Session* session = parts_.registry->find(given.session);
  if (session != nullptr && session->member_count > 0) {
    take_tip(given, *session);
  } else if (given.ended_ns == 0) {
    given.ended_ns = now_ns;
  }
  send_below(given, now_ns);
  look_at_durable(given);
  const bool all = given.note.span_units >= given.tip_units &&
                   given.note.checkpoint_units >= given.checkpoint_units;
  const bool over = given.ended_ns != 0 && (all || now_ns - given.ended_ns > kLastWriteNs);
  if (over && given.note.ended == 0) {
    given.note.ended = 1;
    given.news = true;
  }
  if (given.job != 0) return true;
  if (over && (!given.news || now_ns - given.ended_ns > 2 * kLastWriteNs)) return false;
  if (!given.news && now_ns - given.written_ns < kBeatNs) return true;
  tiering::SharedNotes* shared = notes(true);
  if (shared == nullptr) {
    if (given.asker != nullptr) take_written(given, Errc::kIoError);
    return true;
  }
  ++given.note.beat;
  given.news = false;
  given.written_ns = now_ns;
  given.job = ++last_job_;
  shared->write(given.job, given.name, sealed(given.note));
  return true;
}

// The daemon alone writes these words; clients load them with acquire.
void HostHandover::tell(Session& session, uint32_t span_units, uint32_t checkpoint_units) {
  const cache::KnownLayout& known = *parts_.cache->layouts().find(session.layout);
  model::ProgressHeader& progress = session.progress_header();
  const uint32_t checkpoint = checkpoint_units * known.layout.unit_tokens;
  if (checkpoint > progress.checkpoint_tokens.load(std::memory_order_relaxed)) {
    progress.checkpoint_tokens.store(checkpoint, std::memory_order_release);
  }
  const uint32_t tokens = span_units * known.layout.unit_tokens;
  if (tokens <= progress.committed_tokens.load(std::memory_order_relaxed)) return;
  for (uint32_t i = 0; i < std::min(known.layer_count, model::kProgressLayers); ++i) {
    progress.ready_tokens[i].store(tokens, std::memory_order_release);
  }
  progress.committed_tokens.store(tokens, std::memory_order_release);
}

bool HostHandover::step_followed(Followed& followed, int64_t now_ns) {
  // Whichever of its processes asked: the others wait for the rest of the prompt, too.
  Session* session = parts_.registry->find(followed.session);
  if (session == nullptr || session->member_count == 0) return false;
  const auto root = parts_.cache->names().find_root(followed.root);
  if (!root) return end_followed(*session, Handover::kAbandoned);
  if (now_ns - followed.looked_ns < kReadNs) return true;
  followed.looked_ns = now_ns;
  tiering::SharedNotes* shared = notes(false);
  if (shared != nullptr && followed.job == 0 && now_ns - followed.read_ns >= kReadNs) {
    followed.job = ++last_job_;
    shared->read(followed.job, followed.name);
  }
  const auto all = static_cast<uint32_t>(followed.chain.size());
  const uint32_t per_block = parts_.cache->names().root(*root).layout->units_per_block;
  const uint32_t span_units =
      model::block_floor_units(std::min(followed.heard.span_units, all), per_block);
  const uint32_t checkpoint_units =
      followed.heard.checkpoint_units <= all ? followed.heard.checkpoint_units : 0;
  const cache::ChainView chain{followed.chain.data(), std::max(span_units, checkpoint_units)};
  const uint32_t known = chain.count() == 0 ? 0 : parts_.cache->reader().known_units(*root, chain);
  const bool has_checkpoint =
      checkpoint_units == 0 || parts_.cache->store().tree().find(*root, NodeKind::kCheckpoint,
                                                                 chain.after(checkpoint_units));
  tell(*session, known, has_checkpoint ? checkpoint_units : 0);
  const bool here = known >= span_units && has_checkpoint;
  if (!here) {
    // Refused, it is asked again.
    (void)parts_.tiers->searches().ask(
        {.root = *root, .chain = chain, .known_units = known, .is_news = true});
  }
  const bool done = followed.heard.ended != 0 && here;
  if (!done && !followed.gone && now_ns - followed.heard_ns <= kSilenceNs) return true;
  if (done && shared != nullptr) shared->remove(followed.name);
  return end_followed(*session, done ? Handover::kEnded : Handover::kAbandoned);
}

bool HostHandover::end_followed(Session& session, Handover how) {
  session.crosses_hosts = false;
  session.handover.follows(how, session.progress_header());
  return false;
}

void HostHandover::step() {
  if (parts_.tiers == nullptr || !waits()) return;
  take_answers();
  const int64_t now = parts_.clock->now_ns();
  std::erase_if(given_, [&](Given& given) { return !step_given(given, now); });
  std::erase_if(followed_, [&](Followed& one) { return !step_followed(one, now); });
}

}  // namespace quire::server
