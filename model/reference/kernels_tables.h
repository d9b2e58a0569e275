// The tables behind best_kernels(), each defined in a file compiled for its instruction set. For
// kernels.cc, kernels_*.cc and the test that compares them; the AVX tables exist on x86-64 alone.
#pragma once

#include "model/reference/kernels.h"

namespace quire::reference {

extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

}  // namespace quire::reference
