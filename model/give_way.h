// What a thread of the daemon gives up so that others run first where processors are few.
#pragma once

namespace quire::model {

// Of threads that work for one client at a time, while all clients wait for the core: about a tenth
// of its share where there is not enough for both.
inline constexpr int kBesideTheCore = 10;

// Of the calling thread: it does not preempt others when it wakes (SCHED_BATCH), and has the share
// of this niceness, 0 to 19, unless it has less. A kernel that refuses leaves it as it was, which
// is correct too.
void give_way(int niceness = 0);

}  // namespace quire::model
