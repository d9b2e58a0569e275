// Hugging Face config.json into model::ModelConfig. Fields that nobody reads do not matter: a
// config.json has many that do not touch the cache. Read as Python writes it: Infinity and NaN, a
// byte order mark, any UTF-8. Where "text_config" (or "language_config", "llm_config") is there
// (models of several media), its fields count.
#pragma once

#include <string>
#include <string_view>

#include "model/model_config.h"
#include "model/result.h"

namespace quire::client {

// Errors: kInvalidArgument naming the field of a wrong type or out of range, or where JSON breaks
// off.
model::Result<model::ModelConfig> parse_config_json(std::string_view text);
// Also kIoError. Refuses files above 64 MiB.
model::Result<model::ModelConfig> load_config_json(const std::string& path);

}  // namespace quire::client
