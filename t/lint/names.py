#!/usr/bin/python3
"""Names: a static function's in more than five files, of which a backtrace or "break refuse" cannot say which; and a file or folder at
the top of the tree that does not belong there."""
import collections, os, subprocess, sys

os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MOST = 5
TOP = set(".ci .clang-format .clang-tidy .gitattributes .gitignore CMakeLists.txt CMakePresets.json LICENSE README bench conf doc imapd lib "
          "local master pop3d qmgr quickstart smtp smtpd t tools".split())
files = subprocess.run(["git", "ls-files", "*.c"], capture_output=True, text=True).stdout.split()
files = [f for f in files if not f.startswith(("t/", "bench/")) and os.path.exists(f)]
out = subprocess.run(["ctags", "-x", "--c-kinds=f", "--_xformat=%N %F %{file}"] + files,
                     capture_output=True, text=True, check=True).stdout
homes = collections.defaultdict(set)
for row in (r.split() for r in out.split("\n")):
    if len(row) == 3 and row[2] != "-":
        homes[row[0]].add(row[1])
bad = sorted((n, sorted(f)) for n, f in homes.items() if len(f) > MOST)
for name, where in bad:
    print("%s is static in %d files (at most %d; prefix it with its module): %s" % (name, len(where), MOST, " ".join(where)))
strangers = sorted({f.split("/")[0] for f in subprocess.run(["git", "ls-files"], capture_output=True, text=True).stdout.split("\n") if f} - TOP)
for name in strangers:
    print("%s: does not belong at the top of the tree" % name)
bad += strangers
if not homes:
    bad = ["nothing"]
    print("names: ctags found no static function")
print("names: no static name in more than %d files" % MOST if not bad else "names: see above")
sys.exit(bool(bad))
