"""local: the same aliases, .forward files and messages to Postfix and to ours; what arrives where, with which headers,
and what the log says, is compared."""
import glob, os, re, shutil, tempfile

import pytest

import pombal
from real_postfix import HAVE, RealPostfix, merge

pytestmark = [pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix, and root to run it"), pytest.mark.timeout(900)]  # it sends hundreds of messages, one by one

ALIASES = """
one: games
two: games, daemon
three: two, bin
mixed: Games+ext, someone@remote.test, daemon@local.test
cmd: "|cat > {out}/cmd"
env: "|env | egrep '^(HOME|USER|LOGNAME|SHELL|RECIPIENT|LOCAL|EXTENSION|DOMAIN|SENDER|ORIGINAL_RECIPIENT|PATH)=' | sort > {out}/env"
nouser: "|exit 67"
tempfail: "|exit 75"
output: "|echo sorry; exit 69"
code: "|echo 4.2.1 come again; exit 69"
odd: "|exit 3"
plain: |/bin/false
signal: "|kill -9 $$"
where: "|pwd > {out}/where; env | cut -d= -f1 | egrep -v '^(_|LANG|SHLVL|PWD|OLDPWD|LSAN.*|ASAN.*|UBSAN.*)$' | sort >> {out}/where"
notthere: |/nonexistent/command
file: {out}/file
dir: {out}/dir/
include: :include:{out}/list
upper: :Include:{out}/list
link: {out}/link
hard: {out}/hard
fifo: {out}/fifo
read: {out}/read
writeonly: {out}/writeonly
safe: {out}/safe/link
relative: :include:list
missing: :include:{out}/nolist
noowner: :include:{out}/noowner
looped: loop2
loop2: looped
daemon: daemon, games
list: games, sys
owner-list: sys
unknown: nosuchuser
"two words": games
addr: Full Name <games@local.test>, "quoted, local" <sys@local.test>
postmaster: games
ext: games+tag
includecmd: :include:{out}/cmdlist
delim+ext: sys
e1: error:
e2: error:, games
e3: group:;
e4: friends: games, sys;
e5: <>
e6: (only a comment)
e8: "", games
e9: @
full: "|echo 4.2.2 full; exit 1"
never: "|echo 5.2.1 disabled; exit 3"
fine: "|echo 2.1.5 fine; exit 4"
half: "|echo 4.2 x; exit 5"
fullsig: "|echo 4.2.2 full; kill -9 $$"
emptylist: :include:{out}/emptylist
nulllist: :include:{out}/nulllist
owned: "|echo sorry; exit 69", games
owner-owned: boss@remote.test
ownedfine: "|cat >/dev/null", nosuchmember
owner-ownedfine: boss3@remote.test
boxonly: "\\\\www-data"
boxonly2: \\\\games+x, \\\\nobody1, \\\\owned, sys
twofiles: {out}/first games, sys
threefiles: {out}/one {out}/two
 bin
manyfiles:{many} games
homefile: "{out}/in quotes", ~/x games
b1: games {out}/b1
b2: games "|cat > {out}/b2"
b3: {out}/b3 "|cat > {out}/b3b" sys
b4: {out}/b4;sys
b5: "{out}/b5" sys
b6: "|cat > {out}/b6" sys
b7: "{out}/b7" "{out}/b7b" "|cat > {out}/b7c"
b8: {out}/"b 8"c
b9: "{out}/b9"{out}/x
b10: {out}/[b]10
b11: {out}/b!11@x
b12: games {out}/bdir/
b13: Foo {out}/b13 <sys@local.test>
b14: games ~/x
b15: \\\\games games \\\\nosuch
b16: games :include:/nonexistent/list
b17: :include:{out}/list "|cat > {out}/b17"
b18: "|cat > {out}/b18; true" ":include:{out}/list" {out}/b18b
b19: {out}/b19.x {out}/b19:y
b20: error: games
b21: friends: games {out}/b21, sys; uucp: bin
b22: "{out}/b22" c:;
b23: ~games sys
b24: "{out}/b24 q" <games@local.test>
b25: "|cat > {out}/b25" Foo <sys@local.test>, "~" <bin@local.test>
b26: "{out}/b26 q";
b27: {out}/b27 .x
wide: wide1, wide1, wide2
wide1: wide3, wide3, wide3
wide2: wide1, wide3
wide3: wide4, wide4
wide4: games, sys
"""
RECIPIENTS = """
one two three mixed cmd env+x.y nouser tempfail output code odd plain signal notthere where null:env file dir include upper link hard fifo read writeonly safe relative missing noowner looped
daemon list unknown addr ext includecmd delim+ext delim games games+e nobody1 one+tag ONE www-data www-data+fwd
proxy postmaster mailer-daemon uucp e1 e2 e3 e4 e5 e6 e8 e9 full never fine half fullsig emptylist nulllist wide
twofiles threefiles homefile manyfiles
b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 b24 b25 b26 b27
boxonly boxonly2
owned ownedfine
""".split()


READERS = {} # descriptors that FIFOs are read from, by path


def prepare(out):
    os.makedirs(out + "/spool")
    os.makedirs(out + "/forward")
    for path in (out, out + "/spool"):
        os.chmod(path, 0o1777)
    open(out + "/list", "w").write("# members\ngames, sys\n\nbin@local.test\n")
    open(out + "/cmdlist", "w").write("|cat\n/tmp/x\ngames\n")
    open(out + "/emptylist", "w").write("# nobody yet\n")
    open(out + "/nulllist", "w").write("games\0, sys\n\0\nbin\n")
    for name, text in (("uucp", "uucp\0\n\0games, sys\nbin\0\n"), ("www-data", "\\www-data, games\n"), ("www-data+fwd", "sys@remote.test\n"),
                       ("proxy", "# mine\n\"|cat > %s/proxy\"\nproxy\n" % out)):
        path = "%s/forward/%s" % (out, name)
        open(path, "w").write(text)
        shutil.chown(path, name.split("+")[0])
    open(out + "/noowner", "w").write("games\n")
    os.chown(out + "/noowner", 54321, 54321)
    os.makedirs(out + "/odd/games")
    os.chmod(out + "/odd", 0o1777)
    for name, owner, mode in (("sys", "bin", 0o600), ("uucp", "uucp", 0o400)):
        open(out + "/odd/" + name, "w").close()
        os.chmod(out + "/odd/" + name, mode)
        shutil.chown(out + "/odd/" + name, owner)
    os.symlink("/nonexistent/file", out + "/odd/bin")
    # Links of root's: in a directory where everybody may write, and where nobody else may.
    os.makedirs(out + "/safe")
    for name in ("target", "hard", "odd/target", "safe/target"):
        open(out + "/" + name, "w").close()
        os.chmod(out + "/" + name, 0o666)
    os.symlink(out + "/target", out + "/link")
    os.link(out + "/hard", out + "/hard2")
    os.symlink(out + "/odd/target", out + "/odd/lp")
    os.symlink(out + "/safe/target", out + "/safe/link")
    for name in ("fifo", "read"):
        os.mkfifo(out + "/" + name)
        os.chmod(out + "/" + name, 0o622)
    READERS[out + "/read"] = os.open(out + "/read", os.O_RDONLY | os.O_NONBLOCK)
    open(out + "/writeonly", "w").close()
    os.chmod(out + "/writeonly", 0o622)
    with open(out + "/aliases", "w") as f:
        f.write(ALIASES.format(out=out, many=(" %s/many" % out) * 1000))


def settings(out):
    return (
        "mydestination = local.test\nmyorigin = local.test\nmyhostname = mail.local.test\nmydomain = local.test\n"
        "alias_maps = hash:%s/aliases\nalias_database = hash:%s/aliases\nrecipient_delimiter = +\n"
        "forward_path = %s/forward/$user${recipient_delimiter}${extension}, %s/forward/$user\n"
        "mail_spool_directory = %s/spool/\nhome_mailbox =\nmailbox_transport =\nlocal_recipient_maps =\n"
        "transport_maps = inline:{remote.test=discard:gone, mail.local.test=discard:gone}\nprepend_delivered_header = command, file, forward\n"
        "biff = no\nappend_dot_mydomain = no\nmailbox_command =\nvirtual_mailbox_maps =\nvirtual_mailbox_domains =\n"
        "virtual_alias_maps =\nlocal_header_rewrite_clients =\n" % ((out,) * 5)
    )


# What differs from settings(), and to whom mail is sent then (None: to all).
VARIANTS = {
    "maildir": ("", None),
    "mbox": ("mail_spool_directory = {out}/spool\n", ["games", "games", "www-data", "two", "nobody1", "sys+x", "root"]),
    "mailbox_command": ("mailbox_command = cat >> {out}/$USER.$EXTENSION\n", ["games", "two", "sys+x", "nobody1"]),
    "no spool": ("mail_spool_directory = {out}/nospool\n", ["games", "sys", "root"]),
    "odd spool": ("mail_spool_directory = {out}/odd\n", ["games", "root", "sys", "bin", "lp", "daemon2", "uucp", "www-data"]),
    "root, a command": ("mailbox_command = cat >> {out}/$USER.$EXTENSION\n", ["root", "root+x"]),
    "luser_relay": ("luser_relay = games+$local\n", ["nobody1", "unknown", "nobody1+x", "mailer-daemon"]),
    "fallback": ("fallback_transport = discard:nowhere\n", ["nobody1", "games", "unknown"]),
    "transport maps, a miss": ("mailbox_transport_maps = inline:{{games=discard:there}}\n",
                               ["nobody1", "games", "sys+x", "two", "www-data", "proxy"]),
    "transport maps, a miss, then a command": (
        "mailbox_transport_maps = inline:{{games=discard:there}}\nmailbox_command = cat >> {out}/$USER.$EXTENSION\n",
        ["games", "sys+x", "two", "www-data"]),
    "mailbox_transport": ("mailbox_transport = discard:there\n", ["nobody1", "games", "two", "www-data"]),
    "strict": ("allow_mail_to_commands =\nallow_mail_to_files = alias\nduplicate_filter_limit = 0\n"
               "propagate_unmatched_extensions = canonical, virtual, alias, forward, include\n"
               "expand_owner_alias = yes\nfrozen_delivered_to = no\n",
               ["cmd", "file", "proxy", "one+tag", "include+tag", "list+tag", "www-data+tag", "two"]),
    "dash": ("recipient_delimiter = -\nowner_request_special = no\n",
             ["list", "one-x", "www-data-fwd", "games-x"]),
}

MESSAGE = "From: from@remote.test\nTo: x\nSubject: s\nMessage-Id: <1@x>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nFrom here\n.\nend\n"


# A command that does not exist: Postfix's shows what its child printed.
MASK = [(r"temporary failure\. Command output: local: fatal: execvp (\S+): ", r"cannot run \1: ")]


def settled(log, sent):
    """every message that was sent, and every one that came of them, is gone or put off"""
    messages = set(re.findall(r"cleanup\[\d+\]: (\w+): message-id", log))
    picked_up = re.findall(r"pickup\[\d+\]: \w+: uid=", log)
    done = set(re.findall(r": (\w+): removed$", log, re.M) + re.findall(r": (\w+): .*status=deferred", log))
    return len(picked_up) == sent and messages <= done


def contents(out):
    """what stands in the files that were delivered to, with what differs from run to run masked"""
    found = []
    for d, _, files in os.walk(out):
        for name in files:
            path = os.path.join(d, name)
            if "/forward/" in path or name.startswith("aliases") or name in ("list", "cmdlist", "emptylist", "nulllist") or "pombal" in name:
                continue
            if "/odd/" in path and os.path.islink(path) or name == "fifo":
                continue
            with os.fdopen(READERS.pop(path)) if name == "read" else open(path, errors="replace") as f:
                text = f.read().replace(out, "OUT")
            text = re.sub(r"^/tmp/pombal-\S+/queue$", "QUEUE", text, flags=re.M)
            text = re.sub(r"^Received:.*\n(?:[ \t].*\n)*", "Received\n", text, flags=re.M)
            text = re.sub(r"^From (\S+)  .*", r"From \1  DATE", text, flags=re.M)
            text = "\nFrom ".join(sorted(part.rstrip("\n") for part in ("\n" + text).split("\nFrom "))) # an mbox: in any order
            where = os.path.relpath(d, out) if d.endswith(("/new", "/cur")) else os.path.relpath(path, out)
            found.append((where.replace("/cur", "/new"), os.stat(path).st_uid, text))
    return sorted(found)


STATUS = re.compile(
    r"(\w+): to=<([^>]*)>,(?: orig_to=<([^>]*)>,)? relay=([^,]+), .*?dsn=([\d.]+), status=(\w+) \((.*)\)$", re.M)


def outcomes(log, mask=()):
    """(to, orig_to, relay, dsn, status, text) of each recipient, queue ids masked"""
    found = []
    for m in STATUS.finditer(log):
        if "no recipient in the expansion" in m.group(7):
            continue # an empty list: Postfix says nothing at all
        text = re.sub(r"(forwarded as|queued as) \w+", r"\1 ID", m.group(7)).rstrip()
        for pattern, to in mask:
            text = re.sub(pattern, to, text)
        found.append((m.group(2), m.group(3), m.group(4), m.group(5), m.group(6), text))
    return sorted(found, key=str)


def queued(p):
    return [f for d in ("maildrop", "incoming", "active") for f in glob.glob("%s/%s/*" % (p.queue, d)) if os.path.isfile(f)]


def arguments(recipient):
    """of sendmail; "null:" before the recipient: from the null sender"""
    null, name = recipient.startswith("null:"), recipient.replace("null:", "")
    return "-i", "-f", "<>" if null else "from@remote.test", name + "@local.test"


def deliver_with_postfix(out, more, recipients):
    with RealPostfix(merge(settings(out), more.format(out=out))) as p:
        p.start()
        p.run("postalias", "hash:%s/aliases" % out)
        for r in recipients:
            p.run("sendmail", *arguments(r), input=MESSAGE)
        pombal.wait_for(lambda: settled(p.log(), len(recipients)) and not queued(p), 120)
        return outcomes(p.log(), MASK + [(out, "OUT")]), contents(out)


def deliver_with_ours(out, make_suite, more, recipients):
    s = make_suite(main=merge(settings(out), more.format(out=out)), start=False)
    s.tool("postalias", "hash:%s/aliases" % out)
    s.start()
    for r in recipients:
        s.tool("sendmail", *arguments(r), input=MESSAGE)
    waiting = ("maildrop", "incoming", "active")
    pombal.wait_for(lambda: settled(s.log(), len(recipients)) and not sum((s.queue_files(q) for q in waiting), []), 120)
    return outcomes(s.log(), MASK + [(out, "OUT")]), contents(out)


@pytest.fixture(scope="module", params=VARIANTS)
def both(request):
    more, recipients = VARIANTS[request.param]
    recipients = recipients or RECIPIENTS
    made = []

    def make(**kw):
        made.append(pombal.Instance(**kw))
        return made[-1]

    base = tempfile.mkdtemp(prefix="local-compat-", dir="/tmp")
    os.chmod(base, 0o755) # for all recipients, which a folder of pytest's is not
    prepare(base + "/theirs")
    prepare(base + "/ours")
    try:
        yield (deliver_with_ours(base + "/ours", make, more, recipients),
               deliver_with_postfix(base + "/theirs", more, recipients))
    finally:
        for s in made:
            s.close()
        shutil.rmtree(base, ignore_errors=True)


def differences(mine, theirs):
    """what one side has more of, shown whole"""
    ours, real = [i for i in mine if i not in theirs], [i for i in theirs if i not in mine]
    return "".join("ours   %r\n" % (i,) for i in ours) + "".join("theirs %r\n" % (i,) for i in real)


def test_the_log_says_the_same_of_every_recipient(both):
    (mine, _), (theirs, _) = both
    found = differences(mine, theirs)
    assert not found, found
    assert len(mine) == len(theirs)


def test_the_same_mail_arrives_in_the_same_places(both):
    (_, mine), (_, theirs) = both
    found = differences(mine, theirs)
    assert not found, found
    assert len(mine) == len(theirs)
