#!/usr/bin/python3
"""params.def: in order, no name twice or in known.def too; lists those that no program uses yet. doc/parameters.md has the reason of
each name of known.def, and of no other."""
import fnmatch, glob, os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def names(path):
    return re.findall(r"^[A-Z]+\(\s*(?:[A-Z]+\s*,\s*)?([A-Za-z_0-9]+)", open(path).read(), flags=re.M)


def program_text():
    for top in "lib master smtpd qmgr local smtp pop3d imapd tools".split():
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            for f in files:
                if f.endswith((".c", ".h")):
                    yield open(os.path.join(folder, f), errors="replace").read()


params = names(ROOT + "/lib/conf/params.def")
known = names(ROOT + "/lib/conf/known.def") if os.path.exists(ROOT + "/lib/conf/known.def") else []
bad = ["params.def: %s stands after %s" % (b, a) for a, b in zip(params, params[1:]) if a > b]
twice = {n for n in params if params.count(n) > 1} | (set(params) & set(known))
bad += ["params.def: %s is declared twice" % n for n in sorted(twice)]
text = "\n".join(program_text())
# What is missing must not be there: whoever adds it takes its line out of missing.def.
missing = open(ROOT + "/lib/conf/missing.def").read()
there = "".join(open(p).read() for p in glob.glob(ROOT + "/smtpd/smtpd_*.c") + [ROOT + "/lib/dict/dict.c"])
bad += ["missing.def: %s is there" % n for kind, n in re.findall(r"^([RT])\((\w+)", missing, flags=re.M)
        if ('{"%s", ' % n if kind == "R" else "&dict_%s," % n) in there]
used = set(re.findall(r"\bconf\.([A-Za-z_0-9]+)", text)) | set(re.findall(r'"([A-Za-z_0-9]+)"', text))
# conf_use_lmtp gives the value of lmtp_x to the users of smtp_x.
used |= {n.replace("smtp_", "lmtp_", 1).replace("lmtp_helo", "lmtp_lhlo").replace("discard_ehlo", "discard_lhlo") for n in used}
# conf_int_of("local", "_destination_recipient_limit", ...) reads local_destination_recipient_limit.
computed = tuple(re.findall(r'_of\(\s*\w+,\s*"(_[a-z_]+)"', text) + re.findall(r'read_feedback\(\w+, "(_[a-z_]+)"', text))
used |= {n for n in params if n.endswith(computed)}
unused = [n for n in params if n not in used]
# Of a line of a table, the names in its first column.
reasons = [n for line in open(ROOT + "/doc/parameters.md") if line.startswith("| `") for n in re.findall(r"`([^`]+)`", line.split("|")[1])]
bad += ["doc/parameters.md: no reason for %s" % n for n in known if not any(fnmatch.fnmatchcase(n, r) for r in reasons)]
bad += ["doc/parameters.md: %s has an effect" % r for r in reasons if not any(fnmatch.fnmatchcase(n, r) for n in known)]
print("params: %d declared, %d known without effect, %d without a user: %s"
      % (len(params), len(known), len(unused), " ".join(unused)))
print("\n".join(bad) if bad else "params: in order")
sys.exit(bool(bad))
