// A document of the daemon's that is read by key, and is of no use where a key is missing.
#pragma once

#include <boost/json.hpp>
#include <exception>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// What read(object) makes of it. kMalformedFrame: it is no JSON object, or not whole; `what` it is,
// for people: "advice".
template <typename Made>
model::Result<Made> read_whole(std::string_view text, const std::string& what,
                               Made (*read)(const boost::json::object&)) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) {
    return model::make_error(model::Errc::kMalformedFrame,
                             "the daemon's " + what + " is no JSON object");
  }
  try {
    return read(value.get_object());
  } catch (const std::exception& wrong) {
    return model::make_error(model::Errc::kMalformedFrame,
                             "the daemon's " + what + " is not whole: " + wrong.what());
  }
}

}  // namespace quire::client
