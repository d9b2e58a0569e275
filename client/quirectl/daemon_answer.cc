#include "client/quirectl/daemon_answer.h"

#include "client/quirectl/answer_output.h"
#include "client/quirectl/status_output.h"

namespace quire::client {

ClientOptions connection_options(const std::string& socket_path, uint32_t timeout_ms) {
  ClientOptions options;
  options.socket_path = socket_path;
  options.client_name = "quirectl";
  options.connect_timeout_ms = timeout_ms;
  options.populate_segments = false;
  return options;
}

model::Result<std::unique_ptr<Client>> connect_to_daemon(const DaemonCommandLine& line) {
  return Client::connect(connection_options(line));
}

model::Result<std::string> printed(std::string_view output, std::string_view json,
                                   const AnswerShape& shape) {
  if (output == "json") return with_schema(json, shape.name) + "\n";
  if (output == "csv") return answer_csv(json, {.list = shape.list, .columns = shape.columns});
  return shape.table == nullptr ? status_table(json) : shape.table(json);
}

}  // namespace quire::client
