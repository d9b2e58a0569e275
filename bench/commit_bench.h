// Commit through one copy worker, by object size, beside a bare fused checksum-and-copy and glibc's
// memcpy over the same kind of buffers.
#pragma once

namespace quire::bench {
int run_commit_bench(bool json);
}
