// What flags say of themselves: --print_config, and the manual page that --print_man prints.
#include <string>

#include "server/start/flag_registry.h"
#include "server/start/flags.h"
#include "server/start/live_config.h"

namespace quire::server {

namespace {

// Text as troff prints it: neither a request, nor an escape, nor a hyphen that it may break.
std::string troff(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\\') {
      safe += "\\e";
    } else if (c == '-') {
      safe += "\\-";
    } else if (c == '\n') {
      safe += ' ';
    } else {
      safe += c;
    }
  }
  // At a line's start these would be a request.
  return safe.starts_with('.') || safe.starts_with('\'') ? "\\&" + safe : safe;
}

constexpr const char* kManHead = R"(.TH QUIRED 8 "" "Quire" "System Administration"
.SH NAME
quired \- keep the KV cache of long\-context language models outside the engine
.SH SYNOPSIS
.B quired
[\fB\-\-flagfile=\fIFILE\fR] [\fB\-\-\fINAME\fB=\fIVALUE\fR ...]
.SH DESCRIPTION
.B quired
owns pages of KV cache in RAM and, where
.B \-\-ssd_path
says so, on an SSD. Engines of the same host attach through its unix socket and libquire, and read
hits in place. It serves in the foreground and writes its log to standard error.
.PP
A flag file has one \-\-name=value a line; what stands later wins. SIGHUP reads the command line's
flag files again. Flags that are marked
.I live
change then, or by
.BR "quirectl config set" ,
without a restart.
.SH OPTIONS
)";

constexpr const char* kManTail = R"(.SH SIGNALS
TERM, INT and QUIT stop in order; the second one, or 25 seconds, ends the process at once. HUP reads
the flag files again. PIPE, XFSZ and TTOU are ignored.
.SH ENVIRONMENT
.B NOTIFY_SOCKET, WATCHDOG_USEC
tell a service manager that the daemon is ready, how it is, and that its core turns. With
.B LISTEN_FDS
it takes its socket from the service manager instead of making
.BR \-\-socket .
.SH EXIT STATUS
0 after a stop in order, 1 where the machine or the stop failed, 2 for flags that are refused.
.SH FILES
.I /etc/quire/quired.flags, /run/quire/quired.sock, /var/lib/quire
.SH SEE ALSO
.BR quirectl (1)
)";

}  // namespace

std::string describe_config() {
  std::string text;
  for (const ConfigRow& row : config_rows()) {
    text += "--" + row.key + "=" + row.value + "  # " + row.origin + "\n";
  }
  return text;
}

std::string man_page() {
  std::string page = kManHead;
  for (const FlagValue& flag : own_flags()) {
    page += ".TP\n\\fB\\-\\-" + troff(flag.name) + "\\fR=" + troff(flag.default_value) + "\n";
    page += troff(flag.help);
    if (find_live_option(flag.name) != nullptr) page += " (\\fIlive\\fR)";
    page += "\n";
  }
  return page + kManTail;
}

}  // namespace quire::server
