#include "client/quirectl/daemon_answer.h"

#include "client/quirectl/answer_output.h"
#include "client/quirectl/status_output.h"

namespace quire::client {

model::Result<std::unique_ptr<Client>> connect_to_daemon(const DaemonCommandLine& line) {
  ClientOptions options;
  options.socket_path = line.socket_path;
  options.client_name = "quirectl";
  options.connect_timeout_ms = line.timeout_ms;
  options.populate_segments = false;
  return Client::connect(options);
}

model::Result<std::string> printed(std::string_view output, std::string_view json,
                                   const AnswerShape& shape) {
  if (output == "json") return with_schema(json, shape.name) + "\n";
  if (output == "csv") return answer_csv(json, shape.list);
  return shape.table == nullptr ? status_table(json) : shape.table(json);
}

}  // namespace quire::client
