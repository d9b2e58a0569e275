#include "tests/attacks/attack.h"

namespace quire::tests {

void AttackGround::ready() {
  if (std::exchange(ready_, true)) return;
  channel_->send("r");
}

std::vector<Attack> all_attacks() {
  std::vector<Attack> all;
  const auto add = [&](const std::vector<Attack>& some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  add(socket_attacks());
  add(fill_attacks());
  add(memory_attacks());
  add(table_attacks());
  return all;
}

}  // namespace quire::tests
