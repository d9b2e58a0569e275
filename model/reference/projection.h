// The first half of a layer: from the residual stream to queries, stored rows and compressed rows.
#pragma once

#include "model/reference/step.h"

namespace quire::reference {

// Before layer 0: embeddings and RoPE angles of a run.
void embed_run(const Decoder& decoder, const TokenRun& run, StepBuffers* step);

// Queries, window rows and compressor projections of a run. Threads: different runs at once.
void project_run(const LayerWork& work, const TokenRun& run, WorkerScratch* scratch);

// Rows of a layer that become complete in a step; written to the open page, CSA index keys decoded
// from it. After every run was projected; threads: different items at once.
uint32_t compress_item_count(const LayerWork& work);
void compress_item(const LayerWork& work, uint32_t item, std::byte* open_page);

}  // namespace quire::reference
