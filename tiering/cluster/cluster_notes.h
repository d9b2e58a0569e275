// Notes of hosts to each other (tiering/shared_notes.h), each an object of the pool, "h/" and its
// name. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tiering/cluster/cluster_ops.h"
#include "tiering/shared_notes.h"

namespace quire::tiering {

class ClusterNotes final : public SharedNotes {
 public:
  explicit ClusterNotes(ClusterOps* ops) : ops_(ops) {}

  std::array<uint8_t, 16> store() const override { return store_; }
  // What a probe that connected said of the cluster and its pool.
  void set_store(const std::string& cluster, const std::string& pool);
  void write(uint32_t job, const std::string& name, const std::string& value) override;
  void read(uint32_t job, const std::string& name) override;
  void remove(const std::string& name) override;
  std::vector<NoteAnswer>& answers() override { return answers_; }

  void step();
  bool idle() const { return under_way_.empty(); }

 private:
  struct NoteOp : RadosOp {
    uint32_t job = 0;
    std::string value;
  };
  NoteOp& add(RadosKind kind, uint32_t job, const std::string& name);

  ClusterOps* ops_;
  ClusterClient client_;
  std::array<uint8_t, 16> store_{};
  std::vector<std::unique_ptr<NoteOp>> under_way_;
  std::vector<NoteAnswer> answers_;
};

}  // namespace quire::tiering
