// How every verb that asks a running daemon asks, and prints what it answers.
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/quire.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/verb_outcome.h"
#include "model/result.h"

namespace quire::client {

// A document, and what is to be made of it.
struct AnswerShape {
  std::string_view name;                 // its schema is quire.NAME.v1
  std::optional<std::string_view> list;  // csv: whose rows (client/quirectl/answer_output.h)
  std::string_view columns = {};         // csv: that are there whatever rows there are
  model::Result<std::string> (*table)(std::string_view json) = nullptr;  // null: status_table()
};

// Of one that reads no pages. An empty path: the library's default.
ClientOptions connection_options(const std::string& socket_path, uint32_t timeout_ms);
inline ClientOptions connection_options(const DaemonCommandLine& line) {
  return connection_options(line.socket_path, line.timeout_ms);
}
model::Result<std::unique_ptr<Client>> connect_to_daemon(const DaemonCommandLine& line);

// In the form that was asked for, with its line end.
model::Result<std::string> printed(std::string_view output, std::string_view json,
                                   const AnswerShape& shape);

// Asks on a connection of its own; ask(Client&) gives the document.
template <typename Ask>
int print_answer(const DaemonCommandLine& line, std::ostream& out, std::ostream& err,
                 const AnswerShape& shape, Ask ask) {
  const auto text = [&]() -> model::Result<std::string> {
    const std::unique_ptr<Client> client = QUIRE_TRY(connect_to_daemon(line));
    return printed(line.output, QUIRE_TRY(ask(*client)), shape);
  }();
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

}  // namespace quire::client
