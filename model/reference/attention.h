// The middle of a layer: attention over the window and the compressed rows, always from stored,
// quantised rows, read in place from the append pages.
//
// Token t sees window rows of [t - window + 1, t]; CSA rows 0 .. (t + 1) / csa_ratio - 1, of which
// the indexer chooses index_top_k; HCA rows 0 .. (t + 1) / hca_ratio - 1. A row is visible to the
// token that completes it. Order of summation: window oldest first, then compressed rows ascending.
#pragma once

#include "model/reference/step.h"

namespace quire::reference {

// Adds the layer's attention output to the run's hidden rows. After the step's rows are compressed;
// threads: different runs at once.
void attend_run(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch);

}  // namespace quire::reference
