#include "model/boundary.h"

namespace quire::model {

namespace {

uint32_t floor_to(uint32_t tokens, uint32_t step) { return tokens / step * step; }

}  // namespace

uint32_t unit_floor(const Layout& layout, uint32_t tokens) {
  return floor_to(tokens, layout.unit_tokens);
}

uint32_t block_floor(const Layout& layout, uint32_t tokens) {
  return floor_to(tokens, layout.block_tokens);
}

uint32_t last_resume_point(const Layout& layout, uint32_t prompt_tokens) {
  // A token at least is left: what an engine computes it for is the next token's distribution.
  if (prompt_tokens == 0) return 0;
  return needs_checkpoint(layout) ? unit_floor(layout, prompt_tokens - 1)
                                  : block_floor(layout, prompt_tokens - 1);
}

uint32_t block_floor_units(uint32_t units, uint32_t units_per_block) {
  return floor_to(units, units_per_block);
}

bool is_object_end(FillKind kind, uint32_t end_units, uint32_t units_per_block) {
  if (end_units == 0) return false;
  return kind == FillKind::kCheckpoint || end_units % units_per_block == 0;
}

uint32_t parent_units(FillKind kind, uint32_t end_units, uint32_t units_per_block) {
  return kind == FillKind::kSpan ? end_units - units_per_block
                                 : block_floor_units(end_units, units_per_block);
}

bool has_tail(const Layout& layout, uint32_t tokens) { return tokens % layout.block_tokens != 0; }

uint32_t tail_point(const Layout& layout, uint32_t prompt_tokens, uint32_t tail_tokens) {
  return prompt_tokens > tail_tokens ? unit_floor(layout, prompt_tokens - tail_tokens) : 0;
}

uint32_t tail_units(uint32_t end_units, uint32_t unit_tokens, uint32_t tail_tokens) {
  // The turn end is the unit floor of P - 1, so P ends with the next unit at the latest.
  const uint64_t longest = (uint64_t{end_units} + 1) * unit_tokens;
  return longest > tail_tokens ? static_cast<uint32_t>((longest - tail_tokens) / unit_tokens) : 0;
}

}  // namespace quire::model
