// libquire: how an engine talks to quired.
//
//   auto client  = Client::connect({});
//   auto layout  = client->register_layout(layout);
//   auto session = client->open_session({.layout = layout, .namespace_name = "my-model", ...});
//   session->append_tokens(prompt);
//   auto hit     = session->match(prompt.size());            // pinned when it returns
//   auto pages   = session->load(hit.lease);                 // page views in shared memory
//   ... compute from hit.exact_tokens on, reading pages in place ...
//   auto fill    = session->begin_fill(FillKind::kSpan, end_tokens);   // staging memory to write
//   session->commit(fill);
//   session->release(hit.lease);
//
// Every hot call exists twice: submit_* returns at once with a request id and its completion comes
// out of poll_completions(); the blocking form waits. `fd()` is readable when there may be
// completions or news from the daemon; call progress() then.
//
// Errors are values; nothing throws. After the daemon died every call returns kUnavailable and
// Client::reconnect() (or the next open_session) attaches to its successor. While there is none,
// connecting fails at once with kUnavailable, so that an engine computes instead of waiting; see
// ClientOptions::daemon_wait_ms. Sessions and page views of the old epoch return kStaleHandle: they
// are misses, their mapped memory stays readable until they are destroyed. In a forked child every
// call returns kForked.
//
// Threads: a Client may be used by one thread at a time; a Session likewise. Sessions of one client
// may be used by different threads at once; what they share (socket, segments) has its own locks.
// Lifetime: a session keeps what it needs of its client and may outlive it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/event_stream.h"
#include "client/operator_requests.h"
#include "client/segment_observer.h"
#include "model/checkpoint_policy.h"
#include "model/fd_guard.h"
#include "model/layout.h"
#include "model/page_plan.h"
#include "model/result.h"
#include "model/ring_frames.h"
#include "model/session_role.h"
#include "model/unit_keys.h"
#include "model/wire.h"

namespace quire::client {

struct ClientOptions {
  std::string socket_path;  // empty: $QUIRE_SOCKET, else /run/quire/quired.sock
  std::string client_name = "client";
  uint32_t connect_timeout_ms = 5000;  // of a daemon that is there; also for each socket verb
  uint32_t call_timeout_ms = 30000;    // blocking calls: kDeadlineExceeded after it
  uint32_t spin_us = 20;               // look at the ring this long before sleeping
  bool populate_segments = true;       // fault segments in when they are mapped, not on first read
  // How long connect, open_session and join_session wait, with back-off, for a daemon that is not
  // there or has no room for a connection. 0: not at all.
  uint32_t daemon_wait_ms = 0;
  SegmentObserver* observer = nullptr;  // outlives the client and its sessions
  // Of the memory that fills are written to, which the client's sessions share and the first one
  // makes. 0: for two of the largest objects of that session, at least 32 MiB. At most 2 GiB.
  uint64_t staging_bytes = 0;
};

struct SessionOptions {
  model::Layout layout;  // registered with the daemon when not known yet
  std::string tenant;
  std::string namespace_name;
  std::string salt;
  uint64_t weights_epoch = 0;
  uint64_t conversation = 0;  // turns of one conversation supersede each other's checkpoints
  model::LoadClass load_class = model::LoadClass::kInteractive;  // of every load of the session
  // Before the end of a prompt: there wanted_checkpoints() names one more position, and the daemon
  // keeps that checkpoint beside the conversation's last turn end. 0: neither. kLearntTail: as far
  // as the namespace's earlier prompts were left by the next ones.
  uint32_t tail_tokens = model::kLearntTail;
  // Of checkpoints at positions that wanted_checkpoints() does not name (states exist where the
  // engine ends a chunk): one begun with reason kOffered is kept where none lies less than so many
  // tokens before it. The least of this, the policy's interval and the layout's counts; 0: these
  // alone. See Session::offer_tokens().
  uint32_t offer_tokens = 0;
  uint32_t ring_entries = 256;
  uint32_t max_tokens = 1 << 20;  // longest context of this session
  uint32_t max_load_pages = 8192;
  // Of staging that the session must be able to use; where the client's has less, it gets a further
  // area. 0: what one span and one checkpoint of the layout need at once, all groups. A rank that
  // commits the groups of its own shard alone needs less. At most 2 GiB.
  uint64_t staging_bytes = 0;
  // Where a prompt is computed by one process and used by another while it comes
  // (docs/handover.md): which of them this is; each says its own. Of a session that has a prefill
  // process others are told when nothing more comes of it (wait_for_tokens, Progress::handover).
  model::SessionRole role = model::SessionRole::kBoth;
  // Of the opener: spans that prefill may commit beyond what decode has loaded; begin_fill of more
  // is kBusy (wait_for_room). At least a block. 0: no bound. Not for join_session.
  uint32_t ahead_tokens = 0;
  // RAM that the session's fills and loads may count on, whatever others of its user do: what its
  // fills hold, its loads bring and its leases pin is taken from it. It is had whole or not at all.
  // In join_session: for loads and leases of that process alone, beside the session's, and had at
  // once or kResourceExhausted; 0: it shares the session's.
  uint64_t reserve_bytes = 0;
  // While other sessions have reserved it, opening waits for so long; 0: kResourceExhausted at
  // once.
  uint32_t admission_wait_ms = 0;
  // What receipts of the session's turns say beside tenant and namespace, for whoever bills by
  // them: the model's name in price lists (empty: the namespace), the service tier (empty: the
  // standard one), the class that written content is kept by ("5m", "1h"; empty: none), and whether
  // the user asked for caching by name. At most 63 bytes each, a class 15. Pages do not depend on
  // them. A tenant has content and sessions of three classes at a time: kResourceExhausted.
  std::string model;
  std::string service_tier;
  std::string retention;
  bool explicit_caching = false;
};

using RequestId = uint64_t;
using SessionToken = std::array<uint8_t, 16>;

// One page in shared memory. Valid while its lease is held and its session lives.
struct PageView {
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
  uint32_t crc32c = 0;
  uint32_t generation = 0;
  uint32_t segment = 0;  // what it lies in, for a device that the segment was registered with
  model::GroupIndex group = 0;
  bool of_checkpoint = false;
  uint16_t reserved = 0;
  uint64_t offset = 0;  // in the segment
  uint64_t room = 0;
};

// Pages of one group that lie behind each other: page i is of block first_block + i, at
// data + i * stride. Valid as a PageView is.
struct RunView {
  const std::byte* data = nullptr;
  uint64_t page_bytes = 0;
  uint64_t stride = 0;
  uint64_t offset = 0;       // of the first page, in the segment
  uint32_t first_block = 0;  // of the context; of a checkpoint's page: its place among these
  uint32_t page_count = 0;
  uint32_t generation = 0;  // of each page's slot
  uint32_t segment = 0;     // as in PageView
  model::GroupIndex group = 0;
  bool of_checkpoint = false;
  uint16_t reserved = 0;
  uint32_t reserved32 = 0;
  uint64_t room = 0;
};

// What computing costs the engine: a thousand tokens at position p take us_per_ktoken +
// us_per_ktoken_per_mtoken * p / 1e6 microseconds. Both 0: unknown, MatchResult::cut_tokens is
// exact_tokens.
struct PrefillCost {
  uint32_t us_per_ktoken = 0;
  uint32_t us_per_ktoken_per_mtoken = 0;
};

// Pages of one load, in the order of LoadArgs. `pages` belongs to the session and stays until
// the lease's release is submitted. A load that was cut short delivers its usable head: whole
// blocks from the first one asked for on, and the checkpoint only behind all of them.
struct LoadedPages {
  std::span<const PageView> pages;
  uint32_t block_count = 0;       // whole blocks delivered
  uint32_t checkpoint_count = 0;  // the last so many pages are the checkpoint's
  // kOk: everything asked for. kDeadlineExceeded, kIoError or kCorrupt: why there is no more.
  model::Errc limited_by = model::Errc::kOk;
};

// The same pages as runs (load_runs): the checkpoint's first, then those of each group in the order
// of their blocks. `runs` stays as long as LoadedPages::pages does.
struct LoadedRuns {
  std::span<const RunView> runs;
  uint64_t page_count = 0;   // of all runs
  uint32_t block_count = 0;  // as in LoadedPages; so the next two
  uint32_t checkpoint_count = 0;
  model::Errc limited_by = model::Errc::kOk;
};

struct LoadOptions {
  uint64_t groups = 0;  // GroupMask; 0 = all
  uint32_t first_block = 0;
  uint32_t block_count = 0;  // 0 = to the end of the hit
  bool include_checkpoint = true;
  model::LoadOrder order = model::LoadOrder::kBlockMajor;
  uint32_t deadline_ms = 0;  // 0 = the daemon's default; at most model::kMaxDeadlineMs counts
  bool progress = false;     // for loaded_so_far(); kBusy above kLoadProgressSlots such loads
  // load_runs() alone: room for so many; 0: for 1,024, or each page where there are fewer.
  uint32_t max_runs = 0;
};

// Staging memory for one object, ready to be written. Freed by commit() or abort(), also when they
// fail; but a commit that was refused with kBusy, kDeadlineExceeded or kInvalidArgument leaves it
// as it was, to be committed again or aborted. A duplicate holds none.
struct Fill {
  uint64_t id = 0;
  bool duplicate = false;  // present already: nothing to write, nothing to commit
  bool unwanted = false;   // a duplicate of nothing: offered, and another checkpoint serves
  // A duplicate of which other processes of the session have not written their groups yet.
  bool incomplete = false;
  model::FillKind kind = model::FillKind::kSpan;
  uint32_t end_tokens = 0;
  uint64_t groups = 0;
  uint64_t staging_offset = 0;
  std::byte* staging = nullptr;  // pages at plan.pages[i].staging_offset
  model::PagePlan plan;
};

struct FillOptions {
  uint64_t groups = 0;  // of this process (its shard); 0 = all
  model::CheckpointReason reason = model::CheckpointReason::kTurnEnd;
  // kBusy while another session fills the same object: for engines whose sessions hold equal bytes
  // and would rather wait than write them twice. (Of processes of one session it is always so.)
  bool unless_begun = false;
};

// Where the engine really went on (Session::resumed).
struct Resumed {
  model::ResumedHow how = model::ResumedHow::kExact;
  uint32_t resumed_tokens = 0;
  uint32_t replayed_tokens = 0;  // of these; with kSpan only
  uint32_t output_tokens = 0;    // so far
  uint64_t request_id = 0;       // as in the match; 0: whichever turn is present
};

struct PositionsOptions {
  uint32_t have_tokens = 0;      // held by the engine: not counted into load estimates
  uint32_t max_positions = 256;  // at most model::kMaxPositions
  bool every_block = false;      // also block ends that take a replay, where the layout allows one
};
// The deepest first.
struct Positions {
  std::vector<model::ResumePosition> positions;
  uint32_t span_tokens = 0;
  uint32_t exact_tokens = 0;
  bool complete = false;  // false: there may be more
};

// How far the session's commits have come, from shared memory; no call to the daemon.
struct Progress {
  uint32_t committed_tokens = 0;
  uint32_t checkpoint_tokens = 0;
  uint32_t members = 0;
  // Of a hand-over: from a process here (SessionOptions::role), or of a session that follows one
  // of another host.
  model::Handover handover = model::Handover::kNone;
  uint32_t taken_tokens = 0;  // loads of the slowest decode process have brought them
  uint32_t ahead_tokens = 0;  // how far prefill may be in front of these now; 0: no bound
};

class ClientImpl;
class SessionImpl;
class SessionOpener;

class Session {
 public:
  explicit Session(std::unique_ptr<SessionImpl> impl);
  ~Session();  // closes; never blocks longer than the socket verb's time-out
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // These four answer from memory, after the session's end too.
  const model::Layout& layout() const;
  uint64_t id() const;
  SessionToken token() const;  // for join_session in processes of the same domain
  const model::Hash256& root() const;

  // The session's context. Only whole units are hashed, each once; a turn hashes its new tokens
  // only. kInvalidArgument beyond max_tokens.
  //
  // What an engine owes: two contexts with equal hashes must have equal pages. Quire sees token ids
  // and nothing else, and a placeholder token is the same for every image. So whatever changes the
  // pages besides the token ids before a position (images, audio, prompt embeddings, an adapter,
  // position scaling) goes into the hash of every unit that it overlaps (append_unit_hashes), or,
  // when it holds for the whole context, into SessionOptions::salt or namespace_name. What is left
  // out can be answered with another context's pages; no check of Quire's can notice.
  //
  // Or it is given here: `keys` are folded into each unit that they overlap, wherever they begin
  // (model/unit_keys.h; positions count from the start of the context). kInvalidArgument for one
  // that begins in a unit whose last token was appended before.
  model::Result<void> append_tokens(std::span<const uint32_t> tokens,
                                    std::span<const model::UnitKey> keys = {});
  // Instead of tokens: the engine's own hashes, one per unit (16..32 bytes, zero-padded), each of
  // all that the unit's pages depend on beyond the units before it. After append_tokens that ended
  // inside a unit the first hash completes that unit: it and the tokens given are hashed together.
  // Tokens may follow, from the next unit on. kInvalidArgument beyond max_tokens.
  model::Result<void> append_unit_hashes(std::span<const model::Hash256> leaves);
  // Tokens appended; those of a unit that is not whole have no hash yet.
  uint32_t token_count() const;
  const std::vector<model::Hash256>& chain() const;

  // What the daemon asks of this session at present (an operator may change it at any time): a word
  // of shared memory, no call. The default once the session was closed.
  model::CheckpointPolicy checkpoint_policy() const;
  // model::wanted_checkpoints() with this session's layout, tail and present policy: ask anew for
  // each turn, or chunk. `from_tokens`: where the engine resumed; branch_tokens as match answered.
  std::vector<model::WantedCheckpoint> wanted_checkpoints(uint32_t from_tokens, uint32_t end_tokens,
                                                          uint32_t branch_tokens) const;
  // How far before a prompt's end that one lies, as given or as learnt by now. 0: there is none.
  uint32_t tail_tokens() const;
  // How far apart checkpoints that are offered are kept, by the present policy; 0: none is. The
  // daemon decides; processes that write one object together ask once, and all do the same.
  uint32_t offer_tokens() const;

  // --- blocking ---
  // prompt_tokens: at most the whole units appended and a part of one more. kInvalidArgument
  // beyond. `request_id`: the engine's own number of this request, under which the turn is
  // metered; all processes of a session give the same one. 0: none.
  model::Result<model::MatchResult> match(uint32_t prompt_tokens, uint32_t have_tokens = 0,
                                          const PrefillCost& cost = {}, uint64_t request_id = 0);
  // An error only when nothing was delivered; otherwise see LoadedPages::limited_by.
  model::Result<LoadedPages> load(uint64_t lease, const LoadOptions& options = {});
  // The same, told as runs of adjacent pages: what attaching costs then hardly grows with the
  // context. No checksums: load() the blocks that are to be verified. kInvalidArgument with
  // LoadOptions::progress. kResourceExhausted: memory is so fragmented that max_runs did not do;
  // try again with more, or load() it. The lease has that load among its own all the same.
  model::Result<LoadedRuns> load_runs(uint64_t lease, const LoadOptions& options = {});
  // kBusy while a submitted load of the lease is in flight.
  model::Result<void> release(uint64_t lease);
  // kBusy when the staging area is full of uncommitted fills, when another process of the session
  // (or an earlier fill of this one) writes these groups of the object, or when it is complete and
  // waits for the span before it: begin it again later, it may be a duplicate then.
  model::Result<Fill> begin_fill(model::FillKind kind, uint32_t end_tokens,
                                 const FillOptions& options = {});
  // kDeadlineExceeded: it was not taken, or the span before it did not come; that one's fill has
  // ended in the daemon, and committing it again gives kNotFound.
  model::Result<model::CommitResult> commit(const Fill& fill);
  model::Result<void> abort(const Fill& fill);
  model::Result<bool> supersede(uint32_t end_tokens);
  model::Result<void> advise(model::Advice advice, uint32_t end_tokens, uint32_t pause_ms = 0);
  model::Result<void> noop();
  // Goes on with another prompt, as if the session had just been opened for it, at the cost of a
  // round trip: no token is appended, and the turn is closed, its receipt written. Token, payer and
  // reservation stay. `conversation`: of the new prompt, as in SessionOptions. kBusy while leases,
  // fills or requests of the old one are open, or another process is in the session: then nothing
  // has changed. After kDeadlineExceeded everything is kBusy until the daemon has answered.
  model::Result<void> reset(uint64_t conversation = 0);
  // Where the engine really went on in the present turn, and how many tokens it put out so far: the
  // turn's record counts hits by it. As often as there is something new to say, by any process of
  // the session; the last word wins. kNotFound: no match was made, or that turn is over.
  // kInvalidArgument: further than the match and have_tokens allow.
  // What the turn's receipt says from then on, for a usage object (client/usage.h).
  model::Result<model::TurnTokens> resumed(const Resumed& word);
  // All positions at which a prompt of so many tokens could be resumed, with what each would
  // deliver. Pins nothing, so a match made for one of them may find less.
  model::Result<Positions> positions(uint32_t prompt_tokens, const PositionsOptions& options = {});
  // How much of the first `tokens` tokens is here, per tier. Pins nothing and is no use of it.
  model::Result<model::LocateResult> locate(uint32_t tokens);

  // --- asynchronous: queue, then flush() makes everything queued visible at once ---
  // kBusy when the ring or the staging area is full.
  model::Result<RequestId> submit_match(uint32_t prompt_tokens, uint32_t have_tokens = 0,
                                        const PrefillCost& cost = {}, uint64_t request_id = 0);
  model::Result<RequestId> submit_load(uint64_t lease, const LoadOptions& options = {});
  model::Result<RequestId> submit_load_runs(uint64_t lease, const LoadOptions& options = {});
  model::Result<RequestId> submit_release(uint64_t lease);
  model::Result<RequestId> submit_begin_fill(model::FillKind kind, uint32_t end_tokens,
                                             const FillOptions& options = {});
  model::Result<RequestId> submit_commit(const Fill& fill);
  model::Result<RequestId> submit_resumed(const Resumed& word);
  // Until it is answered everything else is kBusy.
  model::Result<RequestId> submit_reset(uint64_t conversation = 0);
  model::Result<RequestId> submit_positions(uint32_t prompt_tokens,
                                            const PositionsOptions& options = {});
  model::Result<RequestId> submit_locate(uint32_t tokens);
  model::Result<RequestId> submit_noop();
  // Wakes the daemon if it sleeps.
  void flush();
  // Finished requests, oldest first; at most completions.size(). Never blocks.
  model::Result<size_t> poll_completions(std::span<model::Completion> completions);
  // Waits until at least one completion is ready or timeout_ms passed (then kDeadlineExceeded).
  model::Result<void> wait(uint32_t timeout_ms);
  // What a completed begin_fill, load or positions stands for. kNotFound for other ids; each once.
  // Until then they hold their part of the staging or descriptor area and a request slot, pages at
  // the longest until the lease's release. A load whose completion has a code has pages too when it
  // delivered some: take_pages() fails only when it did not.
  model::Result<Fill> take_fill(RequestId request, const model::Completion& completion);
  model::Result<LoadedPages> take_pages(RequestId request, const model::Completion& completion);
  // Of submit_load_runs(), as take_pages() is of submit_load(); each is kNotFound for the other's.
  model::Result<LoadedRuns> take_runs(RequestId request, const model::Completion& completion);
  model::Result<Positions> take_positions(RequestId request, const model::Completion& completion);
  // Of a load submitted with LoadOptions::progress: how many of its pages are ready, in the order
  // of LoadedPages, and their views, which stay until the lease's release. Never blocks. While it
  // is in flight the count only grows; from its completion on it is what the load delivered.
  // kNotFound for other ids, for pages taken, and when nothing was delivered.
  model::Result<uint32_t> loaded_so_far(RequestId load);
  model::Result<std::span<const PageView>> pages_so_far(RequestId load);
  // Readable when poll_completions may have something, also because the daemon went; -1 when
  // closed. From the first call on the daemon writes a wake-up per batch of completions.
  int fd() const;

  // Memory that fills are written to, for registration with a device: the same for all sessions of
  // a client, but for one that needed a larger area. Stays mapped until the last of them is gone.
  // Empty when closed.
  std::span<std::byte> staging() const;
  // Of all processes of the session; zeros once it is closed.
  Progress progress() const;
  uint32_t layer_ready_tokens(uint32_t layer) const;
  // Gives this session to another host through the cluster: from now on what it commits goes there
  // at once, and who follows the address sees it as it becomes durable, run by run, until the
  // session ends (docs/cluster.md). kUnavailable: no cluster takes writes now.
  model::Result<model::HandOverAddress> hand_over();
  // Follows a session of another host, which works on the first `prompt_tokens` tokens of this one,
  // whose hashes must be here: progress() and wait_for_tokens() tell what is here of it, to be
  // matched and loaded. kInvalidArgument: it is of another cluster, pool, tenant or model.
  model::Result<void> follow(const model::HandOverAddress& address, uint32_t prompt_tokens);
  // Until committed_tokens >= tokens or checkpoint_tokens >= tokens; kDeadlineExceeded;
  // kUnavailable when the prefill processes of the session have gone before (what is committed
  // stays). Looks at shared memory between naps of 20 us to 1 ms: the daemon keeps no list of
  // waiters, so waiting costs it nothing and cannot delay it.
  model::Result<void> wait_for_tokens(uint32_t tokens, uint32_t timeout_ms);
  // Of prefill: until a span that ends there may be begun; likewise. kDeadlineExceeded: decode has
  // not taken enough.
  model::Result<void> wait_for_room(uint32_t end_tokens, uint32_t timeout_ms);

  // Ends the session in the daemon: leases, fills and pins of this process go, and what it was
  // still committing. Nothing may be written through its fills from here on: their staging may be
  // another session's.
  model::Result<void> close();

 private:
  std::unique_ptr<SessionImpl> impl_;
};

// A session that is being opened and may have to wait until what it reserves can be had
// (Client::request_session). Destroyed, it gives its place in the queue up; so does the end of its
// client's connection. Threads: one at a time.
class SessionTicket {
 public:
  SessionTicket(std::unique_ptr<SessionOpener> opener, std::unique_ptr<SessionImpl> opened);
  ~SessionTicket();
  SessionTicket(const SessionTicket&) = delete;
  SessionTicket& operator=(const SessionTicket&) = delete;

  // As the daemon said last. 1: it is next; 0: it does not wait.
  uint32_t position() const;
  // From how fast reservations came free lately; none: nobody knows.
  std::optional<uint64_t> estimate_ms() const;
  // The session, once; null: it is queued, also after wait_ms, for which it asks again now and
  // then; the client's other calls go on meanwhile. An error, after which the ticket is of no use:
  // kDeadlineExceeded (SessionOptions::admission_wait_ms are over), kResourceExhausted (what bounds
  // it fell), kUnavailable; kClosed: it gave its session before.
  model::Result<std::unique_ptr<Session>> poll(uint32_t wait_ms = 0);

 private:
  std::unique_ptr<SessionOpener> opener_;
  std::unique_ptr<SessionImpl> opened_;  // at once
};

class Client {
 public:
  static model::Result<std::unique_ptr<Client>> connect(const ClientOptions& options);
  explicit Client(std::unique_ptr<ClientImpl> impl);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Idempotent: equal layouts get equal ids.
  model::Result<uint32_t> register_layout(const model::Layout& layout);
  // Waits for what it reserves, admission_wait_ms at most (kDeadlineExceeded). kResourceExhausted:
  // more than its user, or tenant, can ever have.
  model::Result<std::unique_ptr<Session>> open_session(const SessionOptions& options);
  // The same without waiting.
  model::Result<std::unique_ptr<SessionTicket>> request_session(const SessionOptions& options);
  // `layout` must be the one the session was opened with.
  model::Result<std::unique_ptr<Session>> join_session(const SessionToken& token,
                                                       const SessionOptions& options);

  // A round trip through the daemon's core: errors as any call's.
  model::Result<void> ping();
  model::Result<std::string> status_json();
  // Readers and administrators. Who uses the daemon: the sessions that were active last, the
  // tenants that hold most.
  model::Result<std::string> sessions_json();
  model::Result<std::string> tenants_json();
  // In another form; kJson: the same.
  model::Result<std::string> status_text(model::StatusFormat format);
  model::Result<uint64_t> evict(uint64_t count);  // administrators; 0 = all that may go
  // Administrators. kPlan counts what would go, kGo lets it go; both go on in the daemon's steps:
  // "running" says whether it is done, kShow asks again. kBusy: another one is under way.
  // kNotFound: no such domain.
  model::Result<std::string> evict_json(model::EvictAction action,
                                        const EvictOptions& options = {});
  // Administrators. What is in RAM only goes to the tiers below; "running" and "complete" say how
  // far it is. kNotFound: there is none. kBusy: none takes writes, or a flush is under way.
  model::Result<std::string> flush_json(model::FlushAction action);
  // Administrators; readers, who ask how far it is. Both give the daemon's JSON text, at once: a
  // pass that was started goes on.
  model::Result<std::string> verify_json(model::VerifyScope scope);
  model::Result<std::string> scrub_json(model::ScrubAction action, uint64_t bytes_per_second = 0);
  // What the SSD tier keeps and does not serve; `reason`: what kDrop drops, empty: all of it.
  model::Result<std::string> kept_json(model::KeptAction action, std::string_view reason = {});
  // Readers. Who decides what is evicted. set_policy(), administrators: `policy` does from now on;
  // goes on in the daemon's steps: "switching" says whether it is done, "saving" whether a restart
  // will know it. kInvalidArgument, kNotFound, kBusy: one is under way.
  model::Result<std::string> policy_json();
  // What each policy, at several sizes, would have hit. kNotFound: the daemon has no ghosts.
  model::Result<std::string> advice_json(model::TierId tier, model::AdviceWindow window);
  model::Result<std::string> set_policy(model::TierId tier, std::string_view policy,
                                        const ScopeOptions& scope = {});
  // Administrators. Which checkpoints engines are asked for from now on
  // (model/checkpoint_policy.h), in sessions that are open too. kInvalidArgument: no such word.
  // kNotFound: no such domain.
  model::Result<std::string> set_checkpoints(std::string_view word, const ScopeOptions& scope = {});
  // What each word would have cost in bytes and brought in tokens. kNotFound: as advice_json().
  model::Result<std::string> checkpoint_advice_json(model::AdviceWindow window);
  // Readers; changes, administrators. What users and tenants may hold of a tier. kInvalidArgument:
  // no domain, a burst below the guarantee, a weight out of range, more guaranteed than the tier
  // has. Clearing leaves what a file says.
  model::Result<std::string> quota_json();
  model::Result<std::string> set_quota(model::TierId tier, const ScopeOptions& scope,
                                       const QuotaBytes& quota);
  model::Result<std::string> clear_quota(model::TierId tier, const ScopeOptions& scope);
  // Meters. The ledger as a stream of frames (model/receipts/ledger_stream.h): a blocking
  // descriptor to read until the frame that ends it, or, with `follow`, for as long as one likes.
  // Whoever reads slowly delays nobody. kNotFound: no receipts are kept. kBusy: it has as many
  // readers as it serves.
  model::Result<model::FdGuard> read_ledger(const model::MeterRequest& request);
  // Readers; changes, administrators. Namespaces that stay in RAM up to a budget; the name may be
  // of what is to come. "moving" says whether what is there already is still to be told apart,
  // "saving" whether a restart will know it. kInvalidArgument: no domain, no budget.
  // kResourceExhausted: more than half of RAM together, too many. kNotFound: not pinned.
  model::Result<std::string> pin_json();
  model::Result<std::string> set_pin(const PinOptions& pin);
  model::Result<std::string> clear_pin(const ScopeOptions& scope, std::string_view namespace_name);
  model::Result<std::string> clear_pins();  // all of them

  // Administrators. Records what is asked for from now on: the read end of a pipe with records of
  // model/trace_wire.h. Who does not read it loses records, and nobody else anything. The recording
  // ends with this client's connection. kBusy: two are under way.
  model::Result<model::FdGuard> record_trace(const TraceOptions& options = {});

  // Administrators. Every flag with value and origin, and whether it may be set; the latter sets
  // one for this life of the daemon. kInvalidArgument names the key, and the nearest one or the
  // rule.
  model::Result<std::string> config_json();
  model::Result<std::string> set_config(std::string_view key, std::string_view value);
  // Why a turn's hit went no further (docs/why.md). Readers and administrators ask about all turns,
  // others about those of their own domain. kNotFound: no such turn is remembered.
  model::Result<std::string> why_json(const WhyOptions& options = {});
  // The same of a prompt, as things are now. kInvalidArgument: no tokens, or more than a frame has
  // room for hashes of. kPermissionDenied: another user's.
  model::Result<std::string> why_prompt_json(const WhyPrompt& prompt);
  // What is stored and removed, as it happens, and on request what is held (client/event_stream.h).
  // It ends with this client's connection. kNotFound: the daemon keeps no events. kBusy: there are
  // as many subscriptions as it serves. kPermissionDenied: everything is for readers.
  model::Result<std::unique_ptr<EventStream>> subscribe_events(const EventsOptions& options = {});
  // How much of a prompt is here. Pins nothing, opens nothing and is no use of it.
  // `cluster_wait_ms`: the cluster is asked, too, and waited for so long, at most
  // model::kMaxLocateWaitMs; nothing is loaded, and nothing of the answer is kept. 0: it is not
  // asked. kInvalidArgument: no whole unit, more than 32,766 of them, or too long a wait. kBusy: as
  // many such questions as the daemon takes are under way.
  model::Result<HeldChain> locate(const ChainNames& names, std::span<const uint32_t> tokens,
                                  uint32_t cluster_wait_ms = 0);
  // The same by the engine's own unit hashes (Session::append_unit_hashes).
  model::Result<HeldChain> locate_hashes(const ChainNames& names,
                                         std::span<const model::Hash256> leaves,
                                         uint32_t cluster_wait_ms = 0);

  // After kUnavailable: tries again with back-off until timeout_ms. kBusy when the daemon then has
  // no room for another connection.
  model::Result<void> reconnect(uint32_t timeout_ms);
  // As far as was noticed: progress() looks.
  bool connected() const;
  // Of the daemon that the client is attached to: another number after its restart.
  uint64_t daemon_epoch() const;
  std::string_view domain() const;

  // Readable when the daemon sent news (segments retired, sessions ended) or hung up.
  int fd() const;
  // Handles news without blocking. kUnavailable once the daemon is gone.
  model::Result<void> progress();
  uint64_t mapped_bytes() const;

 private:
  std::unique_ptr<ClientImpl> impl_;
};

// CRC32C of a view equals the one from the moment of sealing. For engines that want to check what
// they read; not needed on the hot path.
bool verify_page(const PageView& page);

}  // namespace quire::client
