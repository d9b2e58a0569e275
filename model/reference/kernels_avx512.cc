#include "model/reference/kernels_attention.h"
#include "model/reference/kernels_dense.h"
#include "model/reference/kernels_tables.h"

namespace quire::reference {

const Kernels kAvx512Kernels = {
    .name = "avx512",
    .select_above = select_above,
    .count_at_least = count_at_least,
    .gemm = gemm,
    .attend = attend,
    .index_scores = index_scores,
    .pool = pool,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .add_scaled = add_scaled,
};

}  // namespace quire::reference
