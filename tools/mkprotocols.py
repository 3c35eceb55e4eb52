#!/usr/bin/python3
"""doc/protocols.md from lib/ipc: the requests of proto.h, and who may send them, of trust.[ch].

Usage: tools/mkprotocols.py          writes doc/protocols.md
       tools/mkprotocols.py --check  fails when it is out of date (t/lint)

parse() is for tests, too: the table as trust.c has it.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = ROOT + "/doc/protocols.md"
OWNERS = {"TRUST_OWNER": "mail_owner", "TRUST_NETWORK": "network_owner", "TRUST_ROOT": "root, or mail_owner"}
INTRO = """# Protocols between the programs

Made by `tools/mkprotocols.py` from `lib/ipc/proto.h` and `lib/ipc/trust.c`; do not edit.

A message is a list of `name\\0value\\0`, ended by an empty name, on a UNIX stream socket in `public/` or
`private/`; descriptors may ride along. A trigger is one capital letter. `lib/service` looks each request
up in the table below before the program sees it: whoever may not ask is disconnected, and one line is
logged (`refused: smtpd may not ask "deliver" of local`). `doc/security.md` says how a role is known, and
which sockets can be reached at all.
"""


def read(name):
    return open(ROOT + "/lib/ipc/" + name).read()


def between(text, start, end):
    at = text.index(start) + len(start)
    return text[at:text.index(end, at)]


def c_strings(text):
    return dict(re.findall(r'#define (\w+) +"([^"]*)"', text))


def roles():
    """names of enum role in order: the number of each is its place"""
    return re.findall(r"^    ROLE_(\w+),", between(read("trust.h"), "enum role {", "};"), re.M)


def masks(text, names):
    """the sets of roles that trust.c has names for"""
    sets = {}
    body = "TOOL = " + between(text, "enum {\n    TOOL = ", "\n};")
    for name, value in re.findall(r"(\w+) = ((?:[^,(]|\([^)]*\))+)", body):
        sets[name] = set(names) if name == "EVERYBODY" else resolve(value, sets)
    return sets


def resolve(value, sets):
    found = set(re.findall(r"ROLE_BIT\(ROLE_(\w+)\)", value))
    for word in re.findall(r"\w+", re.sub(r"ROLE_BIT\(\w+\)", "", value)):
        if not word.isdigit():
            found |= sets[word]
    return found


def parse():
    """programs: {name: (role, whose uid)}; rules: [(program, request, roles, proof)], roles as names of programs"""
    text, names = read("trust.c"), roles()
    words = {**c_strings(read("proto.h")), **c_strings(text), **c_strings(read("trust.h"))}
    programs = {name: (role, uid) for name, role, uid in
                re.findall(r'\{"(\w+)", ROLE_(\w+), (TRUST_\w+)\}', text)}
    named = {role: name for name, (role, _) in programs.items()}
    named.update(TOOL="tool", ROOT="root", SELF="same user", OTHER="other program")
    sets = masks(text, [n for n in names if n != "COUNT"])
    rules = []
    for program, request, mask, proof in re.findall(
            r'\{"(\w+)",\s*("[^"]*"|\w+),\s*([\w |]+),\s*("[^"]*"|\w+)\}', between(text, "rules[] = {", "\n};")):
        value = lambda s: s.strip('"') if s.startswith('"') else words[s]
        rules.append((program, value(request), {named[r] for r in resolve(mask, sets)}, value(proof)))
    return programs, rules


def comments():
    """the comments of proto.h that describe a socket"""
    for block in re.findall(r"/\*\n(.*?)\*/", read("proto.h"), re.S):
        yield "\n".join(line[3:] if line.startswith(" * ") else "" for line in block.rstrip().split("\n")).strip()


def page():
    programs, rules = parse()
    out = [INTRO, "## Who may ask what\n", "Beside these, root may ask everything: master does, and the administrator.\n",
           "| program asked | request | who may ask | and must bring |", "| --- | --- | --- | --- |"]
    for program, request, askers, proof in rules:
        who = "everybody" if {"smtpd", "qmgr", "tool"} <= askers else ", ".join(sorted(askers))
        shown = "trigger `%s`" % request if re.fullmatch("[A-Z]", request) else "`%s`" % request if request else "(a connection)"
        out.append("| `%s` | %s | %s | %s |" % (program, shown, who, proof or "nothing"))
    out += ["", "`tool` is any process that is no daemon of the suite: the sockets' modes let in `postqueue`, `postdrop`",
            "and whoever else is in `setgid_group`.\n", "## The roles\n",
            "| program | runs as | its group is the first of the block, and |", "| --- | --- | --- |"]
    numbers = {name: i for i, name in enumerate(roles())}
    for name, (role, uid) in programs.items():
        out.append("| `%s` | %s | %d |" % (name, OWNERS[uid], numbers[role]))
    out += ["", "## The messages\n", "As `lib/ipc/proto.h` has them.\n"]
    for text in comments():
        out += ["```", text, "```", ""]
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        old = open(PAGE).read() if os.path.exists(PAGE) else ""
        if old != page():
            print("doc/protocols.md is out of date: tools/mkprotocols.py")
            sys.exit(1)
        print("protocols: doc/protocols.md is up to date")
    else:
        open(PAGE, "w").write(page())
