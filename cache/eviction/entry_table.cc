#include "cache/eviction/entry_table.h"

#include <utility>

namespace quire::cache {

model::Result<EntryTable> EntryTable::create(uint64_t max_entries) {
  return EntryTable(QUIRE_TRY(allocator::FlatArray<Facts>::reserve(max_entries)));
}

}  // namespace quire::cache
