#include "client/reply_pipe.h"

#include <utility>

namespace quire::client {

model::Result<model::FdGuard> take_pipe(Frame& reply) {
  if (reply.descriptors_lost) {
    return model::make_error(model::Errc::kResourceExhausted,
                             "no descriptor is left for the daemon's answer; raise the limit of "
                             "open files (ulimit -n)");
  }
  if (reply.descriptors.size() != 1) {
    return model::make_error(model::Errc::kMalformedFrame,
                             "the daemon's answer does not carry the one descriptor it should");
  }
  return std::move(reply.descriptors.front());
}

}  // namespace quire::client
