// Attaching a RAM-resident 1M-token session while others store at full rate: each of their spans
// evicts one, and each is written to the SSD. And what evicting a span costs among few and many.
#pragma once

namespace quire::bench {
int run_attach_busy_bench(bool json);
}
