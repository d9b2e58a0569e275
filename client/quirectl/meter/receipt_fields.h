// The fields of entries as every export calls them: one list, which JSON Lines, CSV and CloudEvents
// print, and docs/metering.md explains. Names are stable: one is never given another meaning.
//
// Numbers are in base units (tokens, bytes, microseconds). What identifies something, and what may
// be wider than 53 bits, is a text, so that no reader of JSON rounds it.
#pragma once

#include <cstdint>
#include <string_view>

#include "client/quirectl/meter/ledger_walk.h"

namespace quire::client {

// Takes the fields of one entry, in their order.
class FieldSink {
 public:
  virtual ~FieldSink() = default;
  virtual void text(std::string_view name, std::string_view value) = 0;
  virtual void number(std::string_view name, uint64_t value) = 0;
  virtual void flag(std::string_view name, bool value) = 0;
  virtual void none(std::string_view name) = 0;  // the entry has none
};

void receipt_fields(const ReceiptView& receipt, FieldSink& sink);
void storage_fields(const StorageView& storage, FieldSink& sink);
void lost_fields(const LostView& lost, FieldSink& sink);
void unknown_fields(const UnknownView& unknown, FieldSink& sink);

// "ram"; "any": on whichever, each object once.
std::string_view storage_tier(const model::StorageRecord& record);

}  // namespace quire::client
