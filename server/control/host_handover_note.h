// What the daemon of a prefill tells that of the decode: a note of the tier that both share, named
// by the root of the prefix tree and a token. Little-endian, with its CRC32C, written anew whenever
// there is more to say and once a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "model/hash256.h"

namespace quire::server {

struct HostHandoverNote {
  uint64_t magic = 0x4544'4e41'4849'5551ull;  // "QUIHANDE"
  uint16_t format = 1;
  uint8_t ended = 0;  // 1: no more will come
  uint8_t zero = 0;
  uint32_t crc32c = 0;  // of the note with this field 0
  uint64_t beat = 0;    // grows with each writing
  // Durable on the tier, and named there; only these grow.
  uint32_t span_units = 0;
  uint32_t checkpoint_units = 0;  // the latest one; 0: none
  model::Hash256 root;
};
static_assert(sizeof(HostHandoverNote) == 64 && std::is_trivially_copyable_v<HostHandoverNote>);

std::string sealed(HostHandoverNote note);
// nullopt: not what was sealed, or of another root.
std::optional<HostHandoverNote> opened_note(const std::string& value, const model::Hash256& root);

}  // namespace quire::server
