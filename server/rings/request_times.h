// How long requests took, by verb: from the begin of the turn in which the core took one to the end
// of the turn in which it was answered, so what it waited for others of these turns is in it.
//
//   took() --answered at once--> counted with its turn: begin_turn()
//      \--kept()--> a record that waits --ended()--> counted by its own times
//
// It reads no clock: the times are those that the core reads at the begin of each turn anyway. A
// turn without work takes less than a microsecond, one with work some tens to hundreds. Threads:
// core only. O(1) a request, and O(verbs) a turn that had some; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/metrics.h"
#include "model/time_histogram.h"

namespace quire::server {

class RequestTimes {
 public:
  explicit RequestTimes(size_t verb_count) : verbs_(verb_count) {}

  // What the last turn answered at once took until now.
  void begin_turn(int64_t now_ns) {
    if (any_) count_turn(now_ns - turn_ns_);
    turn_ns_ = now_ns;
  }
  // When a request that is taken now was taken: what ended() is told.
  int64_t turn_ns() const { return turn_ns_; }

  // Taken, and answered in this turn unless kept() says otherwise.
  void took(size_t verb) {
    ++verbs_[verb].at_once;
    any_ = true;
  }
  // It waits. Once at most, in the turn that took it.
  void kept(size_t verb) { --verbs_[verb].at_once; }
  // One that was kept is answered.
  void ended(size_t verb, int64_t taken_ns) {
    if (taken_ns == turn_ns_) return took(verb);
    verbs_[verb].times.add(turn_ns_ - taken_ns);
  }

  // Without those of the present turn.
  const model::TimeHistogram& of(size_t verb) const { return verbs_[verb].times; }

 private:
  struct Verb {
    model::TimeHistogram times;
    uint64_t at_once = 0;  // of the present turn
  };

  void count_turn(int64_t time_ns) {
    for (Verb& verb : verbs_) {
      if (verb.at_once > 0) verb.times.add(time_ns, verb.at_once);
      verb.at_once = 0;
    }
    any_ = false;
  }

  std::vector<Verb> verbs_;
  int64_t turn_ns_ = 0;
  bool any_ = false;
};

// A row of the list of verbs, "verbs" in the document.
inline void describe_time(std::string_view verb, const model::TimeHistogram& times,
                          model::MetricSink& sink) {
  const auto row = sink.row({.name = "op", .text = verb});
  sink.histogram({.key = "duration", .help = "Time that requests took in the core"}, times);
}

}  // namespace quire::server
