// Attaching a RAM-resident 1M-token V4-Flash session among 10^7 other spans, and what surrounds it:
// pages a second, bytes held a span, a client's first byte, the chain hash.
#pragma once

namespace quire::bench {
int run_attach_bench(bool json);
}
