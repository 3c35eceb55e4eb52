#!/usr/bin/python3
"""Layers: no lower layer of lib/ includes a higher one, no program includes another program or a
header that is not its own, base names are unique, each foreign library has its one module."""
import os, re, sys

LAYERS = "base task mail net conf milter ipc dict route queue auth store service login".split()
PURE = {"mail": ["base"]}  # lib/mail is pure: of the lower layers it sees lib/base only
PROGRAMS = "master smtpd qmgr local smtp pop3d imapd tools".split()
FOREIGN = {
    r"^ares": ["lib/net/dns"],
    r"^openssl/": ["lib/net/tls", "lib/base/digest.c", "lib/auth/"],
    r"^db\.h$": ["lib/dict/dict_bdb"],
    r"^pcre2": ["lib/dict/dict_pcre"],
    r"^seccomp\.h$": ["lib/service/jail_seccomp", "lib/service/jail_refused"],
    r"^idn2\.h$": ["lib/mail/idna"],
    r"^unicase\.h$": ["lib/base/utf8_fold"],
    r"^crypt\.h$": ["lib/auth/password"],
    r"^iconv\.h$": ["lib/mail/charset"],
    r"^sys/(inotify|epoll)\.h$": ["lib/task/"],
}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def sources():
    for top in ["lib"] + PROGRAMS:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def check_file(path):
    parts = path.split("/")
    for number, line in enumerate(open(os.path.join(ROOT, path), errors="replace"), 1):
        where = "%s:%d" % (path, number)
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        quote, target = m.groups()
        if quote == "<":
            for pattern, allowed in FOREIGN.items():
                if re.match(pattern, target) and not any(path.startswith(a) for a in allowed):
                    yield "%s: %s is for %s only" % (where, target, ", ".join(allowed))
            continue
        layer = target.split("/")[0]
        if "/" in target and layer in LAYERS:
            if not os.path.exists(os.path.join(ROOT, "lib", target)):
                yield "%s: no such header %s" % (where, target)
            if parts[0] == "lib":
                own = parts[1]
                if LAYERS.index(layer) > LAYERS.index(own):
                    yield "%s: lib/%s may not include lib/%s" % (where, own, layer)
                elif layer != own and own in PURE and layer not in PURE[own]:
                    yield "%s: lib/%s may include only lib/%s" % (where, own, ", ".join(PURE[own]))
        elif "/" in target:
            yield "%s: %s is neither a layer nor of this folder" % (where, target)
        elif parts[0] == "lib":
            yield "%s: write the layer: %s/%s" % (where, parts[1], target)
        elif not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
            yield "%s: %s is not in this folder" % (where, target)


def faults():
    seen = {}
    for path in sources():
        folder, name = os.path.split(path)
        if seen.setdefault(os.path.splitext(name)[0], folder) != folder:
            yield "%s: its base name stands in %s too" % (path, seen[os.path.splitext(name)[0]])
        yield from check_file(path)


found = list(faults())
print("\n".join(found) if found else "includes: every layer in its place")
sys.exit(bool(found))
