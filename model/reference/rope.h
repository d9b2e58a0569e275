// Rotary position embedding on the last channels of a vector, interleaved pairs (2i, 2i + 1).
// Since K = V, an attention output carries its rows' rotations; rotating it back by the query's
// position leaves relative angles only (arXiv 2606.19348, section 2).
#pragma once

#include <cstdint>
#include <vector>

namespace quire::reference {

class Rope {
 public:
  Rope(uint32_t dims, float theta);

  uint32_t dims() const { return static_cast<uint32_t>(2 * inverse_frequency_.size()); }
  // angles[dims]: cosine and sine of each pair at `position`.
  void angles(uint32_t position, float* angles) const;
  // Rotates dims() floats at `values`, which is the start of the rope part.
  static void rotate(const float* angles, uint32_t dims, float* values);
  static void rotate_back(const float* angles, uint32_t dims, float* values);

 private:
  std::vector<double> inverse_frequency_;
};

}  // namespace quire::reference
