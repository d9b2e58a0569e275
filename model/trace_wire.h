// What a recording of requests tells (FrameType::kTrace): records behind each other in the pipe
// that came with the verb's reply, from its start to kEnd. A record is a TraceRecord, and keys
// behind it.
//
//   kRequest --kWritten, kWritten ...--> kTurnEnd      of one (session, turn), others in between
//   kLost: of so many records, at this place, nothing is known
//
// A key stands for a block of tokens and all before it, a session, a tenant or a conversation. Keys
// mean something within one recording only: they are made with a secret of its own, so two
// recordings cannot be joined by them. No token, hash or name is told.
#pragma once

#include <cstdint>
#include <type_traits>

namespace quire::model {

enum class TraceRecordKind : uint32_t {
  kRequest = 1,  // a turn was opened by a match; keys: of its prompt's whole blocks, from the first
  kWritten = 2,  // a block of the turn's context became visible; its one key
  kTurnEnd = 3,
  kLost = 4,  // records found no room on their way
  kEnd = 5,   // the last one: the recording was ended, here, or its time is over
};

// Little-endian. What does not belong to a kind is 0.
struct TraceRecord {
  uint32_t kind = 0;          // TraceRecordKind
  uint32_t key_count = 0;     // so many 8-byte keys follow
  int64_t time_us = 0;        // since the recording began
  uint64_t session = 0;       // a key
  uint32_t turn = 0;          // in its session
  uint32_t block_tokens = 0;  // kRequest
  uint32_t tokens = 0;        // kRequest: of the prompt; kTurnEnd: of the answer, as far as told
  uint32_t hit_tokens = 0;    // kRequest: announced as an exact hit
  uint64_t tenant = 0;        // kRequest: a key; whose hits, of which user
  uint64_t conversation = 0;  // kRequest: a key; of a session that names none, the session's
  // kRequest: whole blocks of the prompt behind the last key. kWritten: the block, from 0 on.
  uint32_t blocks = 0;
  uint32_t reserved = 0;
  uint64_t count = 0;  // kLost: records. kEnd: all records that were lost
};
static_assert(sizeof(TraceRecord) == 72 && std::is_trivially_copyable_v<TraceRecord>);
static_assert(sizeof(TraceRecord) % sizeof(uint64_t) == 0);

// Of one prompt; what is behind them is not told.
inline constexpr uint32_t kMaxTraceKeys = 8192;

}  // namespace quire::model
