#!/usr/bin/python3
"""Every public function in a header of lib/ has a comment: above it, beside it, or above the group
that it belongs to. A group ends with an empty line; types that the functions need may stand in it. A
time that a function takes has its unit in its name: deadline_ms."""
import glob, os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A prototype at the beginning of a line, over one line or more.
PROTOTYPE = re.compile(r"^(?!typedef|struct \w+ {|static |extern struct|#)[a-z_][\w \*]*?\b(\w+)\([^;{}]*\)[^;{}]*;", re.M | re.S)
TIME = re.compile(r"\b(?:int64_t|int|long|unsigned) \*?(deadline|until|at|timeout|after|interval|delay|wait|age|now|time|lifetime)\s*[,)]")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def faults(path):
    text = open(path).read()
    comments = [m.span() for m in COMMENT.finditer(text)]
    code = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)  # an empty line of a comment is a blank one
    for m in PROTOTYPE.finditer(code):
        end = text.index("\n", m.end())
        line = "%s:%d: %s" % (os.path.relpath(path, ROOT), text[:m.start()].count("\n") + 1, m.group(1))
        for t in TIME.finditer(m.group()):
            yield "%s: %s has no unit" % (line, t.group(1))
        beside = any(m.start() <= a <= end for a, _ in comments)
        # The lines before it, back to the last empty one outside of comments.
        group = max(code.rfind("\n\n", 0, m.start()), 0)
        grouped = any(group <= a and b <= m.start() and text[a - 1] == "\n" for a, b in comments)
        if not beside and not grouped:
            yield "%s has no comment" % line


found = [f for path in sorted(glob.glob(ROOT + "/lib/*/*.h")) for f in faults(path)]
print("\n".join(found) if found else "comments: every public function of lib/ has one, and its times have units")
sys.exit(bool(found))
