#include "client/quirectl/manual/completion_text.h"

#include <algorithm>

namespace quire::client {

namespace {

std::string spaced(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// In single quotes of a shell.
std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

void for_each_command(const Command& command, const auto& visit) {
  visit(command);
  for (const Command& inner : command.commands) for_each_command(inner, visit);
}

// What may stand behind a command: its own commands, the words of its first word, its options.
std::vector<std::string> words_behind(const Command& command) {
  std::vector<std::string> words;
  for (const Command& inner : command.commands) words.push_back(inner.name);
  for (const CommandOption& option : command.options) {
    const std::vector<std::string>& more = option.positional ? option.words : option.names;
    words.insert(words.end(), more.begin(), more.end());
  }
  words.push_back("--help");
  return words;
}

// A case for each option of the command that takes a value: what it may be.
std::string value_cases(const Command& command, const std::string& path) {
  std::string text;
  for (const CommandOption& option : command.options) {
    if (option.positional || option.value.empty()) continue;
    std::string pattern;
    for (const std::string& name : option.names) {
      pattern += (pattern.empty() ? "" : "|") + shell_quoted(path + ":" + name);
    }
    const std::string reply = option.words.empty()
                                  ? option.file ? "_quirectl_files" : "COMPREPLY=()"
                                  : "_quirectl_words " + shell_quoted(spaced(option.words));
    text += "    " + pattern + ") " + reply + "; return ;;\n";
  }
  return text;
}

bool takes_file(const Command& command) {
  return std::any_of(command.options.begin(), command.options.end(),
                     [](const CommandOption& one) { return one.positional && one.file; });
}

// Option names of a command.
std::vector<std::string> names_of(const Command& command) {
  std::vector<std::string> names;
  for (const CommandOption& option : command.options) {
    if (!option.positional) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

constexpr std::string_view kBashHelpers =
    R"(_quirectl_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_quirectl_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
)";
// Walks the words before the one at the cursor: which command they name, and whether the last one
// is an option that waits for its value. The program's options are taken behind every verb.
constexpr std::string_view kBashFunction = R"(_quirectl() {
  local cur="${COMP_WORDS[COMP_CWORD]}" path='' words='' files='' option='' i word
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -* ]]; then
      if _quirectl_takes_value "$path:$word" || _quirectl_takes_value ":$word"; then
        option="$word"
      fi
    else
      _quirectl_command "$path:$word"
    fi
  done
  if [[ -n $option ]]; then
    _quirectl_takes_value "$path:$option" && { _quirectl_value "$path:$option"; return; }
    _quirectl_value ":$option"
    return
  fi
  _quirectl_behind "$path"
  if [[ $cur == -* ]]; then words="$words $_quirectl_everywhere"; fi
  _quirectl_words "$words"
  if [[ -n $files && ${#COMPREPLY[@]} -eq 0 ]]; then _quirectl_files; fi
}
complete -F _quirectl quirectl
)";

std::string escaped_for_zsh(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == ':' || letter == '\\') escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

// All words of its path were seen.
std::string fish_condition(const Command& command) {
  std::string condition;
  std::string rest = command.path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    condition += (condition.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from ") +
                 rest.substr(0, end);
    rest.erase(0, std::min(end + 1, rest.size()));
  }
  return condition;
}

std::string fish_option(const std::string& start, const CommandOption& option) {
  const std::string words =
      option.words.empty() ? std::string() : " -a " + shell_quoted(spaced(option.words));
  if (option.positional) return words.empty() ? words : start + words + '\n';
  std::string line = start;
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!option.value.empty()) line += option.file ? " -r -F" : " -x";
  return line + words + " -d " + shell_quoted(option.help) + '\n';
}

}  // namespace

std::string bash_completion(const Command& program) {
  std::string commands;
  std::string values;
  std::string words;
  std::string takes_value;
  for_each_command(program, [&](const Command& command) {
    for (const Command& inner : command.commands) {
      commands += "    " + shell_quoted(command.path + ":" + inner.name) +
                  ") path=" + shell_quoted(inner.path) + " ;;\n";
    }
    values += value_cases(command, command.path);
    words += "    " + shell_quoted(command.path) +
             ") words=" + shell_quoted(spaced(words_behind(command))) +
             (takes_file(command) ? "; files=1" : "") + " ;;\n";
    for (const CommandOption& option : command.options) {
      if (option.positional || option.value.empty()) continue;
      for (const std::string& name : option.names) {
        takes_value += "    " + shell_quoted(command.path + ":" + name) + ") return 0 ;;\n";
      }
    }
  });
  return "# bash completion of quirectl; made by `quirectl completion bash`\n" +
         std::string(kBashHelpers) + "_quirectl_takes_value() {\n  case \"$1\" in\n" + takes_value +
         "  esac\n  return 1\n}\n_quirectl_value() {\n  case \"$1\" in\n" + values +
         "  esac\n  return 1\n}\n_quirectl_command() {\n  case \"$1\" in\n" + commands +
         "  esac\n}\n_quirectl_behind() {\n  case \"$1\" in\n" + words +
         "  esac\n}\n_quirectl_everywhere=" + shell_quoted(spaced(names_of(program))) + "\n" +
         std::string(kBashFunction);
}

std::string zsh_completion(const Command& program) {
  std::string paths;
  std::string described;
  std::string plain;
  for_each_command(program, [&](const Command& command) {
    const std::string at = "    " + shell_quoted(command.path) + ") ";
    std::string inner_words;
    for (const Command& inner : command.commands) {
      paths += "      " + shell_quoted(command.path + ":" + inner.name) +
               ") at=" + shell_quoted(inner.path) + " ;;\n";
      inner_words +=
          ' ' + shell_quoted(escaped_for_zsh(inner.name) + ":" + escaped_for_zsh(inner.help));
    }
    if (!inner_words.empty()) described += at + "described=(" + inner_words + " ) ;;\n";
    std::string quoted;
    for (const std::string& word : words_behind(command)) quoted += ' ' + shell_quoted(word);
    plain += at + "plain=(" + quoted + " ) ;;\n";
  });
  return "#compdef quirectl\n"
         "# zsh completion of quirectl; made by `quirectl completion zsh`\n"
         "_quirectl() {\n  local at='' word\n  local -a described plain\n"
         "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n    case \"$at:$word\" in\n" +
         paths + "    esac\n  done\n  case \"$at\" in\n" + described +
         "  esac\n  case \"$at\" in\n" + plain +
         "  esac\n  (( ${#described} )) && _describe command described\n"
         "  compadd -a plain\n  _files\n}\n"
         "if [[ $funcstack[1] == _quirectl ]]; then\n  _quirectl \"$@\"\nelse\n"
         "  compdef _quirectl quirectl\nfi\n";
}

std::string fish_completion(const Command& program) {
  std::string text =
      "# fish completion of quirectl; made by `quirectl completion fish`\n"
      "complete -c quirectl -f\n";
  for_each_command(program, [&](const Command& command) {
    const std::string seen = fish_condition(command);
    std::string before = seen;
    if (!command.commands.empty()) {
      std::vector<std::string> names;
      for (const Command& inner : command.commands) names.push_back(inner.name);
      before += (before.empty() ? "" : "; and ") + std::string("not __fish_seen_subcommand_from ") +
                spaced(names);
    }
    for (const Command& inner : command.commands) {
      text += "complete -c quirectl -n " + shell_quoted(before) + " -a " + inner.name + " -d " +
              shell_quoted(inner.help) + '\n';
    }
    const std::string start =
        "complete -c quirectl" + (seen.empty() ? std::string() : " -n " + shell_quoted(seen));
    for (const CommandOption& option : command.options) text += fish_option(start, option);
  });
  return text;
}

}  // namespace quire::client
