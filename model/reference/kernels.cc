#include "model/reference/kernels.h"

#include "model/reference/kernels_tables.h"

namespace quire::reference {

const Kernels& portable_kernels() { return kPortableKernels; }

const Kernels& best_kernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return kAvx512Kernels;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

}  // namespace quire::reference
