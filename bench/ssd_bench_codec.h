// What the codec makes of typical content, on one core, beside memcpy.
#pragma once

#include <string>
#include <vector>

namespace quire::bench {

struct CodecFigure {
  std::string content;
  double ratio = 1;   // stored / plain
  bool pays = false;  // as the sampler has it
  double encode_gib_s = 0;
  double decode_gib_s = 0;
};

struct CodecFigures {
  std::vector<CodecFigure> contents;
  double memcpy_gib_s = 0;
};

CodecFigures measure_codec();

}  // namespace quire::bench
