# What zsh's own completion offers at the end of a line, one word a line: a zsh at a terminal of its
# own loads the completion, the line is typed, and Tab.
#
# zsh -f zsh_offers.zsh HOW FOLDER LINE
#   source, fpath: FOLDER/_quirectl is the completion, and is loaded so
#   installed: zsh's own path of functions has it; FOLDER is for files of this script
zmodload zsh/zpty || exit 3
folder=$2
offers=$folder/offers
: >$offers
load=true
fpath_of=''
[[ $1 == source ]] && load="source $folder/_quirectl"
[[ $1 == fpath ]] && fpath_of="fpath=($folder \$fpath)"
cat >$folder/setup <<SETUP
PROMPT=''
$fpath_of
autoload -Uz compinit
compinit -D -u
$load
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
cd $folder
compadd() {
  # Those that only ask which words would match, or keep them in an array, offer nothing.
  if [[ " \${@[1,(i)(-|--)]}" == *' '-(O|A|D)* ]]; then
    builtin compadd "\$@"
    return
  fi
  local -a matching
  builtin compadd -A matching "\$@"
  (( \$#matching )) && print -rl -- \$matching >>$offers
  builtin compadd "\$@"
}
ended() { exit 0 }
comppostfuncs=(ended)
SETUP
zpty typed zsh -f -i
zpty -w typed "source $folder/setup"
zpty -w -n typed "$3"$'\t'
while zpty -r typed >/dev/null; do :; done
cat $offers
