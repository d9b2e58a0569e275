// Takes names out of documents that leave the house: of tenants, namespaces, models, layouts and
// users. The same name becomes the same word everywhere in one archive, so what belongs together
// still does.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

class Redaction {
 public:
  // `keeps`: nothing is taken out.
  explicit Redaction(bool keeps) : keeps_(keeps) {}

  // A JSON document. kMalformedFrame: it is none.
  model::Result<std::string> document(std::string_view json);
  // What `quired --print_config` wrote: flags that name tenants or namespaces, and secrets.
  std::string config(std::string_view text);

 private:
  // "tenant-3". The empty name stays empty, and "*" what it is.
  std::string word_for(std::string_view kind, std::string_view name);
  friend class DocumentRedactor;

  bool keeps_;
  std::map<std::string, std::map<std::string, size_t, std::less<>>, std::less<>> words_;
};

}  // namespace quire::client
