// QUIRE_CHECK: always on, for bugs only. Bytes from a disk or a client are never a bug: they
// become a Result. Prints the condition and its place, then aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

#define QUIRE_CHECK(condition)                                                           \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
