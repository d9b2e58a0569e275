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
  local cur="${COMP_WORDS[COMP_CWORD]}" at='' words='' files='' option='' i word
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -* ]]; then
      if _quirectl_takes_value "$at:$word" || _quirectl_takes_value ":$word"; then
        option="$word"
      fi
    else
      _quirectl_command "$at:$word"
    fi
  done
  if [[ -n $option ]]; then
    _quirectl_takes_value "$at:$option" && { _quirectl_value "$at:$option"; return; }
    _quirectl_value ":$option"
    return
  fi
  _quirectl_behind "$at"
  if [[ $cur == -* ]]; then words="$words $_quirectl_everywhere"; fi
  _quirectl_words "$words"
  if [[ -n $files && ${#COMPREPLY[@]} -eq 0 ]]; then _quirectl_files; fi
}
complete -F _quirectl quirectl
)";
// The same walk in zsh, which shows options where the word begins with a dash.
constexpr std::string_view kZshFunction = R"(_quirectl() {
  local at='' files='' option='' word
  local -a commands options plain
  for word in "${(@Q)words[2,CURRENT-1]}"; do
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -* ]]; then
      if _quirectl_takes_value "$at:$word" || _quirectl_takes_value ":$word"; then
        option="$word"
      fi
    else
      _quirectl_command "$at:$word"
    fi
  done
  if [[ -n $option ]]; then
    _quirectl_takes_value "$at:$option" && { _quirectl_value "$at:$option"; return; }
    _quirectl_value ":$option"
    return
  fi
  _quirectl_behind "$at"
  [[ -n $at ]] && options+=("${(@)_quirectl_everywhere}")
  local ret=1
  (( $#commands )) && _describe -t commands command commands && ret=0
  (( $#plain )) && compadd -a plain && ret=0
  [[ -n $files && $PREFIX != -* ]] && _files && ret=0
  _describe -o -t options option options && ret=0
  return ret
}
if [[ $funcstack[1] == _quirectl ]]; then
  _quirectl "$@"
else
  compdef _quirectl quirectl
fi
)";
// And in fish: true where these words name the command that is asked of.
constexpr std::string_view kFishFunction = R"(function __quirectl_at
  set -l at ''
  set -l option ''
  set -l tokens (commandline -opc)
  set -e tokens[1]
  for word in $tokens
    if test -n "$option"
      set option ''
    else if string match -q -- '-*' $word
      if __quirectl_takes_value "$at:$word"; or __quirectl_takes_value ":$word"
        set option $word
      end
    else
      set at (__quirectl_command "$at:$word"; or echo $at)
    end
  end
  test "$at" = "$argv[1]"
end
)";

// "COMMAND:OPTION" of each of its options that takes a value.
std::vector<std::string> keys_of_values(const Command& command) {
  std::vector<std::string> keys;
  for (const CommandOption& option : command.options) {
    if (option.positional || option.value.empty()) continue;
    for (const std::string& name : option.names) keys.push_back(command.path + ":" + name);
  }
  return keys;
}

// What bash and zsh read alike: which options take values, and which command a word leads to.
std::string tables(const Command& program) {
  std::string commands;
  std::string takes_value;
  for_each_command(program, [&](const Command& command) {
    for (const Command& inner : command.commands) {
      commands += "    " + shell_quoted(command.path + ":" + inner.name) +
                  ") at=" + shell_quoted(inner.path) + " ;;\n";
    }
    for (const std::string& key : keys_of_values(command)) {
      takes_value += "    " + shell_quoted(key) + ") return 0 ;;\n";
    }
  });
  return "_quirectl_takes_value() {\n  case \"$1\" in\n" + takes_value +
         "  esac\n  return 1\n}\n_quirectl_command() {\n  case \"$1\" in\n" + commands +
         "  esac\n}\n";
}

std::string escaped_for_zsh(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == ':' || letter == '\\') escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

// " 'WORD:HELP'", as _describe takes it.
std::string zsh_described(const std::string& word, const std::string& help) {
  return ' ' + shell_quoted(escaped_for_zsh(word) + ":" + escaped_for_zsh(help));
}

std::string zsh_options(const Command& command) {
  std::string text;
  for (const CommandOption& option : command.options) {
    if (option.positional) continue;
    for (const std::string& name : option.names) text += zsh_described(name, option.help);
  }
  return text;
}

// A case for each option that takes a value: what it may be.
std::string zsh_values(const Command& command) {
  std::string text;
  for (const CommandOption& option : command.options) {
    if (option.positional || option.value.empty()) continue;
    std::string reply = option.file ? "_files" : "_message " + shell_quoted(option.value);
    if (!option.words.empty()) {
      reply = "compadd --";
      for (const std::string& word : option.words) reply += ' ' + shell_quoted(word);
    }
    for (const std::string& name : option.names) {
      text += "    " + shell_quoted(command.path + ":" + name) + ") " + reply + " ;;\n";
    }
  }
  return text;
}

// In single quotes of fish, where a backslash escapes within them.
std::string fish_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

std::string fish_option(const std::string& start, const CommandOption& option) {
  const std::string words =
      option.words.empty() ? std::string() : " -a " + fish_quoted(spaced(option.words));
  if (option.positional) {
    if (!words.empty()) return start + words + '\n';
    return option.file ? start + " -F\n" : std::string();
  }
  std::string line = start;
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!option.value.empty()) line += option.file ? " -r -F" : " -x";
  return line + words + " -d " + fish_quoted(option.help) + '\n';
}

}  // namespace

std::string bash_completion(const Command& program) {
  std::string values;
  std::string words;
  for_each_command(program, [&](const Command& command) {
    values += value_cases(command, command.path);
    words += "    " + shell_quoted(command.path) +
             ") words=" + shell_quoted(spaced(words_behind(command))) +
             (takes_file(command) ? "; files=1" : "") + " ;;\n";
  });
  return "# bash completion of quirectl; made by `quirectl completion bash`\n" +
         std::string(kBashHelpers) + tables(program) + "_quirectl_value() {\n  case \"$1\" in\n" +
         values + "  esac\n  return 1\n}\n_quirectl_behind() {\n  case \"$1\" in\n" + words +
         "  esac\n}\n_quirectl_everywhere=" + shell_quoted(spaced(names_of(program))) + "\n" +
         std::string(kBashFunction);
}

std::string zsh_completion(const Command& program) {
  std::string values;
  std::string behind;
  for_each_command(program, [&](const Command& command) {
    values += zsh_values(command);
    std::string commands;
    std::string plain;
    for (const Command& inner : command.commands) commands += zsh_described(inner.name, inner.help);
    for (const CommandOption& option : command.options) {
      if (!option.positional) continue;
      for (const std::string& word : option.words) plain += ' ' + shell_quoted(word);
    }
    behind += "    " + shell_quoted(command.path) + ") commands=(" + commands + " ) plain=(" +
              plain + " ) options=(" + zsh_options(command) +
              zsh_described("--help", "Print this command's help") + " )" +
              (takes_file(command) ? " files=1" : "") + " ;;\n";
  });
  return "#compdef quirectl\n"
         "# zsh completion of quirectl; made by `quirectl completion zsh`\n" +
         tables(program) + "_quirectl_value() {\n  case \"$1\" in\n" + values +
         "  esac\n}\n_quirectl_behind() {\n  case \"$1\" in\n" + behind +
         "  esac\n}\n_quirectl_everywhere=(" + zsh_options(program) + " )\n" +
         std::string(kZshFunction);
}

std::string fish_completion(const Command& program) {
  std::string paths;
  std::string takes_value;
  std::string lines;
  for_each_command(program, [&](const Command& command) {
    // The program's own options are taken everywhere.
    const std::string here =
        "complete -c quirectl -n " + fish_quoted("__quirectl_at " + fish_quoted(command.path));
    for (const Command& inner : command.commands) {
      paths += "    case " + fish_quoted(command.path + ":" + inner.name) + "\n      echo " +
               fish_quoted(inner.path) + '\n';
      lines += here + " -a " + inner.name + " -d " + fish_quoted(inner.help) + '\n';
    }
    const std::string start = command.path.empty() ? "complete -c quirectl" : here;
    for (const CommandOption& option : command.options) lines += fish_option(start, option);
    for (const std::string& key : keys_of_values(command)) takes_value += ' ' + fish_quoted(key);
  });
  return "# fish completion of quirectl; made by `quirectl completion fish`\n"
         "function __quirectl_takes_value\n  contains -- $argv[1]" +
         takes_value + "\nend\nfunction __quirectl_command\n  switch $argv[1]\n" + paths +
         "    case '*'\n      return 1\n  end\nend\n" + std::string(kFishFunction) +
         "complete -c quirectl -f\ncomplete -c quirectl -l help -d 'Print help'\n" + lines;
}

}  // namespace quire::client
