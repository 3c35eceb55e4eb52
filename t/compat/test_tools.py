"""What administrators and programs call: how it ends and what it says, beside Postfix's own."""
import glob, json, os, re, subprocess

import pytest
from agents import MiniSuite
from pombal import BIN, wait_for
from real_postfix import HAVE, SERVICES, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix and root")
MESSAGE = "Subject: x\n\nbody\n"
NAMES = "myhostname = same.test\nalias_maps =\nalias_database =\n"
# Where Debian has them: mailq and newaliases are in /usr/bin.
PLACE = {"mailq": "../bin/mailq", "newaliases": "../bin/newaliases"}

# Everything in a line is one call. The status must be Postfix's; of sendmail and postqueue also the words.
CALLS = {
    "sendmail": [
        "-bp", "", "-t", "-bx", "-bz", "-bt", "-bD", "-b", "-B BAD root", "-C /nonexist root", "-z", "-f", "-V", "-V root", "-n root", "-X log root",
        "-N nosuch root", "-N never,failure root", "-R x root", "-q5m", "-q5m root", "-qx", "-qSx", "-qI", "-qR", "-qRbad..dom", "-qRnosuch.dom",
        "-qI!", "-q root", "-bv root", "-bv root b@x.test", "-bv -N never root", "-bv -R hdrs root", "-v -bv root", "-v root", "-bv", "-bv -t", "-bs -t", "-bs root", "-bp root", "-bp -t", "-I root", "-bd root",
        "-bd -t", "-bh", "-bH", "-h 3 root", "-U root", "-m root", "-L x root", "-Ac root", "-O a=b root", "-o7 root", "-e x root", "-c root",
        "-x root", "-oA/etc/aliases root", "-oA", "-bi -oA", "-bi -oA/nonexist", "-I -oAhash:/nonexist", "-p x root", "-om -oem -odb root", "-Ve root"],
    "mailq": ["", "-x", "x", "-z"],
    "newaliases": ["", "-z", "x", "-oA", "-oA/nonexist", "-oAtexthash:/nonexist"],
    "postqueue": [
        "", "-x", "-p -f", "-p x", "-c /nonexist -p", "-i !", "-i ABCDEF0123", "-i", "-s", "-s bad..dom", "-s nosuch.dom", "-s [127.0.0.1]",
        "-s [xxx]", "-s -x.dom", "-s a_b.dom", "-s 127.0.0.1", "-s [mx.dom]", "-s mx.dom:25", "-s fast.test", "-s sub.fast.test", "-p", "-j", "-f"],
    "postsuper": ["-x", "-d", "-d !", "-d ABCDEF012345", "-c /nonexist", "nosuchqueue", "-d ALL nosuchqueue", "-s nosuchqueue", "-h ALL bounce"],
    "postcat": ["-z", "/nonexist", "-q ABCDEF012345", "-q !", "-c /nonexist x", "-c", "-oe /etc/passwd"],
    "postmap": ["", "-z", "nosuch:/nonexist", "/nonexist", "-q x", "-q x -d y hash:/nonexist", "-q x hash:/nonexist", "-d x hash:/nonexist",
                "-s hash:/nonexist", "-s -q x hash:/nonexist", "-c /nonexist x", "-h x", "-b x", "-q x -q y hash:/nonexist"],
    "postalias": ["", "-z", "nosuch:/nonexist", "/nonexist", "-q x", "-q x -d y hash:/nonexist", "-q x hash:/nonexist", "-c /nonexist x", "-s"],
    "postconf": ["-z", "-e", "-e noequals", "-#", "-X", "nosuchparam", "-c /nonexist", "-M -P", "-M -F", "-d -n", "-e -d", "-b -d", "-M nosuch", "-P nosuch",
                 "-F nosuch", "-M -e", "-C x"],
    "postlog": ["-z", "-p nosuch x", "-c /nonexist x", "-p info x", "-p error x", "-p fatal x", "-p panic x", "-t"],
    "postkick": ["", "-z", "public", "bad x y", "public nosuch y", "-c /nonexist public a b"],
}


@pytest.fixture(scope="module")
def both():
    main = NAMES + "default_transport = discard\nlocal_transport = discard\nfast_flush_domains = fast.test\n"
    with RealPostfix(main) as real, MiniSuite(main, "discard unix - - n - - discard\n") as ours:
        yield real.start(), ours


def called(suite, tool, args, input=MESSAGE):
    return subprocess.run([BIN + "/" + tool] + args, input=input, capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, MAIL_CONFIG=suite.etc))


@pytest.mark.parametrize("tool", CALLS)
def test_ends_as_postfixs(both, tool):
    real, ours = both
    wait_for(lambda: "is empty" in real.run("postqueue", "-p").stdout and "is empty" in called(ours, "postqueue", ["-p"]).stdout)
    wrong = []
    for line in CALLS[tool]:
        args = line.split()
        theirs = real.run(PLACE.get(tool, tool), *args, input=MESSAGE, check=False)
        mine = called(ours, tool, args)
        same = mine.returncode == theirs.returncode
        if tool in ("sendmail", "mailq", "newaliases", "postqueue"):
            # theirs repeats a word of getopt's when it reads its arguments twice
            words = [[l for l in dict.fromkeys(r.stderr.split("\n")) if ": unknown DSN" not in l] for r in (mine, theirs)]
            same = same and words[0] == words[1] and mine.stdout == theirs.stdout
        if not same:
            wrong.append("%s %s: %d %s%s instead of %d %s%s" % (tool, line, mine.returncode, mine.stderr, mine.stdout,
                                                                theirs.returncode, theirs.stderr, theirs.stdout))
    assert not wrong, "\n".join(wrong)


def masked(listing):
    return re.sub(r"(?m)^[0-9A-F]{10,12}( +)\d+ \w{3} \w{3} +\d+ [\d:]{8}", "ID", re.sub(
        r'"queue_id": "\w+", "arrival_time": \d+, "message_size": \d+', "", listing))


@pytest.mark.parametrize("running", [False, True])
def test_maildrop_is_listed(running, monkeypatch):
    """when nobody takes it from there: the system is down, or without pickup"""
    monkeypatch.delitem(SERVICES, "pickup")
    main = NAMES + "syslog_name = postfix\n"
    listings = []
    with RealPostfix(main) as real, MiniSuite(main, "pickup unix n - n 0 1 discard\n", start=False) as ours:
        real.start()
        ours.start()
        if not running:
            real.stop()
            ours.stop()
        for suite, run in ((real, real.run), (ours, ours.tool)):
            run("sendmail", "-f", "s@x.test", "-N", "delay", "-V", "abc", "root", "b@x.test", input=MESSAGE)
            plain, lines = run("postqueue", "-p").stdout, run("postqueue", "-j").stdout
            path, = [p for p in glob.glob(suite.queue + "/maildrop/*") if "." not in os.path.basename(p)]
            message = json.loads(lines)
            assert (message["queue_id"], message["message_size"]) == (os.path.basename(path), os.stat(path).st_size)
            assert message["queue_id"] in plain
            said = run("postsuper", "-d", "ALL", "maildrop").stderr if running else ""  # how many, and not which
            assert os.path.exists(path) != running
            listings.append((masked(plain), masked(lines), said))
    assert listings[0] == listings[1]


def test_flush_of_a_site_that_mail_waits_for(both):
    """is no error here, although nothing says that the site is served"""
    real, ours = both
    ours.add_main("default_transport = fake\ndefer_transports = fake\n")
    ours.tool("pombal", "reload")
    ours.send("someone@waits.test")
    wait_for(lambda: called(ours, "postqueue", ["-s", "waits.test"]).returncode == 0)
    assert called(ours, "postqueue", ["-s", "nobody.test"]).returncode == 69


SESSION = """HELO x|HELO|EHLO|VRFY root|VRFY|ETRN x.test|ETRN bad dom|ETRN|MAIL FROM:<s@x.test> SIZE=99999999999|MAIL FROM:<s@x.test> SIZE=x
MAIL FROM:<s@x.test> BODY=9|MAIL FROM:<s@x.test> RET=XX|MAIL FROM:<s@x.test> RET=HDRS RET=FULL|MAIL FROM:<s@x.test> ENVID=a+b|MAIL FROM:<s@x.test> FOO=1
MAIL FROM:|MAIL FROM:<a b>|RCPT TO:<root>|DATA|MAIL FROM:<s@x.test> RET=HDRS ENVID=ab+2Bc BODY=8BITMIME SIZE=100|MAIL FROM:<>|ETRN a.test
RCPT TO:|RCPT TO:<a b>|RCPT TO:<root> NOTIFY=NEVER,DELAY|RCPT TO:<root> ORCPT=x|RCPT TO:<root> FOO|RCPT TO:<root> NOTIFY=DELAY ORCPT=rfc822;q+2Bw@x
RCPT TO:<b@x.test> NOTIFY=NEVER ORCPT=rfc822;b@x.test|DATA|Subject: z||\u00e9|.|MAIL FROM:<>|RCPT TO:root|RSET|FOO|QUIT|"""


# What a user passes to sendmail, and the records that pickup gets of it.
MESSAGES = [(["-N", "success, delay", "root"], "\n"), (["-N", "success,,", "root"], "\n"), (["-N", ",", "root"], "\n"), (["-N", "never, x", "root"], "\n")]
MESSAGES += [(["root"], text) for text in ("S: x\r\n\r\na\r\r\nb\r\n", "S: x\r\r\n\r\nb\r", "S: x\n\na\r\r\n", "S: x\r\n\n.\r\r\nb\n")]
MESSAGES += [(["-t"], "To: %s\n\nb\n" % to) for to in ("a@b>", "a@b>, c", "> a@b")]
MESSAGES += [(["-bv", "root"], "\n"), (["-bv", "root", "B <b@x.test>, c"], "Subject: not read\n\nb\n")]


def submitted(suite, run, args, message):
    for path in glob.glob(suite.queue + "/maildrop/*"):
        os.unlink(path)
    status = run("sendmail", *args, input=message, check=False).returncode
    shown = "".join(run("postcat", path).stdout for path in glob.glob(suite.queue + "/maildrop/*") if "." not in os.path.basename(path))
    return status, sorted(l for l in shown.split("\n") if not re.match(r"\*\*\*|message_arrival|named_attribute: (?!notify)|sender", l))


def test_smtp_to_a_command(monkeypatch):
    """sendmail: the same answers to SMTP, and the same records in the file that pickup gets"""
    monkeypatch.delitem(SERVICES, "pickup")
    commands = SESSION.replace("\n", "|").replace("|", "\r\n")
    with RealPostfix(NAMES + "smtpd_peername_lookup = no\nsmtpd_soft_error_limit = 100\nsmtpd_hard_error_limit = 100\n") as real, \
            MiniSuite(NAMES, "pickup unix n - n 0 1 discard\n") as ours:
        real.start()
        answers, records = [], []
        for suite, run in ((real, real.run), (ours, ours.tool)):
            text = run("sendmail", "-bs", input=commands).stdout
            answers.append([re.sub("queued as .*", "queued as ID", line.rstrip()) for line in text.split("\n")])
            path, = [p for p in glob.glob(suite.queue + "/maildrop/*") if "." not in os.path.basename(p)]
            shown = run("postcat", "-e", path).stdout
            records.append([l for l in shown.split("\n") if l.startswith(("sender:", "recipient:", "named_attribute: notify_flags",
                                                                           "named_attribute: dsn_orig"))])
            last = shown
        assert answers[1] == answers[0]
        assert records[1] == records[0]
        for kept in ("envelope_id=ab+c", "ret_flags=2", "encoding=8bit"):  # theirs may forget them on this way
            assert "named_attribute: " + kept in last
        wrong = []
        for args, message in MESSAGES:
            theirs, mine = [submitted(suite, run, args, message) for suite, run in ((real, real.run), (ours, ours.tool))]
            if theirs != mine:
                wrong.append("%s %r: %s instead of %s" % (args, message, mine, theirs))
        assert not wrong, "\n".join(wrong)
        theirs, mine = [re.findall(r"(?m)^250[- ](.*?)\r?$", run("sendmail", "-bs", input="EHLO x\r\nQUIT\r\n").stdout)
                        for run in (real.run, ours.tool)]
        assert mine == [word for word in theirs if word not in ("SMTPUTF8", "CHUNKING")]
