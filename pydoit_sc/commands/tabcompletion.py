"""`tabcompletion`: print the completion script of a shell, which calls commands/completion.py at every Tab."""

from __future__ import annotations

from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import parse_choice

_BASH = r"""
_pydoit_sc() {
    mapfile -t COMPREPLY < <(
        COMP_WORDBREAKS=$COMP_WORDBREAKS "$1" tabcompletion --complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null
    )
    COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
}
complete -o nospace -o default -F _pydoit_sc pydoit-sc
"""

_ZSH = r"""
_pydoit_sc() {
    local offer
    local -a whole begun whole_shown begun_shown list
    for offer in ${(f)"$($words[1] tabcompletion --complete zsh "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"}; do
        local word=${offer%%$'\t'*} purpose=${offer#*$'\t'}
        local shown=${word% }${purpose:+  -- $purpose}
        [[ -n $purpose ]] && list=(-l)
        if [[ $word == *' ' ]]; then
            whole+=("${word% }") whole_shown+=("$shown")
        else
            begun+=("$word") begun_shown+=("$shown")
        fi
    done
    (( $#whole + $#begun )) || { _files; return }
    (( $#whole )) && compadd $list -d whole_shown -- "${whole[@]}"
    (( $#begun )) && compadd -S '' -d begun_shown -- "${begun[@]}"
}
compdef _pydoit_sc pydoit-sc
"""

_FISH = r"""
function __pydoit_sc
    set -l program (commandline -opc)[1]
    set -l offers ($program tabcompletion --complete fish (commandline -cp | string collect) 2>/dev/null | string replace -r ' ?\t' \t)
    if test (count $offers) -gt 0
        printf '%s\n' $offers
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c pydoit-sc -f -a '(__pydoit_sc)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


class TabCompletionCommand(Command):
    """Print a completion script."""

    name = "tabcompletion"
    doc_usage = "bash|zsh|fish"
    doc_description = (
        "Commands, options, their values and the names of stages and runs are completed, of many runs part by part: "
        "`month:`, `month:2012-`. Where nothing of this fits, files are. The first Tab reads the batchfile; what it says "
        "is kept in $XDG_CACHE_HOME/pydoit-sc (~/.cache/pydoit-sc) until it changes.\n"
        "\n"
        "In ~/.bashrc: `source <(pydoit-sc tabcompletion bash)`; in ~/.zshrc, behind `compinit`: "
        "`source <(pydoit-sc tabcompletion zsh)`; in ~/.config/fish/config.fish: `pydoit-sc tabcompletion fish | source`."
    )

    def call(self, _: dict[str, Any], words: list[str]) -> int:
        """Print the script."""
        print(_SCRIPTS[parse_choice(self.one(words, "bash, zsh or fish"), tuple(_SCRIPTS), "SHELL")].strip())
        return 0
