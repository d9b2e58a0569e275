#include "model/reference/append_pages.h"

#include <algorithm>

namespace quire::reference {

void AppendPages::seal(const std::byte* at) {
  sealed_.push_back(at);
  std::fill(open_.begin(), open_.end(), std::byte{0});
}

}  // namespace quire::reference
