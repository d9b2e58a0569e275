// A reader of the text format that Prometheus scrapes (version 0.0.4) which takes nothing that the
// format or its conventions do not allow, so that what the daemon prints is checked by something
// else than what printed it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quire::tests {

struct Exposition {
  struct Family {
    std::string type;
    std::string help;
    std::map<std::string, double> samples;  // "name{labels}", as they stand
  };
  std::map<std::string, Family> families;
  std::vector<std::string> faults;  // a line each; empty: all is as it must be

  static Exposition read(std::string_view text);
  // Of "name{labels}"; the test ends where there is none.
  double value(const std::string& series) const;
};

}  // namespace quire::tests
