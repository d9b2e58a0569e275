// Keeps the records of turns that ended. Threads: the core writes, a test reads on it
// (TestDaemon::on_core) or once the daemon stopped.
#pragma once

#include <string>
#include <vector>

#include "server/rings/turn.h"

namespace quire::tests {

struct KeptTurn {
  server::TurnRecord record;  // without its lent texts
  std::string tenant;
  std::string namespace_name;
};

class RecordingSink final : public server::TurnSink {
 public:
  void on_turn(const server::TurnRecord& record) override {
    KeptTurn kept{record, std::string(record.tenant), std::string(record.namespace_name)};
    kept.record.tenant = {};
    kept.record.namespace_name = {};
    turns.push_back(std::move(kept));
  }

  std::vector<KeptTurn> turns;
};

}  // namespace quire::tests
