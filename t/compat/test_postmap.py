"""postmap and postalias: tables of either suite are read by the other, and questions, dumps, warnings and exit codes are
the same."""
import os, random, re, shutil, subprocess, tempfile

import pytest

import pombal

POSTMAP, POSTALIAS = "/usr/sbin/postmap", "/usr/sbin/postalias"
pytestmark = pytest.mark.skipif(not os.path.exists(POSTMAP), reason="needs Debian's Postfix")

SOURCES = {
    "plain": b"a b\nc\td e \nKey Value\n",
    "comments": b"# one\na b\n  # two\n\n \t\n#three\nc d",
    "continued": b"a b\n c\n# x\n  d\ne f\n\n g\n",
    "leading": b" a b\nc d\n",
    "quoted": b'"a b" c\n"a"b d\n\\"x y\n"un closed\n"esc \\" q" v\n"" empty\nq"" w\n',
    "wrong": b"novalue\nkey: value\n:\n\ta\nx  \n",
    "twice": b"a 1\nA 2\na 3\n",
    "bytes": b"caf\xc3\xa9 1\nbad\xff 2\nk \xfe\nk2 \xc3\xa9\n",
    "crlf": b"a b\r\nc d\r\n",
    "long": b"k " + b"v" * 20000 + b"\n" + b"l" * 5000 + b" v\n",
    "many": b"".join(b"key%d value%d\n" % (i, i * 7) for i in range(3000)),
    "empty": b"",
}
ALIASES = {
    "plain": b"a: b\nC: d, e\n",
    "kinds": b'a: "|cmd x, y", /file, :include:/x, b@c.d\nb: |cmd, \\c\nc: "q w"@x\n',
    "spaces": b"a : b ,c\n  , d\nb:c\n\td\n",
    "wrong": b"a\nb:\n: c\nd@e: f\ng%h: i\nj,k: l\n m: n\n",
    "quoted": b'"a b": c\n"d:e": f\n"g@h": i\n"": j\n"k: l\n',
    "comments": b"a: (x) b (y)\n# c\nd: e # f\n",
    "groups": b"a: g: b, c;\nd: <e@f>, G H <i@j>\n",
    "odd": b"a: b;c\nd: [x\ne: f)\ng: h\\ i\nk: <@a,@b:c@d>, <>\n",
    "twice": b"a: 1\nA: 2\n",
    "bytes": b"caf\xc3\xa9: 1\nx\xff: 2\n",
}


def clean(text, names=("ours", "theirs")):
    text = re.sub(r"\b(%s)\b" % "|".join(names), "NAME", text)
    text = re.sub(r"[\x80-\uffff?]+", "?", text)
    return re.sub(r"^(post\w+: (?:warning|fatal|usage)?)", r"\1", text, flags=re.M)


class Place:
    def __init__(self, path):
        self.path = path
        os.mkdir(self.path + "/etc")
        with open(self.path + "/etc/main.cf", "w") as f:
            f.write("compatibility_level = 3.6\nmyhostname = mail.example.com\ndefault_database_type = hash\n")

    def run(self, program, *args, input=b""):
        r = subprocess.run([program] + list(args), input=input, capture_output=True, cwd=self.path,
                           env={"MAIL_CONFIG": self.path + "/etc", "PATH": "/usr/sbin:/usr/bin:/bin"})
        return r.returncode, r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")

    def write(self, name, data):
        with open(self.path + "/" + name, "wb") as f:
            f.write(data)


@pytest.fixture
def place():
    path = tempfile.mkdtemp(prefix="postmap-compat-", dir="/tmp")
    os.chmod(path, 0o755)  # for users that own tables, which a folder of pytest's is not
    yield Place(path)
    shutil.rmtree(path, ignore_errors=True)


def ours(tool):
    return pombal.BIN + "/" + tool


def dump(place, program, spec):
    code, out, _ = place.run(program, "-s", spec)
    assert code == 0
    out = re.sub(r"(YP_LAST_MODIFIED:?)\t\d+", r"\1\tTIME", out)
    return sorted(out.splitlines())


@pytest.mark.parametrize("kind", ["hash", "btree"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_table_of_either_is_read_by_the_other(place, kind, source):
    made = {}
    for name, program in (("ours", ours("postmap")), ("theirs", POSTMAP)):
        place.write(name, SOURCES[source])
        made[name] = place.run(program, "%s:%s" % (kind, name))
    assert made["ours"][0] == made["theirs"][0] == 0
    assert set(clean(made["ours"][2]).splitlines()) == set(clean(made["theirs"][2]).splitlines())
    assert dump(place, POSTMAP, kind + ":ours") == dump(place, POSTMAP, kind + ":theirs")
    assert dump(place, ours("postmap"), kind + ":theirs") == dump(place, ours("postmap"), kind + ":ours")
    keys = [line.split("\t")[0] for line in dump(place, POSTMAP, kind + ":theirs")]
    keys = [k for k in keys if k][:6] + ["nosuch"]
    for key, text in [("-", "\n".join(keys) + "\n"), (keys[0], ""), ("nosuch", "")]:
        answers = {place.run(program, "-q", key, kind + ":" + name, input=text.encode())[:2] for program in (POSTMAP, ours("postmap"))
                   for name in ("ours", "theirs")}
        assert len(answers) == 1, (key, answers)


@pytest.mark.parametrize("source", ALIASES)
def test_alias_databases_are_the_same(place, source):
    made = {}
    for name, program in (("ours", ours("postalias")), ("theirs", POSTALIAS)):
        place.write(name, ALIASES[source])
        made[name] = place.run(program, name)
    assert made["ours"][0] == made["theirs"][0] == 0
    assert clean(made["ours"][2]) == clean(made["theirs"][2])
    mine, other = dump(place, POSTALIAS, "hash:ours"), dump(place, POSTALIAS, "hash:theirs")
    assert mine == other
    assert dump(place, ours("postalias"), "hash:theirs") == mine


QUESTIONS = [
    ["-q", "a", "hash:t"], ["-q", "A", "hash:t"], ["-f", "-q", "A", "hash:t"], ["-q", "zz", "hash:t"], ["-q", "", "hash:t"],
    ["-q", "a", "t"], ["-q", "zz", "hash:t", "static:x"], ["-q", "a", "hash:missing"], ["-q", "a", "nosuch:x"],
    ["-q", "a", "static:{ b c }"], ["-q", "a", "inline:{a=b, {c = d e}}"], ["-q", "c", "inline:{a=b, {c = d e}}"],
    ["-q", "a", "inline:{a}"], ["-q", "a", "inline:{}"], ["-s", "inline:{a=b}"], ["-q", "a", "unionmap:{static:x,static:y}"],
    ["-q", "a", "unionmap:{inline:{b=c},static:y}"], ["-q", "a", "pipemap:{inline:{a=b},inline:{b=c}}"],
    ["-q", "a", "pipemap:{inline:{a=b},inline:{c=d}}"], ["-q", "a", "randmap:{x,x}"], ["-q", "a", "randmap:{}"],
    ["-q", "a", "unionmap:x"], ["-q", "a", "static:{"], ["-q", "root", "unix:passwd.byname"], ["-q", "a", "unix:x"],
    ["-d", "a", "texthash:t"], ["-d", "k", "static:x"], ["-d", "a", "hash:missing"], ["pcre:t"], ["texthash:t"], ["hash:missing"],
    ["-q", "a", "-d", "b", "hash:t"], ["-Z"], [], ["-q", "a", "pcre:missing"], ["-s", "hash:missing"],
    ["-q", "a", "btree:t"], ["-m", "-q", "a", "hash:t"], ["-hm", "-q", "a", "hash:t"],
]


@pytest.mark.parametrize("args", QUESTIONS, ids=" ".join)
def test_questions_have_the_same_answers(place, args):
    place.write("t", b"a 1\nb 2\n")
    place.run(POSTMAP, "hash:t")
    mine, theirs = place.run(ours("postmap"), *args), place.run(POSTMAP, *args)
    assert mine[:2] == theirs[:2]
    theirs = "\n".join(l for l in clean(theirs[2]).splitlines() if not l.startswith("BDB"))
    assert clean(mine[2]).replace(": ?", ": '").strip() == theirs.replace(": ?", ": '").strip()


RULES = {
    "pcre": "/^(.*)@a\\.b$/ ${1}-$1\nif /x/\n!/y/i notlower\n/XY/ found\nendif\n/^d.e$/s dot\n/q(w)?(e)/ [$1|$2]\n/\\/s/ sl\n|p\\|e| pipe\n/z(z)/ $0\n"
            "/noresult/\n/bad(/ x\nendif\n/$9(a)/ b\n/g$/ $$1\nif !/zz/\n/last/ l\nendif\n/^\\s/ blank\n/U/U x\n",
    "regexp": "/^(.*)@a\\.b$/ ${1}-$1\nif /x/\n!/y/i notlower\n/XY/ found\nendif\n/^de/!/def/ de\n/q(w)?(e)/ [$1|$2]\n"
              "/noresult/\n/bad\\(/ x\nendif\n/g$/ $$1\nif !/zz/\n/last/ l\nendif\n/a+/x plus\n/z(z)/ $0\n"
              "if /one/!/two/\n/o/ in\nendif\n!/three/!!/four/ neither\n",
    "cidr": "10.0.0.0/8 ten\n!10.0.0.0/7 nine\nif 192.168.0.0/16\n192.168.1.0/24 one\nendif\n2001:db8::/32 doc\n[::1] loop\n"
            "[2001:db9::/32] bracketed\n![::/1] no\n[[::2]/128] x\n::ffff:127.0.0.0/104 mapped\n[::ffff:10.0.0.0]/97 wrong\n"
            "1.2.3.6\n1.2.3.4 exact\n1.2.3.4/33 bad\n1.2.3.4/24 bits\nx y\n0.0.0.0/0 any\n::/0 any6\n",
}
KEYS = {
    "pcre": ["u@a.b", "U@A.B", "x", "xy", "XY", "d\te", "dfe", "qe", "qwe", "a/s", "p|e", "noresult", "bad(", "g", "last", "lastzz",
             " s", "u", "zz", ""],
    "regexp": ["u@a.b", "U@A.B", "x", "xy", "XY", "dex", "def", "qe", "qwe", "noresult", "bad(", "g", "last", "lastzz", "a+", "aa", "zz",
               "one", "onetwo", "threeo", "fouro", "threefour"],
    "cidr": ["10.1.2.3", "11.1.2.3", "12.0.0.1", "192.168.1.2", "192.168.2.2", "2001:db8::1", "2001:DB8:0:0::1", "2001:db9::1", "fe80::1", "::2", "::1", "1.2.3.4",
             "127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:7f00:1",
             "1.2.3.5", "1.2.3.6", "name", "1.2.3"],
}


@pytest.mark.parametrize("kind", RULES)
def test_rules_answer_as_postfix_s(place, kind):
    place.write("t", RULES[kind].encode())
    for key in KEYS[kind]:
        mine, theirs = (place.run(p, "-q", key, kind + ":t") for p in (ours("postmap"), POSTMAP))
        assert mine[:2] == theirs[:2], (key, mine, theirs)
        lines = lambda text: {m for m in re.findall(r"line (\d+)", text)}
        assert lines(mine[2]) == lines(theirs[2]), (mine[2], theirs[2])


# What stands in a group is the longest from the left, which Perl's way of matching would not find.
PATTERNS = [
    r"/(a|ab)(c|bcd)(d*)/ $1|$2|$3", r"/(a*)(ab)*(b*)/ $1|$2|$3", r"/x(a|ab|abc)(.*)$/ $1|$2", r"/(.*)(b.*)/ $1|$2",
    r"/((a|b)*)(c?)/ $1|$2|$3", r"/(foo|foobar)(.*)/ $1|$2", r"/^(.+)\.(exe|exec)$/ $1|$2", r"/name=(.*\.exe)/ $1",
    r"/name=[^>]*\.(bat|com|exe|dll|vbs)/ $1", r"/^([^@]+)@(.*)$/ $2|$1", r"/(a?)(a?)(a?)aaa/ $1|$2|$3", r"/(^|-)b/ [$1]",
    r"/(a|b)$|c/ [$1]", r"/([A-Z]+)/i $1", r"/([[:upper:]]+)/ $1", r"/([+-Z]+)/ $1", r"/([^]a]+)/ $1", r"/([\\w]+)/ $1",
    r"/\<(\w+)\>/ $1", r"/(\W)$/ [$1]", r"/a{,2}(b{1,2})/ $1", r"/(b)(c)?/ $1|$2", r"/\(a\)\(b*\)/x $1|$2", r"/^b(.*)/m $1",
    r"/([^x]*)x/m $1", r"/(a||b)c/ [$1]", r"/()a/ [$1]", r"/a**(b)/ $1", r"/(*a)/ x", r"/a|*b/ x", r"/(\d+)/ $1", r"/(\n)/i $1",
    r"/[[.a.]](.)/ $1", r"/[[=a=]](.)/ $1", r"/a)(b)/ $1", r"/a{(b)/ $1", r"/(?:a)/ x", r"/a*?b/ x", r"/[[:<:]]a/ x",
    r"/(ab)!*/!/abc/ $1", r"!/a/!/b/ x", r"/a/! ! /b/ x", r"!/a/!!/b/i x", r"!/a/ x", r"/$^/ empty", r"/(a$)*b/ x", r"/\.(com|net)\.?$/ $1", r"/#(.)/ $1", r"/ (.) / $1",
    r"/([^ -~])/ $1", r"/([!-~]+)$/ $1", r"/([+-z]+)/ $1", r"/([Z-~])/ $1", r"/([_-~])/ $1", r"/([A-z]+)/i $1", r"/([.@])(.)/ $1|$2",
    r"/([=])/ $1", r"/(.*?)b/ $1", r"/(a+?)(b??)/ $1|$2", r"/((a*)+)b/ $1", r"/(\D)/ $1", r"/(\T)|(\d)/ $1|$2", r"/(a|^)b/ [$1]",
    r"/(b|$)a/ [$1]", r"/a$|^b/ x", r"/(a{1,2}?)b/ $1",
]
PATTERN_KEYS = ["abcd", "xabcd", "aabb", "foobarbaz", "a.exec", "x.EXE", "name=a.exe name=b.exe;", "name=a.dll>b.com", "u@A.B", "aaaa",
                "a-b", "b", "c", "ABC", "+Z_[", "]x", "\\w", "one two", "n", "d1", "ac", "bc", "a)b", "a{b", "*a", "?:a", "a.net.", "#x", " y ",
                "a", "ab!", "ax"]


@pytest.mark.parametrize("rule", PATTERNS)
def test_groups_are_the_longest_from_the_left(place, rule):
    place.write("t", rule.encode() + b"\n")
    keys = "\n".join(PATTERN_KEYS + ["b" * 9000 + ".net"]).encode() + b"\n"
    if rule.startswith(("/\\(", "/[[.", "/[[=", "/(a{")):
        keys = "\n".join(PATTERN_KEYS).encode() + b"\n"  # only the C library can match these: no long keys
    mine, theirs = (place.run(p, "-q", "-", "regexp:t", input=keys) for p in (ours("postmap"), POSTMAP))
    assert mine[:2] == theirs[:2]


@pytest.mark.parametrize("table", [
    "regexp:{ {/^a(.)/ one$1}, {/b/ two} }", "pcre:{{/^a(.)/ one$1} {/b/ two}}",
    "pcre:{ {if /a/} {/ab/ y} {endif} }", "pcre:{ {# comment} { /a/   x y } }", "regexp:{ {/a{1,2}/ x} }", "regexp:{}",
    "cidr:{ {10.0.0.0/8 ten} {!1.1.1.0/24 other} }"])
def test_rules_may_stand_in_the_name_of_the_table(place, table):
    for key in ("a1", "ab", "b", "10.1.2.3", "1.1.1.1", "x"):
        mine, theirs = (place.run(p, "-q", key, table) for p in (ours("postmap"), POSTMAP))
        assert mine == theirs, key


@pytest.mark.parametrize("table", ["regexp:{ /a/ x }", "regexp:{", "pcre:{{/a/ x}", "cidr:{ {1.2.3.4 x}, # no }",
                                   "regexp:{{/a/ x}{/b/ y}}", "static:{a}{b}", "inline:{{a=b}{c=d}}", "unionmap:{static:a}{static:b}"])
def test_braces_in_the_wrong_place_are_an_error(place, table):
    mine, theirs = (place.run(p, "-q", "a", table) for p in (ours("postmap"), POSTMAP))
    assert mine[:2] == theirs[:2] == (1, "") and mine[2] and theirs[2]


FILES = {
    "hash:t": b"a one\nb two, one\n", "texthash:t": b"a one\nb two one\n",
    "pcre:t": b"/^a/ one\n/^b(.)/ nosuch\n/^(c)/ two one\n!/x/ two\n", "regexp:t": b"/^a/ one\n/^b/ nosuch\n/^(c)/ two one\n",
    "cidr:t": b"10.0.0.0/8 one\n192.168.0.0/16 nosuch\n1.1.1.1 two,one\n",
    "inline:{a=one,{b = two, one}}": b"", "inline:{a=nosuch}": b"", "static:one": b"", "static:{one, two}": b"", "static:nosuch": b"",
    "randmap:{one}": b"", "randmap:{one,nosuch}": b"", "unionmap:{static:one}": b"",
    "unionmap:{static:one,static:two}": b"", "pipemap:{static:one,static:two}": b"", "pcre:{{/a/ one}}": b"", "cidr:{{1.1.1.1 one}}": b"",
}


@pytest.mark.parametrize("table", FILES)
def test_values_are_names_of_files_in_tables_of_every_type(place, table):
    place.write("one", b"the first\n")
    place.write("two", b"the $second\n")
    place.write("t", FILES[table])
    if table.startswith("hash:"):
        place.run(POSTMAP, "-F", table)
    for key in ("a", "b1", "b", "c", "10.1.1.1", "192.168.1.1", "1.1.1.1", "none"):
        mine, theirs = (place.run(p, "-F", "-q", key, table) for p in (ours("postmap"), POSTMAP))
        assert mine[:2] == theirs[:2], (key, mine, theirs)
        skipped = lambda text: re.findall(r"line (\d+): (open .*: skipping this rule)", text)
        assert skipped(mine[2]) == skipped(theirs[2])


def test_one_value_that_is_no_file_s_contents_hides_no_other(place):
    place.write("t", b"a aGVsbG8=\nb !!!\nc d29ybGQ=\n")
    place.run(POSTMAP, "hash:t")
    mine, theirs = (place.run(p, "-Fs", "hash:t") for p in (ours("postmap"), POSTMAP))
    assert mine[:2] == theirs[:2] == (0, "a\thello\nc\tworld\n")
    assert "warning: table hash:t: key b: malformed BASE64 value: !!!" in mine[2]
    mine, theirs = (place.run(p, "-F", "-q", "b", "hash:t") for p in (ours("postmap"), POSTMAP))
    assert mine[:2] == theirs[:2] == (1, "")


def test_editing_is_the_same_and_each_edits_the_other_s_tables(place):
    for name, first, second in (("ours", ours("postmap"), POSTMAP), ("theirs", POSTMAP, ours("postmap"))):
        place.write(name, b"a 1\nb 2\n")
        assert place.run(first, name)[0] == 0
        assert place.run(second, "-i", name, input=b"c 3\na 9\n")[0] == 0
        assert place.run(first, "-r", "-i", name, input=b"b 8\nd 4\n")[0] == 0
        assert place.run(second, "-w", "-i", name, input=b"b 7\n") == (0, "", "")
        assert place.run(second, "-d", "a", name)[0] == 0
        assert place.run(first, "-d", "a", name)[0] == 1
        assert place.run(second, "-d", "-", name, input=b"d\nzz\n")[0] == 0
        assert dump(place, first, "hash:" + name) == ["b\t8", "c\t3"]
        assert place.run(first, "-q", "-", name, input=b"c\nx\nb\n")[:2] == (0, "c\t3\nb\t8\n")


def test_no_reader_sees_half_a_table_while_it_is_made(place):
    place.write("t", b"".join(b"k%d v\n" % i for i in range(20000)))
    assert place.run(ours("postmap"), "t")[0] == 0
    maker = subprocess.Popen([ours("postmap"), "t"], cwd=place.path, env={"MAIL_CONFIG": place.path + "/etc"})
    while maker.poll() is None:
        assert place.run(POSTMAP, "-q", "k%d" % random.randrange(20000), "t")[1] == "v\n"
    assert maker.returncode == 0
    assert sorted(f for f in os.listdir(place.path) if f.startswith("t")) == ["t", "t.db"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_makes_a_user_s_table_as_that_user(place):
    os.mkdir(place.path + "/home")
    place.write("home/t", b"a b\n")
    for f in ("home", "home/t"):
        os.chown(place.path + "/" + f, 5, 60)
    assert place.run(ours("postmap"), "home/t")[0] == 0
    st = os.stat(place.path + "/home/t.db")
    assert (st.st_uid, st.st_gid) == (5, 60)
    os.chmod(place.path + "/home/t", 0o600)
    os.unlink(place.path + "/home/t.db")
    assert place.run(ours("postmap"), "home/t")[0] == 0
    assert os.stat(place.path + "/home/t.db").st_mode & 0o777 == 0o600


def test_the_header_and_body_of_a_message_can_be_asked_for(place):
    place.write("t", b"/^subject:/ S\n/folded/ F\n/body line/ B\n/^second/ no\n")
    message = b"Subject: x\nTo: a\n folded\n\nbody line\nsecond\n"
    for args in (["-h"], ["-b"], ["-hb"]):
        mine, theirs = (place.run(p, *args, "-q", "-", "regexp:t", input=message) for p in (ours("postmap"), POSTMAP))
        assert mine[:2] == theirs[:2]
