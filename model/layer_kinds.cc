// Which layer of a model with K and V heads keeps what: lists, patterns and rules of its file, in
// that order.
#include <algorithm>

#include "model/kv_families.h"

namespace quire::model {

namespace {

using Kinds = std::vector<LayerKind>;

struct KindWord {
  std::string_view word;
  LayerKind kind;
};

// Words of layer_types and of the older layers_block_type.
constexpr KindWord kKindWords[] = {{"full_attention", LayerKind::kFull},
                                   {"attention", LayerKind::kFull},
                                   {"minimax_m3_sparse", LayerKind::kFull},
                                   {"sliding_attention", LayerKind::kSliding},
                                   {"chunked_attention", LayerKind::kChunked},
                                   {"linear_attention", LayerKind::kLinear},
                                   {"mamba", LayerKind::kLinear},
                                   {"hybrid", LayerKind::kHybrid},
                                   {"moe", LayerKind::kNothing},
                                   {"mlp", LayerKind::kNothing}};

constexpr KindWord kLetterWords[] = {{"*", LayerKind::kFull},
                                     {"M", LayerKind::kLinear},
                                     {"E", LayerKind::kNothing},
                                     {"-", LayerKind::kNothing}};

Error bad_layer(std::string_view field, std::string_view word, size_t layer,
                std::string_view known) {
  return bad_argument("config.json: field '" + std::string(field) + "' has '" + std::string(word) +
                      "' for layer " + std::to_string(layer) + "; known are " + std::string(known));
}

Error bad_count(std::string_view field, size_t count, size_t layer_count) {
  return bad_argument("config.json: field '" + std::string(field) + "' has " +
                      std::to_string(count) + " entries; needed is one for each of " +
                      std::to_string(layer_count) + " layers");
}

// Of the list's entries from `first` on, `count` many.
Result<Kinds> listed_kinds(const ModelConfig& config, size_t first, size_t count) {
  Kinds kinds;
  for (size_t layer = first; layer < first + count; ++layer) {
    const std::string& word = config.layer_types[layer];
    const auto* found = std::find_if(std::begin(kKindWords), std::end(kKindWords),
                                     [&](const KindWord& known) { return known.word == word; });
    if (found == std::end(kKindWords)) {
      return bad_layer("layer_types", word, layer,
                       "full_attention, sliding_attention, chunked_attention, linear_attention, "
                       "mamba, hybrid, moe, mlp");
    }
    kinds.push_back(found->kind);
  }
  return kinds;
}

Result<Kinds> letter_kinds(std::string_view field, std::string_view letters) {
  Kinds kinds;
  for (size_t layer = 0; layer < letters.size(); ++layer) {
    const std::string_view letter = letters.substr(layer, 1);
    const auto* found = std::find_if(std::begin(kLetterWords), std::end(kLetterWords),
                                     [&](const KindWord& known) { return known.word == letter; });
    if (found == std::end(kLetterWords)) return bad_layer(field, letter, layer, "M, *, E, -");
    kinds.push_back(found->kind);
  }
  return kinds;
}

// Every period-th layer is full, the others are of kind `other`.
Result<Kinds> periodic_kinds(const ModelConfig& config, uint32_t period, LayerKind other) {
  if (period == 0) {
    return bad_argument("config.json: model_type '" + config.model_type +
                        "' needs the field 'layer_types'");
  }
  Kinds kinds(config.num_hidden_layers, LayerKind::kFull);
  for (uint32_t layer = 0; layer < kinds.size(); ++layer) {
    if ((layer + 1) % period != 0) kinds[layer] = other;
  }
  return kinds;
}

Kinds tail_kinds(const ModelConfig& config) {
  Kinds kinds(config.num_hidden_layers, LayerKind::kFull);
  const uint32_t first = config.max_window_layers.value_or(28);  // as the Qwen classes say
  for (size_t layer = first; layer < kinds.size(); ++layer) kinds[layer] = LayerKind::kSliding;
  return kinds;
}

// A list of numbers, of which 0 is one kind and 1 the other.
Result<Kinds> flag_kinds(std::string_view field, const std::vector<uint32_t>& flags,
                         size_t layer_count, LayerKind zero, LayerKind one) {
  if (flags.size() != layer_count) return bad_count(field, flags.size(), layer_count);
  Kinds kinds;
  for (size_t layer = 0; layer < flags.size(); ++layer) {
    if (flags[layer] > 1) return bad_layer(field, std::to_string(flags[layer]), layer, "0, 1");
    kinds.push_back(flags[layer] == 0 ? zero : one);
  }
  return kinds;
}

Result<Kinds> offset_kinds(const ModelConfig& config) {
  const uint32_t period = config.attn_layer_period;
  const uint32_t offset = config.attn_layer_offset.value_or(4);  // as the Jamba class says
  if (offset >= period) {
    return bad_argument("config.json: field 'attn_layer_offset' is " + std::to_string(offset) +
                        " and must be below 'attn_layer_period' " + std::to_string(period));
  }
  Kinds kinds(config.num_hidden_layers, LayerKind::kLinear);
  for (uint32_t layer = offset; layer < kinds.size(); layer += period) {
    kinds[layer] = LayerKind::kFull;
  }
  return kinds;
}

// Numbers of layers count from 1; together the two lists name each layer once.
Result<Kinds> numbered_kinds(const ModelConfig& config) {
  Kinds kinds(config.num_hidden_layers, LayerKind::kNothing);
  const auto mark = [&](const std::vector<uint32_t>& numbers, LayerKind kind) {
    for (const uint32_t number : numbers) {
      if (number == 0 || number > kinds.size()) return false;
      LayerKind& place = kinds[number - 1];
      if (place != LayerKind::kNothing) return false;
      place = kind;
    }
    return true;
  };
  const bool marked = mark(config.full_attn_layers, LayerKind::kFull) &&
                      mark(config.kda_layers, LayerKind::kLinear) &&
                      std::find(kinds.begin(), kinds.end(), LayerKind::kNothing) == kinds.end();
  if (marked) return kinds;
  return bad_argument(
      "config.json: fields 'full_attn_layers' and 'kda_layers' of 'linear_attn_config' must name "
      "each of " +
      std::to_string(kinds.size()) + " layers once, counted from 1");
}

Result<Kinds> kimi_kinds(const ModelConfig& config, uint32_t period) {
  if (!config.full_attn_layers.empty() || !config.kda_layers.empty()) {
    return numbered_kinds(config);
  }
  Kinds kinds(config.num_hidden_layers, LayerKind::kLinear);
  for (uint32_t layer = period; layer < kinds.size(); layer += period) {
    kinds[layer] = LayerKind::kFull;
  }
  return kinds;
}

Result<Kinds> block_kinds(const ModelConfig& config) {
  if (config.overrides.size() != config.num_hidden_layers) {
    return bad_count("block_configs", config.overrides.size(), config.num_hidden_layers);
  }
  Kinds kinds;
  for (const LayerOverride& block : config.overrides) {
    kinds.push_back(block.keeps_nothing ? LayerKind::kNothing : LayerKind::kFull);
  }
  return kinds;
}

Result<Kinds> lettered_kinds(const ModelConfig& config) {
  const std::string& letters = config.hybrid_override_pattern;
  if (letters.size() != config.num_hidden_layers) {
    return bad_count("hybrid_override_pattern", letters.size(), config.num_hidden_layers);
  }
  return letter_kinds("hybrid_override_pattern", letters);
}

Result<Kinds> windowed_kinds(const ModelConfig& config, const HeadsClass& defaults) {
  Kinds kinds =
      QUIRE_TRY(periodic_kinds(config, config.sliding_window_pattern, LayerKind::kSliding));
  if (defaults.has(kGlobalHeads)) kinds.back() = LayerKind::kFull;
  return kinds;
}

Result<Kinds> chunked_kinds(const ModelConfig& config) {
  if (config.no_rope_layers.empty()) {
    return periodic_kinds(config, config.sliding_window_pattern, LayerKind::kChunked);
  }
  Kinds kinds(config.num_hidden_layers, LayerKind::kFull);
  if (config.no_rope_layers.size() != kinds.size()) {
    return bad_count("no_rope_layers", config.no_rope_layers.size(), kinds.size());
  }
  // A layer without rotary positions sees everything, the others their chunk.
  for (size_t layer = 0; layer < kinds.size(); ++layer) {
    if (config.no_rope_layers[layer] != 0) kinds[layer] = LayerKind::kChunked;
  }
  return kinds;
}

Result<Kinds> flagged_kinds(const ModelConfig& config, uint32_t period) {
  if (!config.hybrid_layer_pattern.empty()) {
    return flag_kinds("hybrid_layer_pattern", config.hybrid_layer_pattern, config.num_hidden_layers,
                      LayerKind::kFull, LayerKind::kSliding);
  }
  Kinds kinds = QUIRE_TRY(periodic_kinds(config, period, LayerKind::kSliding));
  kinds.front() = LayerKind::kFull;
  return kinds;
}

// Without a list: by the rule of the class.
Result<Kinds> kinds_by_rule(const ModelConfig& config, const HeadsClass& defaults) {
  const bool has_window = config.sliding_window != 0;
  const Kinds full(config.num_hidden_layers, LayerKind::kFull);
  const Kinds windows(config.num_hidden_layers, LayerKind::kSliding);
  switch (defaults.rule) {
    case LayerRule::kPeriodicLinear:
      return periodic_kinds(config, config.full_attention_interval, LayerKind::kLinear);
    case LayerRule::kPeriodicWindow:
      return windowed_kinds(config, defaults);
    case LayerRule::kPeriodicChunk:
      return has_window ? chunked_kinds(config) : full;
    case LayerRule::kSwitchedTail:
      return has_window ? tail_kinds(config) : full;
    case LayerRule::kSame:
    case LayerRule::kSwitchedAll:
      return has_window ? windows : full;
    case LayerRule::kPeriodicFull:
      return offset_kinds(config);
    case LayerRule::kBothInEach:
      return Kinds(config.num_hidden_layers, LayerKind::kHybrid);
    case LayerRule::kLetters:
      return lettered_kinds(config);
    case LayerRule::kFlags:
      return flagged_kinds(config, defaults.period);
    case LayerRule::kLinearLists:
      return kimi_kinds(config, defaults.period);
    case LayerRule::kBlocks:
      return block_kinds(config);
    case LayerRule::kListed:
      break;
  }
  return full;
}

// What the file says of each layer goes before any rule of its class.
Result<Kinds> kinds_of_layers(const ModelConfig& config, const HeadsClass& defaults) {
  const size_t layer_count = config.num_hidden_layers;
  if (config.layer_types.empty()) return kinds_by_rule(config, defaults);
  // Draft layers may be listed behind the others.
  if (config.layer_types.size() != layer_count &&
      config.layer_types.size() != layer_count + config.num_nextn_predict_layers) {
    return bad_count("layer_types", config.layer_types.size(), layer_count);
  }
  Kinds kinds = QUIRE_TRY(listed_kinds(config, 0, layer_count));
  if (defaults.has(kGlobalHeads)) kinds.back() = LayerKind::kFull;
  return kinds;
}

// A window over every position drops nothing: its layers keep all rows, as full attention does.
void widen_covering_windows(const ModelConfig& config, Kinds& kinds) {
  const uint32_t positions = config.max_position_embeddings;
  if (positions == 0 || config.sliding_window < positions) return;
  for (LayerKind& kind : kinds) {
    if (kind == LayerKind::kSliding || kind == LayerKind::kChunked) kind = LayerKind::kFull;
  }
}

// The last layers read the rows of the last one before them that is of their kind.
Result<void> drop_shared_layers(const ModelConfig& config, Kinds& kinds) {
  const uint32_t shared = config.num_kv_shared_layers.value_or(0);
  if (shared == 0) return {};
  const Error error =
      bad_argument("config.json: field 'num_kv_shared_layers' is " + std::to_string(shared) +
                   ": a layer among them has none of its kind before them");
  if (shared >= kinds.size()) return error;
  const auto first = kinds.end() - shared;
  for (auto kind = first; kind != kinds.end(); ++kind) {
    if (std::find(kinds.begin(), first, *kind) == first) return error;
  }
  std::fill(first, kinds.end(), LayerKind::kNothing);
  return {};
}

Result<Kinds> draft_kinds(const ModelConfig& config, const LayoutOptions& options,
                          const HeadsClass& defaults) {
  const uint32_t drafts = QUIRE_TRY(draft_layer_count(config, options));
  if (drafts == 0) return Kinds();
  const size_t layer_count = config.num_hidden_layers;
  if (config.layer_types.size() == layer_count + drafts) {
    return listed_kinds(config, layer_count, drafts);
  }
  // Qwen's draft layers have full attention.
  if (defaults.rule == LayerRule::kPeriodicLinear) return Kinds(drafts, LayerKind::kFull);
  if (drafts == 1 && !config.mtp_hybrid_override_pattern.empty()) {
    return letter_kinds("mtp_hybrid_override_pattern", config.mtp_hybrid_override_pattern);
  }
  return bad_argument("model_type '" + config.model_type +
                      "': what a draft layer keeps is not known; leave --draft-layers out");
}

}  // namespace

Result<std::vector<LayerKind>> layer_kinds(const ModelConfig& config, const LayoutOptions& options,
                                           const HeadsClass& defaults) {
  Kinds kinds = QUIRE_TRY(kinds_of_layers(config, defaults));
  widen_covering_windows(config, kinds);
  QUIRE_TRY(drop_shared_layers(config, kinds));
  const Kinds drafts = QUIRE_TRY(draft_kinds(config, options, defaults));
  kinds.insert(kinds.end(), drafts.begin(), drafts.end());
  return kinds;
}

}  // namespace quire::model
