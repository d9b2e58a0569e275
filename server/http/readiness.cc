#include "server/http/readiness.h"

#include "server/status/status_json.h"

namespace quire::server {

namespace {

// Tiers are rows of a list, and the ledger a section; what stands deeper in them is their detail.
class ReadinessSink final : public model::MetricSink {
 public:
  std::vector<Readiness::Reason> take() { return std::move(reasons_); }

  void metric(const model::Metric&) override {}
  void text(const char* key, std::string_view value) override {
    if (!at_part()) return;
    const std::string_view name(key);
    if (name == "reason") part_.reason = value;
    if (name == "action") part_.action = value;
  }
  void state(const char* key, const model::MetricState& value, const char*) override {
    if (at_part() && std::string_view(key) == "state") part_.state = value.word;
  }
  void summary(const model::MetricSummary&, std::span<const int64_t>) override {}
  void histogram(const model::MetricSummary&, const model::TimeHistogram&) override {}

 protected:
  void enter_section(const char* key) override {
    if (++depth_ == 1 && std::string_view(key) == "ledger") begin(key);
  }
  void enter_list(const model::MetricList& list) override {
    if (++depth_ == 1) in_tiers_ = std::string_view(list.key) == "tiers";
  }
  void enter_row(std::span<const model::MetricLabel> labels) override {
    if (++depth_ == 2 && in_tiers_ && !labels.empty()) begin(labels.front().text);
  }
  void leave() override {
    if (at_part()) {
      // A ledger that nobody asked for is off, and nothing is wrong with that.
      const bool unasked = part_.what == "ledger" && part_.state == "off";
      if (part_.state != "ok" && !unasked) reasons_.push_back(part_);
      part_depth_ = 0;
    }
    if (--depth_ == 0) in_tiers_ = false;
  }

 private:
  void begin(std::string_view what) {
    part_ = {};
    part_.what = what;
    part_depth_ = depth_;
  }
  bool at_part() const { return part_depth_ != 0 && depth_ == part_depth_; }

  std::vector<Readiness::Reason> reasons_;
  Readiness::Reason part_;  // entered
  size_t depth_ = 0;
  size_t part_depth_ = 0;  // 0: none is entered
  bool in_tiers_ = false;
};

}  // namespace

Readiness Readiness::of(const MetricTape& status) {
  ReadinessSink sink;
  status.replay(sink);
  return {sink.take()};
}

Readiness Readiness::without_core(const std::string& reason) {
  return {{{.what = "core",
            .state = "silent",
            .reason = reason,
            .action = "look at the daemon's log; restart it when it stays so"}}};
}

std::string Readiness::json() const {
  MetricTape tape;
  tape.flag("ready", ready(), "Whether every tier does what it should, and receipts are kept");
  {
    const auto list = tape.list({.key = "reasons", .prefix = "reason"});
    for (const Reason& one : reasons) {
      const auto row = tape.row({.name = "what", .text = one.what});
      tape.text("state", one.state);
      tape.text("reason", one.reason);
      tape.text("action", one.action);
    }
  }
  return json_of(tape);
}

}  // namespace quire::server
