#!/usr/bin/python3
"""Whoever declares a buffer for data must look whether its ceiling was hit.

Every BUF( in the product code needs one of these:
  - buf_ok() of that buffer in the same function (for a member: in the same file);
  - the buffer goes to a function of ASKS, which asks itself and fails;
  - a comment "fits: <why>" on the line of the declaration or the one before it, where the contents
    cannot reach the ceiling, e.g. a number's digits;
  - a comment "asked: <by whom>" there, where a function of the same program asks.
A macro that makes a buffer, or a struct with some, is looked at where it is defined: the comment
above it says that it fits, or who asks. Words for people are BUF_TEXT, which is cut with "..." and
needs nothing. Nobody but lib/base/buf.* reads the member "full".
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = "lib master smtpd qmgr local smtp pop3d imapd tools".split()

# Functions that ask buf_ok() of the buffer they are given, and fail when it is not. Why each is here:
ASKS = {
    "addr_find": "DICT_FAILED when the value is too long",
    "auth_client_send": "hangs up when the line is too long",
    "auth_login_ask": "denies when the line is too long",
    "conf_expand": "fails when the value is too long",
    "conf_file_read": "fails when the file is larger",
    "conn_say": "ends the connection when the line is too long",
    "decode_base64": "false when it does not fit",
    "decode_hex": "false when it does not fit",
    "decode_percent": "false when it does not fit",
    "decode_xtext": "false when it does not fit",
    "dict_file_read": "fails when the file is larger",
    "dict_find": "DICT_FAILED when the value is too long",
    "dict_find_part": "DICT_FAILED when the value is too long",
    "dict_next": "DICT_FAILED when key or value is too long",
    "domain_find": "DICT_FAILED when the value is too long",
    "file_read": "fails when the file is larger",
    "file_read_fd": "fails with EFBIG when the file is larger",
    "folder_record_buf": "folder_commit fails when the record is too long",
    "helper_ask": "fails when the answer is too long",
    "hostaddr_find": "DICT_FAILED when the value is too long",
    "login_line": "answers and ends the session when the line is longer",
    "maps_find": "DICT_FAILED when the value is too long",
    "maps_find_part": "DICT_FAILED when the value is too long",
    "path_parse": "false when the address is too long",
    "path_unquote": "false when the address is too long",
    "postconf_fits": "ends postconf when it is too long",
    "queue_path": "a queue id is at most 40 letters: 256 bytes always suffice",
    "route_find": "DICT_FAILED when the value is too long",
    "sasl_client_step": "SASL_BAD when the answer is too long",
    "sasl_server_step": "SASL_BAD when the challenge is too long",
    "smtpd_line": "LINE_TOO_LONG when the line is longer",
    "stream_line": "LINE_TOO_LONG when the line is longer",
    "stream_line_within": "LINE_TOO_LONG when the line is longer",
    "submit_commit": "the id is ? when it is too long",
    "submit_commit_reply": "the id is ? when it is too long",
    "user_expand": "fails when the text is too long",
    "xtext_decode": "false when it does not fit",
}

DECLARED = re.compile(r"([\w.>\[\]-]+)\s*=\s*(?:\(struct buf\))?BUF\(")

MARK = re.compile(r"\b(fits|asked): ")
CALL = re.compile(r"\b(?:%s)\(" % "|".join(["buf_ok"] + list(ASKS)))


def functions(lines):
    """(first, last) of each function body: layout puts its braces into the first column."""
    first = None
    for i, line in enumerate(lines):
        if line == "{":
            first = i
        elif line.startswith("}") and first is not None:
            yield first, i
            first = None


def span(lines, at):
    """The function around a line, or nothing."""
    return next((range(a, b + 1) for a, b in functions(lines) if a <= at <= b), None)


def excused(lines, at):
    """A mark on the line itself, or in the comment that ends on the line before."""
    if MARK.search(lines[at]):
        return True
    above = at - 1
    while above >= 0 and lines[above].lstrip().startswith(("/*", "*")):
        if MARK.search(lines[above]):
            return True
        above -= 1
    return False


def arguments(text, at):
    """What stands between the parenthesis that opens before at and its end."""
    depth = 1
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[at:i]
    return text[at:]


def asked(text, name):
    last = re.split(r"[.]|->", name)[-1].split("[")[0]
    whole = re.compile(rf"(?<!\w){re.escape(last)}\b(?!\.|->|\[)")
    return any(whole.search(arguments(text, m.end())) for m in CALL.finditer(text))


def check(path):
    lines = path.read_text().split("\n")
    for at, line in enumerate(lines):
        if re.search(r"(?:\.|->)full\b", line) and path.parts[-3:-1] != ("lib", "base"):
            yield at, "reads .full: ask buf_ok()"
        if not re.search(r"\bBUF\(", line) or excused(lines, at):
            continue
        if line.startswith("#define"):
            yield at, "a macro makes a buffer: its comment says why it fits, or who asks"
            continue
        body = span(lines, at)
        names = DECLARED.findall(line)
        for name in names or ["?"]:
            member = body is None or "." in name or "->" in name
            text = "\n".join(lines if member else lines[body.start:body.stop])
            if not asked(text, name):
                yield at, f"nobody asks buf_ok() of {name}"


def main():
    bad = 0
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*.[ch]")):
            if path.name in ("buf.c", "buf.h"):
                continue
            for at, what in check(path):
                print(f"{path.relative_to(TOP)}:{at + 1}: {what}")
                bad += 1
    if bad == 0:
        print("ceilings: every buffer for data is asked whether it was too small")
    return bad > 0


sys.exit(main())
