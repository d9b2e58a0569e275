// quire_bench NAME [--json]: with --json exactly one JSON object on standard output.
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "bench/attach_bench.h"
#include "bench/commit_bench.h"
#include "bench/index_bench.h"
#include "bench/ring_bench.h"

int main(int argc, char** argv) {
  const std::map<std::string, std::function<int(bool)>> benches = {
      {"attach", quire::bench::run_attach_bench},
      {"commit", quire::bench::run_commit_bench},
      {"index", quire::bench::run_index_bench},
      {"ring", quire::bench::run_ring_bench}};
  const bool json = argc == 3 && std::strcmp(argv[2], "--json") == 0;
  const auto found = argc >= 2 ? benches.find(argv[1]) : benches.end();
  if (found == benches.end() || (argc == 3 && !json) || argc > 3) {
    std::fputs("usage: quire_bench attach|commit|index|ring [--json]\n", stderr);
    return 2;
  }
  return found->second(json);
}
