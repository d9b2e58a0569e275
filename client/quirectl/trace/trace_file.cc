#include "client/quirectl/trace/trace_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Errc;
using model::make_error;
using model::Result;

Result<uint64_t> number_of(const json::value& value, const std::string& name, uint64_t most) {
  json::error_code wrong;
  const auto number = value.to_number<uint64_t>(wrong);
  if (!wrong && number <= most) return number;
  return make_error(Errc::kInvalidArgument, name + " must be a whole number from 0 to " +
                                                std::to_string(most) + ", not " +
                                                json::serialize(value));
}

// Nothing: the line does not have it.
template <typename Number>
Result<void> read_number(const json::object& line, const char* name, Number& into) {
  const json::value* found = line.if_contains(name);
  if (found == nullptr) return {};
  into = static_cast<Number>(
      QUIRE_TRY(number_of(*found, name, uint64_t{std::numeric_limits<Number>::max()})));
  return {};
}

Result<void> read_ids(const json::object& line, const char* name, std::vector<uint32_t>& into) {
  const json::value* found = line.if_contains(name);
  if (found == nullptr) return {};
  if (!found->is_array()) {
    return make_error(Errc::kInvalidArgument, std::string(name) + " must be a list of numbers");
  }
  into.reserve(found->get_array().size());
  for (const json::value& id : found->get_array()) {
    const std::string what = std::string("an id of ") + name;
    into.push_back(static_cast<uint32_t>(QUIRE_TRY(number_of(id, what, UINT32_MAX))));
  }
  return {};
}

Result<void> require(const json::object& line, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (line.contains(name)) continue;
    return make_error(Errc::kInvalidArgument, std::string("there is no ") + name);
  }
  return {};
}

void append_ids(std::string& text, const char* name, const std::vector<uint32_t>& ids) {
  text.append(", \"").append(name).append("\": [");
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(ids[i]);
  }
  text += ']';
}

void append_if_known(std::string& text, const char* name, uint64_t value) {
  if (value == 0) return;
  text.append(", \"").append(name).append("\": ").append(std::to_string(value));
}

std::string quoted(const std::string& path) {
  std::string text = "'";
  for (const char c : path) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// A file, or what zstd makes of one.
class TraceInput {
 public:
  static Result<TraceInput> open(const std::string& path) {
    if (::access(path.c_str(), R_OK) != 0) return model::errno_error("read " + path);
    const bool packed = path.ends_with(".zst");
    FILE* file =
        packed ? ::popen(("zstd -dc " + quoted(path)).c_str(), "r") : std::fopen(path.c_str(), "r");
    if (file == nullptr) return model::errno_error("read " + path);
    return TraceInput(file, packed);
  }
  // False at the end. The line is lent until the next call.
  bool next(std::string_view& line) {
    const ssize_t got = ::getline(&text_.bytes, &text_.room, file_.get());
    if (got < 0) return false;
    line = {text_.bytes, static_cast<size_t>(got)};
    return true;
  }
  // After the last line: whether that was the end.
  Result<void> finish(const std::string& path) {
    if (std::ferror(file_.get()) != 0) return model::errno_error("read " + path);
    if (!packed_) return {};
    if (::pclose(file_.release()) == 0) return {};
    return make_error(Errc::kIoError, "zstd cannot unpack " + path);
  }

 private:
  struct Text {
    ~Text() { std::free(bytes); }
    char* bytes = nullptr;
    size_t room = 0;
  };
  TraceInput(FILE* file, bool packed)
      : file_(file, packed ? ::pclose : std::fclose), packed_(packed) {}

  std::unique_ptr<FILE, int (*)(FILE*)> file_;
  bool packed_;
  Text text_;
};

}  // namespace

Result<TraceLine> parse_trace_line(std::string_view text) {
  json::error_code failure;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), failure);
  if (failure) return make_error(Errc::kInvalidArgument, "no JSON: " + failure.message());
  if (!value.is_object()) return make_error(Errc::kInvalidArgument, "no JSON object");
  const json::object& object = value.get_object();
  QUIRE_TRY(require(object, {"timestamp", "input_length", "hash_ids"}));
  TraceLine line;
  QUIRE_TRY(read_number(object, "timestamp", line.timestamp_ms));
  QUIRE_TRY(read_number(object, "input_length", line.input_tokens));
  QUIRE_TRY(read_number(object, "output_length", line.output_tokens));
  QUIRE_TRY(read_number(object, "block_tokens", line.block_tokens));
  QUIRE_TRY(read_ids(object, "hash_ids", line.ids));
  QUIRE_TRY(read_ids(object, "output_hash_ids", line.output_ids));
  QUIRE_TRY(read_number(object, "hit_tokens", line.hit_tokens));
  QUIRE_TRY(read_number(object, "conversation", line.conversation));
  QUIRE_TRY(read_number(object, "tenant", line.tenant));
  QUIRE_TRY(read_number(object, "cut_blocks", line.cut_blocks));
  QUIRE_TRY(read_number(object, "lost_before", line.lost_before));
  if (line.block_tokens > 0) return line;
  return make_error(Errc::kInvalidArgument, "block_tokens must not be 0");
}

std::string to_text(const TraceLine& line) {
  std::string text = "{\"timestamp\": " + std::to_string(line.timestamp_ms) +
                     ", \"input_length\": " + std::to_string(line.input_tokens) +
                     ", \"output_length\": " + std::to_string(line.output_tokens);
  append_ids(text, "hash_ids", line.ids);
  append_if_known(text, "block_tokens", line.block_tokens);
  if (!line.output_ids.empty()) append_ids(text, "output_hash_ids", line.output_ids);
  append_if_known(text, "hit_tokens", line.hit_tokens);
  append_if_known(text, "conversation", line.conversation);
  append_if_known(text, "tenant", line.tenant);
  append_if_known(text, "cut_blocks", line.cut_blocks);
  append_if_known(text, "lost_before", line.lost_before);
  return text + "}\n";
}

Result<void> for_each_trace_line(const std::string& path,
                                 const std::function<bool(TraceLine line)>& visit) {
  TraceInput input = QUIRE_TRY(TraceInput::open(path));
  uint64_t number = 0;
  uint64_t requests = 0;
  for (std::string_view text; input.next(text);) {
    ++number;
    if (text.find_first_not_of(" \t\r\n") == text.npos) continue;
    auto line = parse_trace_line(text);
    if (!line.ok()) {
      return make_error(line.code(),
                        path + ":" + std::to_string(number) + ": " + line.error().text);
    }
    ++requests;
    if (!visit(std::move(line).value())) return {};
  }
  QUIRE_TRY(input.finish(path));
  if (requests > 0) return {};
  return make_error(Errc::kInvalidArgument, path + " holds no request of a trace");
}

}  // namespace quire::client
