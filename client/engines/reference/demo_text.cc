#include "client/engines/reference/demo_text.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

namespace quire::client {

namespace fs = std::filesystem;

namespace {

bool is_source(const fs::path& path) {
  static const std::set<std::string> kSuffixes = {".h", ".cc", ".c", ".md", ".toml", ".py", ".txt"};
  return kSuffixes.contains(path.extension().string());
}

bool is_skipped(const fs::path& directory) {
  const std::string name = directory.filename().string();
  return name == "build" || name.starts_with(".");
}

std::vector<fs::path> sources_below(const fs::path& top) {
  std::vector<fs::path> paths;
  std::error_code error;
  fs::recursive_directory_iterator at(top, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_directory() && is_skipped(at->path())) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file() && is_source(at->path())) {
      paths.push_back(at->path());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

model::Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return model::make_error(model::Errc::kIoError, "cannot read " + path.string());
  return text.str();
}

}  // namespace

model::Result<std::string> read_demo_text(const std::string& path, const std::string& source_dir,
                                          size_t max_bytes) {
  std::string text;
  if (!path.empty()) {
    text = QUIRE_TRY(read_file(path));
  } else {
    for (const fs::path& source : sources_below(source_dir)) {
      if (text.size() >= max_bytes) break;
      text += "==> " + source.lexically_relative(source_dir).string() + "\n";
      text += QUIRE_TRY(read_file(source));
    }
  }
  if (text.empty()) return model::make_error(model::Errc::kInvalidArgument, "the text is empty");
  text.resize(std::min(text.size(), max_bytes));
  return text;
}

std::vector<uint32_t> to_tokens(const std::string& text) {
  std::vector<uint32_t> tokens;
  tokens.reserve(text.size());
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

}  // namespace quire::client
