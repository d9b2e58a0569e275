#include "tiering/cluster/cluster_notes.h"

#include <algorithm>
#include <cerrno>

#include "model/chain_hash.h"

namespace quire::tiering {

using model::Errc;

void ClusterNotes::set_store(const std::string& cluster, const std::string& pool) {
  const model::Hash256 hash = model::root_hash({.domain = cluster,
                                                .tenant = pool,
                                                .namespace_name = {},
                                                .weights_epoch = 0,
                                                .layout_digest = {},
                                                .salt = "store"});
  std::copy_n(hash.bytes.begin(), store_.size(), store_.begin());
}

ClusterNotes::NoteOp& ClusterNotes::add(RadosKind kind, uint32_t job, const std::string& name) {
  NoteOp& op = *under_way_.emplace_back(std::make_unique<NoteOp>());
  op.kind = kind;
  op.client = &client_;
  op.job = job;
  op.object = "h/" + name;
  return op;
}

void ClusterNotes::write(uint32_t job, const std::string& name, const std::string& value) {
  NoteOp& op = add(RadosKind::kWriteWhole, job, name);
  op.value = value;
  op.data = reinterpret_cast<std::byte*>(op.value.data());
  op.bytes = op.value.size();
  ops_->submit(&op);
}

void ClusterNotes::read(uint32_t job, const std::string& name) {
  NoteOp& op = add(RadosKind::kRead, job, name);
  op.value.resize(kMaxNoteBytes);
  op.data = reinterpret_cast<std::byte*>(op.value.data());
  op.bytes = op.value.size();
  ops_->submit(&op);
}

void ClusterNotes::remove(const std::string& name) {
  ops_->submit(&add(RadosKind::kRemove, 0, name));
}

void ClusterNotes::step() {
  for (RadosOp* done : client_.take()) {
    auto& op = static_cast<NoteOp&>(*done);
    if (op.kind != RadosKind::kRemove) {
      NoteAnswer answer{.job = op.job, .code = Errc::kOk, .value = {}};
      if (op.error != 0) answer.code = op.error == ENOENT ? Errc::kNotFound : Errc::kIoError;
      if (op.error == 0 && op.kind == RadosKind::kRead) answer.value = op.value.substr(0, op.got);
      answers_.push_back(std::move(answer));
    }
    std::erase_if(under_way_, [&](const auto& one) { return one.get() == done; });
  }
}

}  // namespace quire::tiering
