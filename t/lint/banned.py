#!/usr/bin/python3
"""Calls that block, or that have one home each."""
import os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOMES = {
    r"\b(getpwnam|getpwuid|getgrnam|getgrgid|getpwent)(_r)?\s*\(": [
        "lib/dict/dict_system.c", "lib/auth/user.c", "lib/login/session_fork.c", "lib/service/", "master/", "tools/",
        # the recipient of this delivery; user= of master.cf, before the jail
        "local/local_user.c", "local/pipe_argv.c"],
    # names in inet_interfaces, before the jail
    r"\b(getaddrinfo|gethostbyname|getnameinfo)\s*\(": ["lib/route/classes.c", "lib/service/interfaces.c"],
    r"\b(syslog|setjmp|longjmp|system|popen)\s*\(": [],
    r"\b(sleep|usleep|nanosleep)\s*\(": ["tools/", "lib/service/service_datagrams.c"],
    r"\b(fsync|fdatasync|syncfs)\s*\(": ["lib/task/", "lib/base/file.c", "tools/", "lib/dict/"],
}
# A mailbox's bytes are reached through blobs.h, so that they need not lie in a Maildir.
MAILDIR = re.compile(r'"/?(cur|new|tmp)[/"]')
MAILDIR_HOMES = ["lib/store/blobs.c", "lib/store/store_watch.c"]


def faults():
    for top in "lib master smtpd qmgr local smtp pop3d imapd tools".split():
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(n for n in names if n.endswith(".c")):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                text = open(os.path.join(ROOT, path), errors="replace").read()
                text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
                if path.startswith("lib/store/") and path not in MAILDIR_HOMES:
                    for number, line in enumerate(text.split("\n"), 1):
                        if MAILDIR.search(line):
                            yield "%s:%d: not through store/blobs.h: %s" % (path, number, line.strip())
                text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
                for number, line in enumerate(text.split("\n"), 1):
                    for pattern, homes in HOMES.items():
                        if re.search(pattern, line) and not any(path.startswith(h) for h in homes):
                            yield "%s:%d: %s" % (path, number, line.strip())


found = list(faults())
print("\n".join(found) if found else "banned: no blocking call outside its home")
sys.exit(bool(found))
