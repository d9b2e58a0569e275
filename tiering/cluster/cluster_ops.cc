#include "tiering/cluster/cluster_ops.h"

#include <cerrno>

#include "model/check.h"

namespace quire::tiering {
namespace {

std::string described(const RadosOp& op) {
  switch (op.kind) {
    case RadosKind::kRead:
      return "read of " + op.object;
    case RadosKind::kWriteWhole:
      return "write of " + op.object;
    case RadosKind::kRemove:
      return "removal of " + op.object;
    case RadosKind::kReadEntries:
      return "read of entries of " + op.object;
    case RadosKind::kChangeEntries:
      return "change of entries of " + op.object;
    case RadosKind::kUsage:
      return "question how full the pool is";
    case RadosKind::kList:
      return "list of a part of the pool";
    case RadosKind::kProbe:
      break;
  }
  return "probe";
}

}  // namespace

bool is_answer(int error) {
  return error == 0 || error == ENOENT || error == EEXIST || error == ECANCELED;
}

void ClusterOps::submit(RadosOp* op) {
  op->submitted_ns = clock_->now_ns();
  if (alone_ != nullptr || !waiting_.empty() || !pool_->submit(op)) waiting_.push_back(op);
}

void ClusterOps::submit_alone(RadosOp* op) {
  QUIRE_CHECK(under_way() == 0 && pool_->submit(op));
  alone_ = op;
}

// Of a write, of usage and of a list ENOENT says that there is no pool.
void ClusterOps::judge(const RadosOp& op) {
  if (op.kind == RadosKind::kProbe) return;  // the tier reports it
  const bool needs_pool_only = op.kind == RadosKind::kWriteWhole || op.kind == RadosKind::kUsage ||
                               op.kind == RadosKind::kList;
  const int64_t now = clock_->now_ns();
  if (op.error == ENOENT && needs_pool_only) return health_->pool_gone(now);
  if (!is_answer(op.error)) return health_->failed(op.error, described(op), now);
  health_->succeeded();
  model::TimeHistogram* times = op.kind == RadosKind::kRead         ? &read_times_
                                : op.kind == RadosKind::kWriteWhole ? &write_times_
                                                                    : &entry_times_;
  times->add(now - op.submitted_ns);
}

bool ClusterOps::poll() {
  const std::span<RadosOp* const> done = pool_->poll();
  for (RadosOp* op : done) {
    if (op == alone_) alone_ = nullptr;
    judge(*op);
    op->client->done_.push_back(op);
  }
  bool went = false;
  while (alone_ == nullptr && !waiting_.empty() && pool_->submit(waiting_.front())) {
    waiting_.pop_front();
    went = true;
  }
  return went || !done.empty();
}

void ClusterOps::describe(model::MetricSink& sink) const {
  const auto section = sink.section("operations");
  sink.gauge("under_way", under_way(), "Operations that the cluster has not answered");
  sink.histogram({.key = "read",
                  .help = "Reads of data",
                  .name = {model::MetricFamily::kIoDuration, R"(op="read")"}},
                 read_times_);
  sink.histogram({.key = "write",
                  .help = "Writes of data",
                  .name = {model::MetricFamily::kIoDuration, R"(op="write")"}},
                 write_times_);
  sink.histogram({.key = "entries",
                  .help = "Reads and changes of the index, and removals",
                  .name = {model::MetricFamily::kIoDuration, R"(op="entries")"}},
                 entry_times_);
}

}  // namespace quire::tiering
