#include "tests/http/exposition.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <regex>
#include <set>

#include "model/check.h"

namespace quire::tests {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  std::string name;
  Labels labels;
  std::string series;
  double value = 0;
};

// Endings of units that are no base units, as promtool has them.
bool has_foreign_unit(const std::string& name) {
  static const std::regex kForeign(
      "_(ms|us|ns|s|milliseconds|microseconds|nanoseconds|minutes|hours|days|kb|mb|gb|kib|mib|gib|"
      "kilobytes|megabytes|gigabytes|bits|percent)(_|$)");
  return std::regex_search(name, kForeign);
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Exposition read() {
    if (text_.empty() || text_.back() != '\n') fault("does not end with a line's end");
    while (!text_.empty()) {
      const size_t end = std::min(text_.find('\n'), text_.size());
      line_ = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++number_;
      take_line();
    }
    for (const auto& [name, family] : found_.families) check_family(name, family);
    return std::move(found_);
  }

 private:
  void fault(const std::string& what) {
    found_.faults.push_back("line " + std::to_string(number_) + ": " + what + ": " +
                            std::string(line_.substr(0, 160)));
  }

  void take_line() {
    if (line_.empty()) return fault("empty");
    if (line_.starts_with("# HELP ")) return take_help();
    if (line_.starts_with("# TYPE ")) return take_type();
    if (line_.starts_with('#')) return fault("a comment");
    take_sample();
  }

  void take_help() {
    const std::string_view rest = line_.substr(7);
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) return fault("HELP without a text");
    family_ = rest.substr(0, space);
    if (found_.families.contains(family_)) fault("a family's second HELP");
    check_name(family_);
    found_.families[family_].help = rest.substr(space + 1);
    check_escapes(rest.substr(space + 1), false);
  }

  void take_type() {
    const std::string_view rest = line_.substr(7);
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos || rest.substr(0, space) != family_) {
      return fault("TYPE does not follow its HELP");
    }
    Exposition::Family& family = found_.families[family_];
    if (!family.type.empty()) fault("a second TYPE");
    if (!family.samples.empty()) fault("TYPE behind samples");
    family.type = rest.substr(space + 1);
    if (family.type != "counter" && family.type != "gauge" && family.type != "histogram") {
      fault("unknown type");
    }
  }

  void check_name(const std::string& name) {
    static const std::regex kName("quire_[a-z][a-z0-9_]*");
    if (!std::regex_match(name, kName) || name.find("__") != std::string::npos) {
      fault("no good name");
    }
    if (has_foreign_unit(name)) fault("no base unit");
  }

  void check_escapes(std::string_view text, bool quoted) {
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') continue;
      ++i;
      const bool known =
          i < text.size() && (text[i] == '\\' || text[i] == 'n' || (quoted && text[i] == '"'));
      if (!known) fault("an escape that is none");
    }
  }

  // Up to the closing brace, which is taken. False: no labels.
  bool take_labels(std::string_view& rest, Labels& labels) {
    static const std::regex kLabel("[a-z][a-z0-9_]*");
    while (true) {
      const size_t equals = rest.find("=\"");
      if (equals == std::string_view::npos) return false;
      const std::string name(rest.substr(0, equals));
      if (!std::regex_match(name, kLabel)) fault("no good label " + name);
      rest.remove_prefix(equals + 2);
      size_t end = 0;
      while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
      if (end >= rest.size()) return false;
      check_escapes(rest.substr(0, end), true);
      labels.emplace_back(name, rest.substr(0, end));
      rest.remove_prefix(end + 1);
      if (rest.starts_with('}')) return rest.remove_prefix(1), true;
      if (!rest.starts_with(',')) return false;
      rest.remove_prefix(1);
    }
  }

  void take_sample() {
    Sample sample;
    const size_t end = line_.find_first_of("{ ");
    if (end == std::string_view::npos) return fault("no sample");
    sample.name = line_.substr(0, end);
    std::string_view rest = line_.substr(end);
    if (rest.starts_with('{')) {
      rest.remove_prefix(1);
      if (!take_labels(rest, sample.labels)) return fault("labels that are none");
    }
    sample.series = line_.substr(0, line_.size() - rest.size());
    if (!rest.starts_with(' ')) return fault("no space before the value");
    rest.remove_prefix(1);
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), sample.value);
    if (parsed.ec != std::errc{} || parsed.ptr != rest.data() + rest.size()) {
      return fault("no number");
    }
    keep(sample);
  }

  void keep(const Sample& sample) {
    Exposition::Family& family = found_.families[family_];
    if (family.type.empty()) return fault("a sample before its TYPE");
    const bool histogram = family.type == "histogram";
    const bool of_family = histogram ? sample.name == family_ + "_bucket" ||
                                           sample.name == family_ + "_sum" ||
                                           sample.name == family_ + "_count"
                                     : sample.name == family_;
    if (!of_family) fault("a sample of another family");
    std::set<std::string> names;
    for (const auto& [name, value] : sample.labels) {
      if (!names.insert(name).second) fault("a label twice");
      const bool reserved =
          name == "quantile" || (name == "le" && !sample.name.ends_with("_bucket"));
      if (reserved) fault("a reserved label");
    }
    if (!family.samples.emplace(sample.series, sample.value).second) fault("a series twice");
    if (family.type == "counter" && sample.value < 0) fault("a counter below 0");
    if (histogram) keep_class(sample);
  }

  // Classes of a histogram come in order, each with those below it, the last one with all.
  void keep_class(const Sample& sample) {
    std::string labels;
    double bound = std::numeric_limits<double>::quiet_NaN();
    for (const auto& [name, value] : sample.labels) {
      if (name != "le") {
        labels += name + '=' + value + ';';
        continue;
      }
      const bool last = value == "+Inf";
      bound = last ? std::numeric_limits<double>::infinity() : std::stod(value);
    }
    Classes& classes = classes_[family_ + '{' + labels];
    if (sample.name.ends_with("_sum")) {
      classes.has_sum = true;
    } else if (sample.name.ends_with("_count")) {
      if (sample.value != classes.up_to || !std::isinf(classes.bound))
        fault("a count that is none");
      classes.has_count = true;
    } else {
      if (!(bound > classes.bound)) fault("bounds out of order");
      if (sample.value < classes.up_to) fault("classes that do not add up");
      classes.bound = bound;
      classes.up_to = sample.value;
    }
  }

  void check_family(const std::string& name, const Exposition::Family& family) {
    line_ = name;
    if (family.help.empty()) fault("no help");
    if (family.samples.empty()) fault("no samples");
    if ((family.type == "counter") != name.ends_with("_total")) fault("_total is of counters");
    for (const auto& [series, classes] : classes_) {
      if (series.substr(0, series.find('{')) != name) continue;
      if (!classes.has_sum || !classes.has_count) fault("a histogram without sum or count");
    }
  }

  struct Classes {
    double bound = -1;
    double up_to = 0;
    bool has_sum = false;
    bool has_count = false;
  };

  std::string_view text_;
  std::string_view line_;
  size_t number_ = 0;
  std::string family_;
  Exposition found_;
  std::map<std::string, Classes> classes_;
};

}  // namespace

Exposition Exposition::read(std::string_view text) { return Reader(text).read(); }

double Exposition::value(const std::string& series) const {
  for (const auto& [name, family] : families) {
    if (const auto found = family.samples.find(series); found != family.samples.end()) {
      return found->second;
    }
  }
  ADD_FAILURE() << "no such series: " << series;
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace quire::tests
