// How requests of verbs are read by those who do not carry them out: which action of its verb a
// request asks for, and what it names. Whether a peer may ask is decided by the first
// (model/socket_verbs.h); the audit log and the docs' reference need both.
//
// A codec says where things lie in the request's struct (model/wire.h), so there is one place for
// each. Threads: any; all of it is constant.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "model/wire.h"

namespace quire::model {

// Who may. Administrators may what everybody may; readers and meters stand beside each other, and
// each may what clients may.
enum class VerbRole : uint8_t {
  kAnyone,         // connected; said no hello yet
  kClient,         // said hello: reaches what is of its own domain, and nothing else
  kReader,         // --reader_uids: sees what is everybody's, and changes nothing
  kMeter,          // --meter_uids: reads receipts
  kAdministrator,  // root, or the daemon's own uid
};
inline constexpr size_t kVerbRoles = 5;
std::string_view role_name(VerbRole role);

// A value of a verb's action byte.
struct VerbAction {
  uint8_t value = 0;
  std::string_view name;  // empty: the verb has this one alone
  VerbRole role = VerbRole::kAdministrator;
  bool audited = false;  // it changes something, or makes the daemon work: a line of the audit log
};

enum class ArgumentKind : uint8_t {
  kNumber,  // uint64_t; UINT64_MAX is "none"
  kTier,    // uint8_t: TierId
  kName,    // WireName; an empty one is "*"
};

// What a request names, and where.
struct VerbArgument {
  static constexpr size_t kAlways = std::numeric_limits<size_t>::max();
  static constexpr uint32_t kEveryAction = std::numeric_limits<uint32_t>::max();

  std::string_view name;
  ArgumentKind kind{};
  size_t offset = 0;
  uint32_t actions = kEveryAction;  // bit by value: of which actions
  size_t counts_if = kAlways;       // offset of the byte that is 1 where it counts
};

struct VerbCodec {
  static constexpr size_t kNoByte = std::numeric_limits<size_t>::max();

  size_t request_bytes = 0;        // 0: none, or of a length of its own
  size_t action_offset = kNoByte;  // kNoByte: the first action is asked for by each request
  std::span<const VerbAction> actions = {};
  std::span<const VerbArgument> arguments = {};
};

// Null: the codec has none, or none of this value, or the payload does not reach so far.
const VerbAction* find_action(const VerbCodec& codec, std::string_view payload);
// " tier=ram domain=uid:1000 tenant=acme": logfmt, of a payload that may be anything.
std::string arguments_text(const VerbCodec& codec, const VerbAction* action,
                           std::string_view payload);
// A value of logfmt: quoted where it would be misread.
std::string logfmt_value(std::string_view text);

namespace codecs {

template <typename... Values>
constexpr uint32_t only(Values... values) {
  return ((1u << static_cast<uint8_t>(values)) | ...);
}

inline constexpr std::array kEvictActions{
    VerbAction{0, "next", VerbRole::kAdministrator, true},
    VerbAction{1, "plan",
               VerbRole::kAdministrator},  // there is one sweep: a reader's would stop it
    VerbAction{2, "go", VerbRole::kAdministrator, true},
    VerbAction{3, "show", VerbRole::kReader},
};
inline constexpr uint32_t kOfSweep = only(EvictAction::kPlan, EvictAction::kGo);
inline constexpr std::array kEvictArguments{
    VerbArgument{"count", ArgumentKind::kNumber, offsetof(EvictRequest, count),
                 only(EvictAction::kNext)},
    VerbArgument{"tier", ArgumentKind::kTier, offsetof(EvictRequest, tier), kOfSweep},
    VerbArgument{"domain", ArgumentKind::kName, offsetof(EvictRequest, domain), kOfSweep},
    VerbArgument{"tenant", ArgumentKind::kName, offsetof(EvictRequest, tenant), kOfSweep,
                 offsetof(EvictRequest, of_tenant)},
    VerbArgument{"namespace", ArgumentKind::kName, offsetof(EvictRequest, namespace_name), kOfSweep,
                 offsetof(EvictRequest, of_namespace)},
    VerbArgument{"unused_us", ArgumentKind::kNumber, offsetof(EvictRequest, unused_us), kOfSweep},
};
inline constexpr VerbCodec kEvict{sizeof(EvictRequest), offsetof(EvictRequest, action),
                                  kEvictActions, kEvictArguments};

inline constexpr std::array kVerifyActions{
    VerbAction{0, "memory", VerbRole::kAdministrator, true},
    VerbAction{1, "headers", VerbRole::kAdministrator, true},
    VerbAction{2, "memory_status", VerbRole::kReader},
};
inline constexpr VerbCodec kVerify{
    sizeof(VerifyRequest), offsetof(VerifyRequest, scope), kVerifyActions, {}};

inline constexpr std::array kScrubActions{
    VerbAction{0, "status", VerbRole::kReader},
    VerbAction{1, "start", VerbRole::kAdministrator, true},
    VerbAction{2, "stop", VerbRole::kAdministrator, true},
};
inline constexpr std::array kScrubArguments{
    VerbArgument{"bytes_per_second", ArgumentKind::kNumber,
                 offsetof(ScrubRequest, bytes_per_second), only(ScrubAction::kStart)},
};
inline constexpr VerbCodec kScrub{sizeof(ScrubRequest), offsetof(ScrubRequest, action),
                                  kScrubActions, kScrubArguments};

inline constexpr std::array kKeptActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "drop", VerbRole::kAdministrator, true},
};
inline constexpr std::array kKeptArguments{
    VerbArgument{"reason", ArgumentKind::kName, offsetof(KeptRequest, reason),
                 only(KeptAction::kDrop)},
};
inline constexpr VerbCodec kKept{sizeof(KeptRequest), offsetof(KeptRequest, action), kKeptActions,
                                 kKeptArguments};

inline constexpr std::array kPolicyActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "set", VerbRole::kAdministrator, true},
    VerbAction{2, "advise", VerbRole::kReader},
    VerbAction{3, "set_checkpoints", VerbRole::kAdministrator, true},
    VerbAction{4, "advise_checkpoints", VerbRole::kReader},
};
inline constexpr uint32_t kOfSet = only(PolicyAction::kSet, PolicyAction::kSetCheckpoints);
inline constexpr std::array kPolicyArguments{
    VerbArgument{"tier", ArgumentKind::kTier, offsetof(PolicyRequest, tier),
                 only(PolicyAction::kSet, PolicyAction::kAdvise)},
    VerbArgument{"domain", ArgumentKind::kName, offsetof(PolicyRequest, domain), kOfSet},
    VerbArgument{"tenant", ArgumentKind::kName, offsetof(PolicyRequest, tenant), kOfSet,
                 offsetof(PolicyRequest, of_tenant)},
    VerbArgument{"policy", ArgumentKind::kName, offsetof(PolicyRequest, policy), kOfSet},
};
inline constexpr VerbCodec kPolicy{sizeof(PolicyRequest), offsetof(PolicyRequest, action),
                                   kPolicyActions, kPolicyArguments};

inline constexpr std::array kQuotaActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "set", VerbRole::kAdministrator, true},
    VerbAction{2, "clear", VerbRole::kAdministrator, true},
};
inline constexpr uint32_t kOfQuotaChange = only(QuotaAction::kSet, QuotaAction::kClear);
inline constexpr std::array kQuotaArguments{
    VerbArgument{"tier", ArgumentKind::kTier, offsetof(QuotaRequest, tier), kOfQuotaChange},
    VerbArgument{"domain", ArgumentKind::kName, offsetof(QuotaRequest, domain), kOfQuotaChange},
    VerbArgument{"tenant", ArgumentKind::kName, offsetof(QuotaRequest, tenant), kOfQuotaChange,
                 offsetof(QuotaRequest, of_tenant)},
    VerbArgument{"guaranteed_bytes", ArgumentKind::kNumber,
                 offsetof(QuotaRequest, guaranteed_bytes), only(QuotaAction::kSet)},
    VerbArgument{"burst_bytes", ArgumentKind::kNumber, offsetof(QuotaRequest, burst_bytes),
                 only(QuotaAction::kSet)},
    VerbArgument{"weight", ArgumentKind::kNumber, offsetof(QuotaRequest, weight),
                 only(QuotaAction::kSet)},
};
inline constexpr VerbCodec kQuota{sizeof(QuotaRequest), offsetof(QuotaRequest, action),
                                  kQuotaActions, kQuotaArguments};

inline constexpr std::array kFlushActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "start", VerbRole::kAdministrator, true},
};
inline constexpr VerbCodec kFlush{
    sizeof(FlushRequest), offsetof(FlushRequest, action), kFlushActions, {}};

inline constexpr std::array kPinActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "set", VerbRole::kAdministrator, true},
    VerbAction{2, "clear", VerbRole::kAdministrator, true},
    VerbAction{3, "clear_all", VerbRole::kAdministrator, true},
};
inline constexpr uint32_t kOfPinned = only(PinAction::kSet, PinAction::kClear);
inline constexpr std::array kPinArguments{
    VerbArgument{"domain", ArgumentKind::kName, offsetof(PinRequest, domain), kOfPinned},
    VerbArgument{"tenant", ArgumentKind::kName, offsetof(PinRequest, tenant), kOfPinned,
                 offsetof(PinRequest, of_tenant)},
    VerbArgument{"namespace", ArgumentKind::kName, offsetof(PinRequest, namespace_name), kOfPinned},
    VerbArgument{"budget_bytes", ArgumentKind::kNumber, offsetof(PinRequest, budget_bytes),
                 only(PinAction::kSet)},
    VerbArgument{"for_seconds", ArgumentKind::kNumber, offsetof(PinRequest, for_seconds),
                 only(PinAction::kSet)},
};
inline constexpr VerbCodec kPin{sizeof(PinRequest), offsetof(PinRequest, action), kPinActions,
                                kPinArguments};

// What is asked for changes nothing, and who has asked once is let go on for as long as it reads.
inline constexpr std::array kMeterActions{
    VerbAction{0, "blocks", VerbRole::kMeter},
    VerbAction{1, "minutes", VerbRole::kMeter},
    VerbAction{2, "hours", VerbRole::kMeter},
};
inline constexpr VerbCodec kMeter{
    sizeof(MeterRequest), offsetof(MeterRequest, what), kMeterActions, {}};

inline constexpr std::array kTraceActions{VerbAction{0, "", VerbRole::kAdministrator, true}};
inline constexpr std::array kTraceArguments{
    VerbArgument{"domain", ArgumentKind::kName, offsetof(TraceRequest, domain)},
    VerbArgument{"tenant", ArgumentKind::kName, offsetof(TraceRequest, tenant),
                 VerbArgument::kEveryAction, offsetof(TraceRequest, of_tenant)},
    VerbArgument{"for_ms", ArgumentKind::kNumber, offsetof(TraceRequest, for_ms)},
};
inline constexpr VerbCodec kTrace{sizeof(TraceRequest), VerbCodec::kNoByte, kTraceActions,
                                  kTraceArguments};

// The value stands behind the struct: the audit log has it as what it was changed to.
inline constexpr std::array kConfigActions{
    VerbAction{0, "show", VerbRole::kReader},
    VerbAction{1, "set", VerbRole::kAdministrator, true},
};
inline constexpr std::array kConfigArguments{
    VerbArgument{"key", ArgumentKind::kName, offsetof(ConfigRequest, key),
                 only(ConfigAction::kSet)},
};
inline constexpr VerbCodec kConfig{sizeof(ConfigRequest), offsetof(ConfigRequest, action),
                                   kConfigActions, kConfigArguments};

inline constexpr std::array kEventsActions{
    VerbAction{0, "own", VerbRole::kClient},
    VerbAction{1, "all", VerbRole::kReader},
};
inline constexpr VerbCodec kEvents{
    sizeof(EventsRequest), offsetof(EventsRequest, everything), kEventsActions, {}};

}  // namespace codecs

}  // namespace quire::model
