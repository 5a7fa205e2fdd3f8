"""Completions for bash, zsh and fish, made of what the commands are declared to be.

Each is a small program that finds out which command the words so far name, and a table of what may follow. What stands
behind an app is the app's: there files are offered, as for every argument that is no directory.
"""

from __future__ import annotations

from collections.abc import Iterator

from tmprun.cli.declared import DIRECTORIES, Declared, Option, all_of

BASH = r"""# bash completion for tmprun
_tmprun()
{
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path= app= word i kind= words=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$path $word" in
            @PATHS@) path="$path $word" ;;
            *" -"*) ;;
            *) [ -n "$path" ] || app=yes ;;
        esac
    done
    [ -z "$app" ] || kind=file
    [ -n "$kind" ] || case "$path/$before" in
@VALUES@
    esac
    [ -n "$kind" ] || case "$path" in
@WORDS@
    esac
    COMPREPLY=()
    case $kind in
        word) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
        directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        nothing) ;;
        *)
            case $cur in -*) [ -n "$app" ] || COMPREPLY=($(compgen -W "$words" -- "$cur")) ;; esac
            if [ ${#COMPREPLY[@]} -eq 0 ]; then
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                [ -n "$path$app" ] || COMPREPLY+=($(compgen -W "$words" -- "$cur"))
            fi ;;
    esac
}
complete -F _tmprun tmprun
"""

ZSH = r"""#compdef tmprun
# zsh completion for tmprun
_tmprun()
{
    local before=${words[CURRENT-1]} path_= app= word kind= i
    local -a commands_ options_ values_
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        case "$path_ $word" in
            @PATHS@) path_="$path_ $word" ;;
            *" -"*) ;;
            *) [[ -n $path_ ]] || app=yes ;;
        esac
    done
    if [[ -n $app ]]; then _files; return; fi
    case "$path_/$before" in
@VALUES@
    esac
    case $kind in
        word) compadd -a values_; return ;;
        directory) _directories; return ;;
        file) _files; return ;;
        nothing) return ;;
    esac
    case "$path_" in
@WORDS@
    esac
    if [[ ${words[CURRENT]} == -* ]]; then _describe -o option options_; return; fi
    (( ! $#commands_ )) || _describe command commands_
    case $kind in
        directory) _directories ;;
        file) _files ;;
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _tmprun "$@"; else compdef _tmprun tmprun; fi
"""

FISH = r"""# fish completion for tmprun
function __tmprun_path
    set -l path
    for word in (commandline -opc)[2..-1]
        switch "$path $word"
            case @PATHS@
                set path "$path $word"
            case '* -*'
            case '*'
                test -n "$path"; or set path ' APP'
        end
    end
    echo "$path"
end
function __tmprun_at
    test (__tmprun_path) = "$argv[1]"
end
"""


def bash(top: Declared) -> str:
    values = (
        f"        {_label(command, name)}) kind={kind} words={_quoted(' '.join(words))} ;;"
        for command, option, name in _values(top)
        for kind, words in [_kind(option)]
    )
    rows = (
        f"        {_quoted(_path(command))}) kind={_rest(command)} words={_quoted(_first_words(command, top))} ;;"
        for command in all_of(top)
    )
    return _filled(BASH, "|".join(_bash_paths(top)), values, rows)


def zsh(top: Declared) -> str:
    values = (
        f"        {_label(command, name)}) kind={kind} values_=({' '.join(words)}) ;;"
        for command, option, name in _values(top)
        for kind, words in [_kind(option)]
    )
    rows = []
    for command in all_of(top):
        commands = " ".join(_described(each.words[-1], each.short) for each in _offered(command, top))
        options = " ".join(_described(name, option.text) for option in command.options for name in option.names)
        setting = f"commands_=({commands}) options_=({options})"
        rows.append(f"        {_quoted(_path(command))}) kind={_rest(command)} {setting} ;;")
    return _filled(ZSH, "|".join(_bash_paths(top)), values, rows)


def fish(top: Declared) -> str:
    lines = [FISH.replace("@PATHS@", " ".join(_bash_paths(top))), "complete -c tmprun -e"]
    for command in all_of(top):
        here = f"complete -c tmprun -n {_fish(f'__tmprun_at {_fish(_path(command))}')}"
        if _rest(command) != "file":
            lines.append(f"{here} -f")
        if _rest(command) == "directory":
            lines.append(f"{here} -a '(__fish_complete_directories)'")
        lines += [f"{here} -a {each.words[-1]} -d {_fish(each.short)}" for each in _offered(command, top)]
        for option in command.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            lines.append(f"{here} {names}{_fish_value(option)} -d {_fish(option.text)}")
    return "\n".join(lines) + "\n"


def _fish_value(option: Option) -> str:
    kind, words = _kind(option)
    wanted = {"directory": " -x -a '(__fish_complete_directories)'", "file": " -r -F", "nothing": " -x"}
    return "" if not option.value else wanted.get(kind, f" -x -a {_fish(' '.join(words))}")


def _values(top: Declared) -> Iterator[tuple[Declared, Option, str]]:
    """Each name of each option that wants a value."""
    for command in all_of(top):
        for option in command.options:
            for name in option.names if option.value else ():
                yield command, option, name


def _kind(option: Option) -> tuple[str, tuple[str, ...]]:
    """What the value of an option is: a word of some, a directory, a file, or nothing that we can offer."""
    if option.choices:
        return "word", option.choices
    if option.value in DIRECTORIES:
        return "directory", ()
    return ("file" if option.value in ("FILE", "OUT", "OUT.png") else "nothing"), ()


def _rest(command: Declared) -> str:
    """What stands behind the options: files, directories, or a word."""
    first = command.default or command
    if not command.words or (first.arguments and first.arguments[0].name not in (*DIRECTORIES, "COMMAND")):
        return "file"
    return "directory" if first.arguments and first.arguments[0].name in DIRECTORIES else "word"


def _first_words(command: Declared, top: Declared) -> str:
    there = command.default.options if command.default else ()
    names = [name for option in (*there, *command.options) for name in option.names]
    return " ".join([*(each.words[-1] for each in _offered(command, top)), *dict.fromkeys(names)])


def _offered(command: Declared, top: Declared) -> tuple[Declared, ...]:
    """The commands that may follow: those below it, or, where a command is asked for, all."""
    asks = [argument for argument in command.arguments if argument.name == "COMMAND"]
    return top.commands if asks else command.commands


def _path(command: Declared) -> str:
    return "".join(f" {word}" for word in command.words)


def _bash_paths(top: Declared) -> list[str]:
    return [_quoted(_path(command)) for command in all_of(top) if command.words]


def _label(command: Declared, name: str) -> str:
    return _quoted(f"{_path(command)}/{name}")


def _described(name: str, text: str) -> str:
    return _quoted(f"{name}:{text}".replace("\\", "\\\\"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _filled(script: str, paths: str, values: Iterator[str], rows: Iterator[str] | list[str]) -> str:
    filled = script.replace("@PATHS@", paths).replace("@VALUES@", "\n".join(values))
    return filled.replace("@WORDS@", "\n".join(rows))
