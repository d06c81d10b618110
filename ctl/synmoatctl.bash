# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bash completion for synmoatctl: its commands, and what the running daemon knows: services, lists, bans. Needs no
# package bash-completion. When no daemon answers, or not within a second, it is silent.

# What the daemon answers, by the program and the socket of the command line.
_synmoatctl_ask()
{
    timeout 1 "${_synmoatctl_program[@]}" "$@" 2>/dev/null
}

# From the words before the one at the cursor: those of the command, the program with its -s as a command line, and the
# last of all.
_synmoatctl_split()
{
    local i
    local -a words=("$@")
    _synmoatctl_words=()
    _synmoatctl_program=("${words[0]}")
    _synmoatctl_last=${words[-1]}
    for ((i = 1; i < ${#words[@]}; i++)); do
        case ${words[i]} in
            -s | --socket)
                [ -z "${words[i + 1]:-}" ] || _synmoatctl_program+=(-s "${words[i + 1]}")
                i=$((i + 1)) ;;
            -*) [ ${#_synmoatctl_words[@]} -eq 0 ] || _synmoatctl_words+=("${words[i]}") ;;
            *) _synmoatctl_words+=("${words[i]}") ;;
        esac
    done
}

# Names, and endpoints: a name may stand for several.
_synmoatctl_services() { _synmoatctl_ask services | awk 'NR > 1 && !/^ / { print $1; print $2 }' | sort -u; }

# What was added by hand: that alone can be taken back.
_synmoatctl_live() { _synmoatctl_ask "$1" list | awk '/ live$/ { print $1 }'; } # allow|deny
_synmoatctl_banned() { _synmoatctl_ask ban list | awk 'NR > 1 { print $1 }'; }

# The words that may come next, one per line.
_synmoatctl_next()
{
    local verb=${_synmoatctl_words[0]:-} last=$_synmoatctl_last
    case $verb:${#_synmoatctl_words[@]} in
        :*) printf '%s\n' status services sources events top metrics explain allow deny ban config check secret \
            version help arm disarm auto reload --json -s -h -V ;;
        allow:1 | deny:1) printf '%s\n' list add del ;;
        ban:1) printf '%s\n' list lift ;;
        config:1) echo show ;;
        secret:1) printf '%s\n' show-epoch rotate ;;
        arm:1 | disarm:1 | auto:1) _synmoatctl_services ;;
        allow:2 | deny:2) [ "$last" != del ] || _synmoatctl_live "$verb" ;;
        ban:2) [ "$last" != lift ] || _synmoatctl_banned ;;
        sources:*)
            case $last in
                --top) ;;
                --by) printf '%s\n' half-open challenged ;;
                *) printf '%s\n' --top --by --json ;;
            esac ;;
        events:*) [ "$last" = --last ] || printf '%s\n' --last --follow --json ;;
        top:*) [ "$last" = --interval ] || printf '%s\n' --interval --once ;;
        explain:1) ;;
        *) echo --json ;;
    esac
}

# readline cuts the line at colons, too, and replaces only what is behind the last one: we cut it at blanks, and leave that
# part of each answer.
_synmoatctl()
{
    local line=${COMP_LINE:0:COMP_POINT} word kept='' next
    local _synmoatctl_last
    local -a words _synmoatctl_words _synmoatctl_program
    COMPREPLY=()
    read -ra words <<<"$line"
    word=''
    if [[ $line != *[[:blank:]] ]]; then
        word=${words[-1]}
        unset 'words[-1]'
    fi
    [ ${#words[@]} -gt 0 ] || return
    _synmoatctl_split "${words[@]}"
    if [[ $_synmoatctl_last = -s || $_synmoatctl_last = --socket ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    [[ $word != *:* || $COMP_WORDBREAKS != *:* ]] || kept=${word%:*}:
    while IFS= read -r next; do
        [[ $next != "$word"* ]] || COMPREPLY+=("${next#"$kept"}")
    done < <(_synmoatctl_next)
}

complete -F _synmoatctl synmoatctl
