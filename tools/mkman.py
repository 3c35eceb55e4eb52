#!/usr/bin/python3
"""Manual pages: of each program from the comment at the top of its main file, with the parameters
it uses; postconf.5 from params.def and known.def; the others of section 5 from doc/man5, which are
written in a little of Markdown. Usage: tools/mkman.py DIRECTORY"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = "master smtpd qmgr local smtp pop3d imapd tools".split()
LEFT = ".ad l\n.nh"  # names of parameters must not be hyphenated
FENCE = "\1"  # stands for the ``` of an example while a page is taken apart
UNITS = {"INT": "number", "TIME": "time"}
STRING = r'"(?:[^"\\]|\\.)*"'
ENTRY = re.compile(r'^[PKM]\((\w+), (\w+), (%s), (-?\d+), (-?\d+),\s+(?:(%s(?:\s+%s)*)|(\w+))\)' % (3 * (STRING,)), re.M)


def entries(name):
    text = open(ROOT + "/lib/conf/" + name).read()
    for kind, name, default, low, high, help_text, reason in ENTRY.findall(text):
        unquote = lambda s: re.sub(r"\\(.)", r"\1", "".join(x[1:-1] for x in re.findall(STRING, s)))
        yield re.sub(r"^_(?=\d)", "", name), kind, unquote(default), int(low), int(high), unquote(help_text), reason


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def sentence(text):
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def value(kind, low, high):
    """the last line of a parameter: which values it takes"""
    if kind == "BOOL":
        return "Value: yes or no."
    if kind not in ("INT", "TIME"):
        return ""
    unit = " seconds" if kind == "TIME" else ""
    least = ", at least %d%s" % (low, unit) if low or high else ""
    return "Value: a %s%s%s." % (UNITS[kind], least, ", at most %d%s" % (high, unit) if high else "")


def postconf_5(params, known):
    out = ['.TH POSTCONF 5', LEFT, '.SH NAME', 'postconf \\- parameters of main.cf', '.SH DESCRIPTION',
           roff("A line \"name = value\" of main.cf sets a parameter; a line that begins with white space continues the one\n"
                "before it; a line whose first visible character is # is a comment. $name, ${name} and $(name) stand for values,\n"
                "${name?{a}:{b}} for a if name has a value, else b, and ${{x} == {y} ? {a} : {b}} compares (also != < <= > >=, and\n"
                "with \"level\" behind: compatibility levels). $$ is a $. A time takes a unit: s m h d w (seconds to weeks);\n"
                "without one, it has that of the default. A list is separated by commas or blanks. \"Tables\" are a list of\n"
                "type:name; postconf -m prints the types. The default may depend on compatibility_level."),
           '.SH PARAMETERS']
    for name, kind, default, low, high, text, _ in params:
        out += [".TP", "\\fB%s\\fR (default: %s)" % (roff(name), roff(default) if default else "empty"),
                roff(sentence(text))]
        if value(kind, low, high):
            out += [".br", roff(value(kind, low, high))]
    out += ['.SH "PARAMETERS WITHOUT EFFECT"', "Known from Postfix. One that is set is reported once."]
    for reason, title in (("TUNES", "The feature is not there yet:"), ("GONE", "Nothing needs them:")):
        out += [".PP", title, ".br", roff(", ".join(n for n, *_, r in known if r == reason)) + "."]
    out += [".PP", roff("Refused, because they filter, limit, protect or route mail, unless pombal_accept_missing names them:")]
    for name, *_, effect, reason in known:
        if not reason:
            out += [".TP", "\\fB%s\\fR" % roff(name), roff(effect + ".")]
    return "\n".join(out) + "\n"


def comment(path):
    m = re.match(r"/\*\n((?: \*.*\n)+?) \*/", open(path).read())
    return [line[3:] for line in m[1].splitlines()] if m else None


def uses(folder, program):
    """parameters that the files of a program name; files of a folder are told apart by their prefix"""
    text = ""
    for f in sorted(os.listdir(os.path.join(ROOT, folder))):
        others = [p for p in PROGRAMS.get(folder, ()) if p != program and f.startswith(p) and len(p) > len(program)]
        if f.endswith((".c", ".h")) and not others and (f.startswith(program) or f.split(".")[0] not in PROGRAMS[folder]):
            text += open(os.path.join(ROOT, folder, f)).read()
    return set(re.findall(r"\bconf\.(\w+)", text))


def program_page(name, section, lines, params):
    out = [".TH %s %d" % (name.upper(), section), LEFT, ".SH NAME"]
    body = lines[:]
    if body and body[0].strip() == "NAME":
        body.pop(0)
    for line in body:
        if re.fullmatch(r"[A-Z][A-Z ]+", line):
            out.append('.SH "%s"' % line)
        elif not line.strip():
            out.append(".PP")
        elif line.startswith("        ") or (out[-1] == ".br"):
            out += [".br", roff(line.strip())]
        else:
            out.append(roff(line.strip()))
    if params:
        out.append('.SH "CONFIGURATION PARAMETERS"')
        for n, kind, default, low, high, text, _ in params:
            out += [".TP", "\\fB%s\\fR (%s)" % (roff(n), roff(default) or "empty"), roff(sentence(text))]
    return "\n".join(out) + "\n"


def inline(text):
    """**bold** and `code`"""
    return re.sub(r"\*\*(.+?)\*\*|`(.+?)`", lambda m: "\\fB%s\\fR" % (m[1] or m[2]), roff(text))


def is_term(line):
    return line.startswith("- **")


def item(text):
    """- **TERM**, **TERM**: what it means"""
    end = re.match(r"((?:\*\*.+?\*\*(?:, )?)+): ", text)
    return [".TP", inline(end[1]), inline(text[end.end():])]


def example(lines):
    return [".PP", ".RS 4", ".nf"] + [roff(line) for line in lines] + [".fi", ".RE", ".PP"]


def markdown(name, text):
    """a page of doc/man5: # title, ## section, paragraphs, lists of terms, blocks of examples"""
    title, *blocks = re.split(r"\n\n+(?=\S|    )", re.sub(r"(?ms)^```.*?\n(.*?)^```$", lambda m: FENCE + m[1].replace("\n\n", "\n\0\n"), text))
    out = [".TH %s 5" % name.upper(), LEFT, ".SH NAME", roff(title.lstrip("# "))]
    for block in blocks:
        lines = block.rstrip().split("\n")
        if block.startswith("## "):
            out.append('.SH "%s"' % block[3:].strip())
        elif block.startswith(FENCE):
            out += example([line.replace("\0", "") for line in block[len(FENCE):].rstrip().split("\n")])
        elif block.startswith("    "):
            out += example([line[4:] for line in lines])
        elif is_term(block):
            for entry in re.split(r"\n(?=- )", block.rstrip()):
                out += item(" ".join(entry[2:].split()))
            out.append(".PP")
        else:
            out += [".PP", inline(block.rstrip())]
    return "\n".join(out) + "\n"


def programs():
    found = {}
    for folder in FOLDERS:
        text = open("%s/%s/CMakeLists.txt" % (ROOT, folder)).read()
        names = re.findall(r"pombal_program\(\s*([\w-]+)", text)
        found[folder] = [n for n in names if os.path.exists("%s/%s/%s.c" % (ROOT, folder, n))]
    return found


PROGRAMS = programs()


def main(to):
    os.makedirs(to, exist_ok=True)
    params, known = list(entries("params.def")), list(entries("known.def"))
    pages = {"postconf.5": postconf_5(params, known)}
    for folder, names in PROGRAMS.items():
        for name in names:
            lines = comment("%s/%s/%s.c" % (ROOT, folder, name))
            if lines:
                section = 1 if folder == "tools" else 8
                mine = uses(folder, name)
                pages["%s.%d" % (name, section)] = program_page(name, section, lines, [p for p in params if p[0] in mine])
    for source in sorted(os.listdir(ROOT + "/doc/man5")):
        name = source.removesuffix(".md")
        pages[name + ".5"] = markdown(name, open(ROOT + "/doc/man5/" + source).read())
    for page, text in pages.items():
        with open(os.path.join(to, page), "w") as f:
            f.write(text)
    print("%d pages in %s" % (len(pages), to))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(sys.argv[1])
