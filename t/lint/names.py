#!/usr/bin/python3
"""A static function's name in more than five files: a backtrace or "break refuse" cannot say which."""
import collections, os, subprocess, sys

os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MOST = 5
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
if not homes:
    bad = ["nothing"]
    print("names: ctags found no static function")
print("names: no static name in more than %d files" % MOST if not bad else "names: too common")
sys.exit(bool(bad))
