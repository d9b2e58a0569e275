// Hugging Face config.json into model::ModelConfig. Unknown fields are skipped: a config.json has
// many that do not touch the cache. Where "text_config" is there (multimodal models), its fields
// count.
#pragma once

#include <string>
#include <string_view>

#include "model/model_config.h"
#include "model/result.h"

namespace quire::client {

// Errors: kInvalidArgument naming the field of a wrong type or out of range, or where JSON breaks
// off.
model::Result<model::ModelConfig> parse_config_json(std::string_view text);
// Also kIoError. Refuses files above 1 MiB.
model::Result<model::ModelConfig> load_config_json(const std::string& path);

}  // namespace quire::client
