#pragma once

namespace quire::bench {

// The SSD tier end to end, on the file system of the current directory: every figure beside what
// the bare device gives in the same run. quick: small sizes, about a minute. Exit status.
int run_ssd_bench(bool json, bool quick);

}  // namespace quire::bench
