#include "model/reference/rope.h"

#include <cmath>

namespace quire::reference {

Rope::Rope(uint32_t dims, float theta) : inverse_frequency_(dims / 2) {
  for (uint32_t i = 0; i < dims / 2; ++i) {
    inverse_frequency_[i] = std::pow(static_cast<double>(theta), -2.0 * i / dims);
  }
}

void Rope::angles(uint32_t position, float* angles) const {
  for (size_t i = 0; i < inverse_frequency_.size(); ++i) {
    const double angle = position * inverse_frequency_[i];
    angles[2 * i] = static_cast<float>(std::cos(angle));
    angles[2 * i + 1] = static_cast<float>(std::sin(angle));
  }
}

void Rope::rotate(const float* angles, uint32_t dims, float* values) {
  for (uint32_t i = 0; i < dims; i += 2) {
    const float x = values[i];
    const float y = values[i + 1];
    values[i] = x * angles[i] - y * angles[i + 1];
    values[i + 1] = x * angles[i + 1] + y * angles[i];
  }
}

void Rope::rotate_back(const float* angles, uint32_t dims, float* values) {
  for (uint32_t i = 0; i < dims; i += 2) {
    const float x = values[i];
    const float y = values[i + 1];
    values[i] = x * angles[i] + y * angles[i + 1];
    values[i + 1] = y * angles[i] - x * angles[i + 1];
  }
}

}  // namespace quire::reference
