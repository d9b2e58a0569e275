// Frames on the unix stream socket: rare verbs and everything that carries descriptors. Hot verbs
// go through rings (model/ring.h, model/session_shm.h). All integers little-endian, structs without
// padding, names in zero-padded 64-byte fields.
//
//   [FrameHeader 16 B][payload: payload_bytes]      client -> daemon: no descriptors, ever
//   a reply has type | kReplyBit, the request's sequence, and starts with ReplyStatus
//   an event has sequence 0
//   a reply with sequence 0 answers no request: why the daemon hangs up now, kBusy when it has no
//   room for another connection
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "model/hash256.h"
#include "model/limits.h"
#include "model/result.h"

namespace quire::model {

inline constexpr uint32_t kFrameMagic = 0x52495551;  // "QUIR"
// 2: completions of 128 bytes, turns, tokens for four tiers. 3: sessions say what they are billed
// by. 4: a client writes into memory of its own, which its sessions share, and the memory of a
// session that ended serves the next. 5: roles, resets and hand-overs of sessions, `locate` of the
// cluster. There is no talk between versions: a daemon and its clients
// are of one release, and who is not is refused with a text that says so, in a frame of its own
// version, so that it can be read.
inline constexpr uint16_t kProtocolVersion = 6;
// What the refusal says: which side is older, and what to do.
std::string version_refusal(uint16_t peer_version);

// What a client may send, who may, and what for: the table in model/socket_verbs.h.
enum class FrameType : uint16_t {
  kHello = 1,
  kRegisterLayout = 2,  // payload: encode(layout)
  kOpenSession = 3,
  kJoinSession = 4,
  kCloseSession = 5,
  kMapSegment = 6,
  kUnmappedSegment = 7,  // acknowledges kSegmentRetired; no reply
  kPing = 8,
  kStatus = 9,  // reply: text after ReplyStatus
  kEvict = 10,
  kVerify = 11,  // the replies of this one and the next are like kStatus's
  kScrub = 12,
  kKept = 13,
  kPolicy = 14,
  kQuota = 15,
  kFlush = 16,
  kPin = 17,
  kMeter = 18,
  kTrace = 19,  // its reply carries one descriptor, a pipe's: records of model/trace_wire.h
  kConfig = 20,
  kEvents = 21,  // likewise: records of model/event_wire.h
  kLocate = 22,
  kWhy = 23,       // the replies of this one and the next two are like kStatus's
  kSessions = 24,  // no request
  kTenants = 25,
  kMakeStaging = 26,
  kHandOver = 27,
  // Events, daemon -> client.
  kSegmentRetired = 64,
  kSessionEnded = 65,
};
inline constexpr uint16_t kReplyBit = 0x8000;

struct FrameHeader {
  uint32_t magic = kFrameMagic;
  uint16_t version = kProtocolVersion;
  uint16_t type = 0;
  uint32_t payload_bytes = 0;
  uint32_t sequence = 0;
};
static_assert(sizeof(FrameHeader) == 16);

using WireName = std::array<char, kMaxNameBytes + 1>;
// kInvalidArgument when longer than kMaxNameBytes or holding a NUL.
Result<WireName> to_wire_name(std::string_view text);
// Up to the first NUL; nullopt-like empty error when no NUL ends it.
Result<std::string_view> from_wire_name(const WireName& name);

struct ReplyStatus {
  int32_t code = 0;  // Errc
  uint32_t reserved = 0;
  std::array<char, 248> text{};  // zero-terminated, for people
};
static_assert(sizeof(ReplyStatus) == 256);

struct HelloRequest {
  uint16_t min_version = kProtocolVersion;
  uint16_t max_version = kProtocolVersion;
  uint32_t reserved = 0;
  WireName client_name{};
};
static_assert(sizeof(HelloRequest) == 72);

// Followed by segment_count SegmentInfo (the domain's present segments); their descriptors come
// with it, at most kMaxDescriptorsPerFrame; the rest through kMapSegment.
struct HelloReply {
  ReplyStatus status;
  uint16_t version = 0;
  uint16_t reserved = 0;
  uint32_t segment_count = 0;
  uint64_t daemon_epoch = 0;  // differs after each start: old handles are misses
  WireName domain{};
};
static_assert(sizeof(HelloReply) == 336);

struct SegmentInfo {
  uint32_t segment = 0;
  uint32_t page_size_log2 = 12;  // what backs it: 12 or 21
  uint64_t bytes = 0;
};
static_assert(sizeof(SegmentInfo) == 16);

struct RegisterLayoutReply {
  ReplyStatus status;  // the text of an ok one: why some objects will never be on SSD
  uint32_t layout = 0;
  uint32_t reserved = 0;
  Hash256 digest;
};
static_assert(sizeof(RegisterLayoutReply) == 296);

struct OpenSessionRequest {
  uint32_t layout = 0;
  uint32_t ring_entries = 256;     // power of two, 8..4096
  uint32_t max_units = 8192;       // hash arena entries, 1..kMaxUnits
  uint32_t max_load_pages = 8192;  // descriptor area entries, 1..1M
  uint64_t staging = 0;            // area of this connection that it commits from; 0: it does not
  uint64_t weights_epoch = 0;
  uint64_t conversation = 0;     // sessions with the same non-zero value supersede each other
  uint8_t load_class = 0;        // LoadClass (model/ring_frames.h); kInvalidArgument for others
  uint8_t give_up = 0;           // 1: `ticket` is not wanted any more; nothing else counts
  uint8_t explicit_caching = 0;  // 1: the engine's user asked for caching by name
  uint8_t role = 0;              // SessionRole (model/session_role.h); kInvalidArgument for others
  // A conversation keeps a checkpoint this far before its last turn end beside it; 0: its last turn
  // end alone; kLearntTail: as far as the daemon has learnt (model/boundary.h).
  uint32_t tail_tokens = 0;
  WireName tenant{};
  WireName namespace_name{};
  WireName salt{};
  // RAM that the session's fills and loads may count on. 0: none.
  uint64_t reserve_bytes = 0;
  uint64_t ticket = 0;             // of the queued reply to this request before; 0: it is new
  uint32_t admission_wait_ms = 0;  // it may be queued for so long; 0: it is not
  // Checkpoints that the engine offers at positions of its own are kept so far apart (kOffered);
  // 0: as the policy's and the layout's intervals say.
  uint32_t offer_tokens = 0;
  uint64_t lane = 0;  // that the process kept, of these sizes; 0: none
  // Spans that prefill may commit beyond what decode took (ProgressHeader::ahead_tokens). 0: all.
  uint32_t ahead_tokens = 0;
  uint32_t reserved_ahead = 0;
  std::array<uint64_t, 3> room{};  // 0: for what is asked of a session later
  // What prices depend on and pages do not; each stands in the receipts of the session's turns.
  WireName model{};         // as prices are listed; empty: the namespace's name
  WireName service_tier{};  // "batch"; empty: the standard one
  WireName retention{};     // class of what is written, "5m"; empty: none. kMaxRetentionBytes
};
static_assert(sizeof(OpenSessionRequest) == 496);

// Carries the descriptors of a new lane, in the order of SessionDescriptor; of a lane that the
// process knows (SessionLane::kKnown) that of the session's progress alone, or none where it knows
// that too (kKnownWhole), or where the session is queued.
enum class SessionDescriptor : uint8_t {
  kControl = 0,   // memfd, client-writable: ControlHeader, submissions, hash arena
  kReply = 1,     // memfd, read-only: ReplyHeader, completions, page descriptors
  kProgress = 2,  // memfd, read-only, shared by all members: ProgressHeader
  kDoorbell = 3,  // eventfd: client writes 1 when the daemon sleeps
  kWakeup = 4,    // epoll descriptor, readable after completions arrived while the client slept.
                  // An epoll over a private eventfd: a client that held the eventfd itself could
                  // fill its counter and make the daemon's write block (law 6).
};
inline constexpr size_t kSessionDescriptorCount = 5;

// What a process has of a session's lane: its rings, and the memory for hashes and descriptors. It
// may serve one session of that process after the other.
enum class SessionLane : uint32_t { kNew = 0, kKnown = 1, kKnownWhole = 2 };

struct OpenSessionReply {
  ReplyStatus status;
  uint64_t session = 0;  // for this process: each member has a number of its own. 0: it is queued
  std::array<uint8_t, 16> token{};  // lets processes of the same domain join
  Hash256 root;                     // chain hash at position 0
  uint32_t ring_entries = 0;
  uint32_t max_units = 0;
  uint32_t max_load_pages = 0;
  uint32_t layout = 0;
  uint64_t lane = 0;  // its number, in the connection
  // Where the lane lies in the two memfds, which other lanes of its process lie in, too.
  uint64_t control_offset = 0;
  uint64_t control_bytes = 0;
  uint64_t reply_offset = 0;
  uint64_t reply_bytes = 0;
  // Of a queued one, and nothing else but the status: how it is asked for again, its place in the
  // queue (1: it is next), and when its turn will come, if anything is known of that.
  uint64_t ticket = 0;
  uint32_t position = 0;
  uint32_t estimate_known = 0;
  uint64_t estimate_ms = 0;
  uint32_t lane_state = 0;  // SessionLane
  uint32_t reserved32 = 0;
};
static_assert(sizeof(OpenSessionReply) == 400);

struct JoinSessionRequest {
  std::array<uint8_t, 16> token{};
  uint32_t ring_entries = 256;
  uint32_t max_load_pages = 8192;
  uint64_t staging = 0;  // as in OpenSessionRequest; so the next
  uint64_t lane = 0;
  // RAM that this process's loads and leases may count on, beside what the session reserved for its
  // opener and its fills. Had at once or not at all. 0: the session's.
  uint64_t reserve_bytes = 0;
  uint8_t role = 0;  // SessionRole
  std::array<uint8_t, 7> reserved{};
  uint64_t room = 0;
};
static_assert(sizeof(JoinSessionRequest) == 64);

// Where the session of another host is found: in which store of the cluster, below which root, by
// which token. Whoever has it, and may open that root, may follow the session.
struct HandOverAddress {
  std::array<uint8_t, 16> store{};
  Hash256 root;
  std::array<uint8_t, 16> token{};
};
static_assert(sizeof(HandOverAddress) == 64);

// A session is given away, or follows one that was.
struct HandOverRequest {
  uint64_t session = 0;
  uint32_t follow = 0;      // 1: it follows `address`; 0: it is given away, and the reply has one
  uint32_t unit_count = 0;  // of who follows: so many of its hashes are the prompt's
  HandOverAddress address;
};
static_assert(sizeof(HandOverRequest) == 80);

struct HandOverReply {
  ReplyStatus status;
  HandOverAddress address;
};
static_assert(sizeof(HandOverReply) == 320);

struct CloseSessionRequest {
  uint64_t session = 0;
  uint32_t keep_lane = 0;  // 1: the process keeps it mapped, for a session that it opens later
  uint32_t reserved = 0;
};
static_assert(sizeof(CloseSessionRequest) == 16);

struct CloseSessionReply {
  ReplyStatus status;
  uint32_t lane_kept = 0;  // 1: the daemon kept it too
  uint32_t reserved = 0;
};
static_assert(sizeof(CloseSessionReply) == 264);

// Memory of a connection that its sessions commit from, until the connection ends.
struct MakeStagingRequest {
  uint64_t bytes = 0;  // 1..kMaxStagingBytes
};
// Carries one descriptor: a memfd, client-writable, of at least so many bytes.
struct MakeStagingReply {
  ReplyStatus status;
  uint64_t staging = 0;  // its number, in the connection; never 0
};
static_assert(sizeof(MakeStagingReply) == 264);

// Of a status. An empty payload asks for JSON.
enum class StatusFormat : uint8_t { kJson = 0, kPrometheus = 1 };
inline constexpr size_t kStatusFormats = 2;
struct StatusRequest {
  uint8_t format = 0;  // StatusFormat
  std::array<uint8_t, 7> reserved{};
};
static_assert(sizeof(StatusRequest) == 8);

struct MapSegmentRequest {
  uint32_t segment = 0;
  uint32_t reserved = 0;
};
// ReplyStatus, SegmentInfo, one descriptor.
struct MapSegmentReply {
  ReplyStatus status;
  SegmentInfo info;
};
static_assert(sizeof(MapSegmentReply) == 272);

// One step of the daemon: a larger request evicts so many, and is sent again for the rest.
inline constexpr uint64_t kMaxEvictedPerFrame = 512;

// kNext: answered by EvictReply. The others name content, go on in the daemon's steps, and are
// answered like kStatus: kShow tells how far the last one is.
enum class EvictAction : uint8_t { kNext = 0, kPlan = 1, kGo = 2, kShow = 3 };
struct EvictRequest {
  uint64_t count = 0;        // kNext: leaves, in the policy's order; 0 = as many as one frame may
  uint64_t unused_us = 0;    // of kPlan and kGo, as the rest: not used for so long
  uint8_t action = 0;        // EvictAction
  uint8_t tier = 0;          // TierId
  uint8_t of_tenant = 0;     // 1 = `tenant` counts, of that domain
  uint8_t of_namespace = 0;  // 1 = `namespace_name` counts
  std::array<uint8_t, 4> reserved{};
  WireName domain{};  // empty: all
  WireName tenant{};
  WireName namespace_name{};
};
static_assert(sizeof(EvictRequest) == 24 + 3 * sizeof(WireName));

struct EvictReply {
  ReplyStatus status;
  uint64_t evicted = 0;
};

enum class VerifyScope : uint8_t {
  kMemory = 0,           // starts a pass over the pages in memory: bytes against checksums
  kIndexAndHeaders = 1,  // the index against the headers of the extents on the SSD
  kMemoryStatus = 2,     // how far that pass has come, and what was found
};
struct VerifyRequest {
  uint8_t scope = 0;  // VerifyScope
  std::array<uint8_t, 7> reserved{};
};
static_assert(sizeof(VerifyRequest) == 8);

enum class ScrubAction : uint8_t { kStatus = 0, kStart = 1, kStop = 2 };
struct ScrubRequest {
  uint8_t action = 0;  // ScrubAction
  std::array<uint8_t, 7> reserved{};
  uint64_t bytes_per_second = 0;  // 0 = as configured
};
static_assert(sizeof(ScrubRequest) == 16);

// What the SSD tier keeps and does not serve.
enum class KeptAction : uint8_t { kShow = 0, kDrop = 1 };
struct KeptRequest {
  uint8_t action = 0;  // KeptAction
  std::array<uint8_t, 7> reserved{};
  WireName reason{};  // of kDrop: for which it is kept; empty: any
};
static_assert(sizeof(KeptRequest) == 8 + sizeof(WireName));

// Which eviction policy orders what, and a switch to another one while the daemon runs.
// Checkpoints that engines are asked for likewise, but of no tier; kShow shows both.
enum class PolicyAction : uint8_t {
  kShow = 0,
  kSet = 1,
  kAdvise = 2,
  kSetCheckpoints = 3,
  kAdviseCheckpoints = 4,
};
enum class AdviceWindow : uint8_t { kQuarter = 0, kHour = 1, kDay = 2 };
struct PolicyRequest {
  uint8_t action = 0;     // PolicyAction
  uint8_t tier = 0;       // TierId, of kSet and kAdvise
  uint8_t window = 0;     // AdviceWindow, of kAdvise and kAdviseCheckpoints
  uint8_t of_tenant = 0;  // of both kSet: 1 = `tenant` counts, of that domain
  std::array<uint8_t, 4> reserved{};
  WireName domain{};  // of both kSet; empty: all, and those to come
  WireName policy{};  // likewise; of checkpoints the word (model/checkpoint_policy.h)
  WireName tenant{};
};
static_assert(sizeof(PolicyRequest) == 8 + 3 * sizeof(WireName));

// What users and tenants are guaranteed of a tier, the most that they may hold, and their part of
// what its device delivers.
enum class QuotaAction : uint8_t { kShow = 0, kSet = 1, kClear = 2 };
struct QuotaRequest {
  uint8_t action = 0;     // QuotaAction
  uint8_t tier = 0;       // TierId, but of kShow
  uint8_t of_tenant = 0;  // 1 = `tenant` counts
  std::array<uint8_t, 5> reserved{};
  uint64_t guaranteed_bytes = 0;      // of kSet, as the next two
  uint64_t burst_bytes = UINT64_MAX;  // UINT64_MAX: no bound
  uint64_t weight = 1;                // of reads from the tier
  WireName domain{};
  WireName tenant{};
};
static_assert(sizeof(QuotaRequest) == 32 + 2 * sizeof(WireName));

// What is in RAM only is written to the tiers below it; goes on in the daemon's steps.
enum class FlushAction : uint8_t { kShow = 0, kStart = 1 };
struct FlushRequest {
  uint8_t action = 0;  // FlushAction
  std::array<uint8_t, 7> reserved{};
};
static_assert(sizeof(FlushRequest) == 8);

// The daemon's flags. The new value stands behind the request, value_bytes of it.
enum class ConfigAction : uint8_t { kShow = 0, kSet = 1 };
inline constexpr uint32_t kMaxConfigValueBytes = 4096;
struct ConfigRequest {
  uint8_t action = 0;  // ConfigAction
  std::array<uint8_t, 3> reserved{};
  uint32_t value_bytes = 0;  // of kSet, as the key
  WireName key{};
};
static_assert(sizeof(ConfigRequest) == 8 + sizeof(WireName));

// Namespaces that stay in RAM up to a budget, for a while.
enum class PinAction : uint8_t { kShow = 0, kSet = 1, kClear = 2, kClearAll = 3 };
struct PinRequest {
  uint8_t action = 0;     // PinAction
  uint8_t of_tenant = 0;  // of kSet and kClear: 1 = `tenant` counts
  std::array<uint8_t, 6> reserved{};
  uint64_t budget_bytes = 0;  // of kSet, as the next one
  uint64_t for_seconds = 0;   // 0: until it is cleared
  WireName domain{};          // of kSet and kClear, as the rest
  WireName tenant{};
  WireName namespace_name{};
};
static_assert(sizeof(PinRequest) == 24 + 3 * sizeof(WireName));

// The ledger's blocks, or sums of its receipts: they go through the pipe that the reply carries
// (model/receipts/ledger_stream.h).
struct MeterRequest {
  uint8_t what = 0;    // 0: blocks; 1: sums by minute; 2: by hour
  uint8_t follow = 0;  // 1: of blocks, goes on with those to come
  std::array<uint8_t, 6> reserved{};
  // Of blocks: the first one may hold entries before what follows this, which the reader leaves
  // out. 0: from the ledger's begin.
  uint64_t after_epoch = 0;
  uint64_t after_sequence = 0;
  int64_t from_us =
      0;  // wall clock; the first block is of this hour or earlier. Sums: from here on
};
static_assert(sizeof(MeterRequest) == 32);

// Records what is asked for from now on, hashes only. ReplyStatus and one descriptor.
struct TraceRequest {
  uint64_t for_ms = 0;    // 0: until the connection ends, or nobody reads any more
  uint8_t of_tenant = 0;  // 1 = `tenant` counts
  std::array<uint8_t, 7> reserved{};
  WireName domain{};  // empty: all
  WireName tenant{};
};
static_assert(sizeof(TraceRequest) == 16 + 2 * sizeof(WireName));

// Which turn is to be explained: the newest that fits, among those that the asker may see.
// kPrompt asks of no turn but of a prompt that is given, and of now.
enum class WhyAction : uint8_t { kLast = 0, kRequest = 1, kSession = 2, kPrompt = 3 };
struct WhyRequest {
  uint8_t action = 0;     // WhyAction
  uint8_t of_tenant = 0;  // 1 = `tenant` counts
  std::array<uint8_t, 2> reserved{};
  uint32_t turn = 0;    // of kSession; 0: its last one
  uint64_t number = 0;  // of kRequest the engine's request id, of kSession the session
  WireName domain{};    // empty: all that the asker may see
  WireName tenant{};
};
static_assert(sizeof(WhyRequest) == 16 + 2 * sizeof(WireName));
// Of kPrompt, behind its WhyRequest, which names the user and the tenant (empty in a shared
// namespace); `unit_count` chain hashes follow. The daemon makes the root's hash itself.
struct WhyPromptRequest {
  Hash256 layout_digest;
  uint64_t epoch = 0;
  uint64_t content = 0;  // as MatchArgs::content
  uint32_t prompt_tokens = 0;
  uint32_t unit_count = 0;
  uint32_t unit_tokens = 0;
  uint32_t block_units = 0;
  WireName namespace_name{};
  WireName salt{};
};
static_assert(sizeof(WhyPromptRequest) == 64 + 2 * sizeof(WireName));

// What is stored and removed from now on, or from after some event. ReplyStatus and one descriptor;
// the subscription ends with the connection, or when nobody reads any more.
struct EventsRequest {
  uint64_t epoch = 0;           // of `after_sequence`, the daemon's then
  uint64_t after_sequence = 0;  // of an earlier subscription to the same, the last one that was had
  uint8_t resume = 0;           // 1: goes on behind that; a gap says what is not known any more
  uint8_t snapshot = 0;         // EventSnapshot
  uint8_t everything = 0;       // the action. 1: of every domain; readers. 0: of the client's own
  std::array<uint8_t, 5> reserved{};
};
static_assert(sizeof(EventsRequest) == 24);

// How much of a chain is here. Followed by unit_count chain hashes, from the first unit on.
struct LocateRequest {
  Hash256 root;  // model::root_hash()
  uint32_t unit_count = 0;
  // The cluster is asked what it has beyond what is known here, and waited for so long; 0: it is
  // not asked. At most kMaxLocateWaitMs.
  uint32_t cluster_wait_ms = 0;
};
static_assert(sizeof(LocateRequest) == 40);
inline constexpr uint32_t kMaxLocateWaitMs = 10'000;
inline constexpr size_t kMaxLocateUnits =
    (kMaxFrameBytes - sizeof(FrameHeader) - sizeof(LocateRequest)) / sizeof(Hash256);

// What came of asking the cluster. kTooLate: within the time it gave no answer, and what is told is
// known here. kUnavailable: there is none, it is off, or it failed: there may be more than is told.
enum class ClusterAnswer : uint32_t {
  kNotAsked = 0,
  kAnswered = 1,
  kTooLate = 2,
  kUnavailable = 3
};
inline constexpr uint32_t kClusterAnswers = 4;
constexpr std::string_view cluster_answer_name(ClusterAnswer answer) {
  constexpr std::array<std::string_view, kClusterAnswers> kNames{"not-asked", "answered",
                                                                 "too-late", "unavailable"};
  const auto index = static_cast<uint32_t>(answer);
  return index < kClusterAnswers ? kNames[index] : "unknown";
}

// As LocateResult of a ring (model/ring_frames.h).
struct LocateReply {
  ReplyStatus status;
  uint32_t root_known = 0;  // 0: nothing was ever stored, or asked for, under that root
  uint32_t span_tokens = 0;
  uint32_t exact_tokens = 0;
  uint32_t load_estimate_us = 0;
  std::array<uint32_t, 4> tier_tokens{};  // by TierId, of span_tokens
  ClusterAnswer cluster = ClusterAnswer::kNotAsked;
  uint32_t reserved = 0;
};
static_assert(sizeof(LocateReply) == 296);

struct SegmentRetiredEvent {
  uint32_t segment = 0;
  uint32_t reserved = 0;
};

struct SessionEndedEvent {
  uint64_t session = 0;
  ReplyStatus status;  // why
};

// Copies a T out of the front of `bytes`; kMalformedFrame when too short.
template <typename T>
Result<T> read_struct(std::string_view bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) {
    return make_error(Errc::kMalformedFrame, "payload shorter than its type");
  }
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <typename T>
std::string_view struct_bytes(const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

ReplyStatus make_status(Errc code, std::string_view text);
// kOk -> void; otherwise the error with its text.
Result<void> check_status(const ReplyStatus& status);

}  // namespace quire::model
