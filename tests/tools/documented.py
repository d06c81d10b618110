#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""documented.py FILE...: every command that the documents tell a reader to give, one a line: PLACE<tab>KIND<tab>COMMAND.

KIND is "line" for one that stands by itself: in a README's ```sh blocks, in a man page's .Dl lines and literal displays.
It is "mention" for what is quoted within a sentence (.Ql, and double quotes in the comments of other files), which may
lack its arguments. In displays and mentions it has to begin with one of PROGRAMS, and has an argument; what begins so and
is an answer, as "synmoatd 0.1.0 ...", is none. A backslash or a pipe at its end joins lines. Placeholders stay as they
are: <address>."""

import re
import sys

PROGRAMS = """synmoatctl synmoatd systemctl systemd-analyze journalctl apt dpkg apt-get make adduser usermod nft sysctl curl
conntrack conntrackd ss nstat ip tcpdump socat echo keepalived promtool sudo for git install lintian cp tar
synmoat-notify""".split()
ESCAPES = {r'\(dq': '"', r'\(aq': "'", r'\e': '\\', r'\-': '-', r'\&': '', r'\(en': '-', r'\~': ' ', r'\ ': ' '}


def plain(text):
    """What troff makes of it."""
    for escape, is_ in ESCAPES.items():
        text = text.replace(escape, is_)
    return text


def is_command(text):
    words = text.split()
    if len(words) < 2 or words[0] not in PROGRAMS:
        return False
    said = words[1][0].isdigit() if words[0] == 'synmoatd' else words[0] == 'for' and '; do ' not in text
    return not said


def quoted(rest):
    """The argument of .Ql: macros in it name placeholders, punctuation at its end is not part of it."""
    rest = re.sub(r'(?<=\s)[.,;:)]+\s*$|(?<=\s)(Ns|No)\s.*$|(?<=\s)Pq\s.*$', '', rest + ' ').strip()
    rest = re.sub(r'\bAr\s+(\S+)', r'<\1>', rest)
    return plain(re.sub(r'\b(Cm|Fl|Li|Pa)\s+', '', rest)).strip()


def of_man(lines):
    display = False
    for number, line in lines:
        if line.startswith('.Bd -literal'):
            display = True
        elif line.startswith('.Ed'):
            display = False
        elif line.startswith('.Dl '):
            yield number, 'line', plain(line[4:])
        elif display and not line.startswith('.') and is_command(plain(line)):
            yield number, 'line', plain(line)
        elif line.startswith('.Ql ') and is_command(quoted(line[4:])):
            yield number, 'mention', quoted(line[4:])


def of_readme(lines):
    shell = False
    for number, line in lines:
        if line.startswith('```'):
            shell = line.strip() == '```sh'
        elif shell and line.strip() and not line.startswith('#'):
            yield number, 'line', re.sub(r'\s+#\s.*$', '', line)


def of_comments(lines):
    for number, line in lines:
        for text in re.findall(r'"([^"]+)"', line):
            if is_command(text) and line.lstrip().startswith('#'):
                yield number, 'mention', text


def joined(lines):
    """Lines that end with a backslash go on in the next, and so do those that end with a pipe."""
    held, start = '', 0
    for number, line in enumerate(lines, 1):
        start = start or number
        if line.endswith(' |\n'):
            held += line.rstrip('\n') + ' '
            continue
        if line.rstrip('\n').endswith('\\') and not line.startswith('.\\"'):
            held += line.rstrip('\n')[:-1] + ' '
            continue
        yield start, held + line.rstrip('\n')
        held, start = '', 0


def main():
    for path in sys.argv[1:]:
        reader = of_readme if path.endswith('.md') else of_man if re.search(r'\.\d$', path) else of_comments
        with open(path, encoding='utf-8') as file:
            for number, kind, command in reader(joined(file)):
                print(f'{path}:{number}\t{kind}\t{" ".join(command.split())}')


main()
