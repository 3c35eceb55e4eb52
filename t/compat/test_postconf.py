"""postconf: the same files and the same arguments to Postfix's and to ours"""
import itertools, os, random, re, shutil, subprocess

import pytest

BIN = os.environ.get("POMBAL_BIN", os.path.join(os.path.dirname(__file__), "..", "..", "build", "dev", "bin"))
OURS, THEIRS = BIN + "/postconf", "/usr/sbin/postconf"

pytestmark = pytest.mark.skipif(not os.path.exists(THEIRS), reason="Postfix is not installed")

MAIN = r"""
# A comment
compatibility_level = 3.6
  # indented comment

myhostname = mx.example.org
mydomain=example.org
mydestination = $myhostname,
   localhost.$mydomain
# a comment inside
	localhost,   hash:/etc/postfix/domains

  $mydomain
alias_maps =
relay_domains=
relayhost	=	[smtp.example.net]:587
smtpd_banner = $myhostname  ESMTP   "quoted  text" {braced  text}
smtpd_timeout = ${stress?10}${stress:300}s
smtpd_restriction_classes = class_one, class_two class_three
class_one = permit
class_two = reject_unknown_client_hostname,
     check_client_access {inline:{a=b}},
     reject
smtpd_recipient_restrictions = permit_mynetworks, class_one
    check_recipient_access hash:$table_dir/access,
    check_sender_access { cidr:/x, default_action=defer }
    reject_unauth_destination
table_dir = /etc/postfix/tables
unused_one = $table_dir
unused_two=x
mynetworks = 127.0.0.0/8, 192.0.2.0/24   [::1]/128
relay_destination_concurrency_limit = 7
vacation_destination_recipient_limit = 1
nosuch_destination_recipient_limit = 1
local_time_limit = 5
virtual_alias_maps = hash:$table_dir/virtual, ldap:people, proxy:mysql:accounts mysql:/etc/x.cf
people_server_host = ldap.example.org
people_search_base = dc=example
people_nosuch = 1
accounts_query = SELECT
accounts_domain = $mydomain
smtpd_helo_required = ${{$mydomain} == {example.org} ? {yes} : {no}}
smtpd_client_restrictions = $mua_client_restrictions
mua_client_restrictions = permit_sasl_authenticated,reject
myorigin = ${other?$other}${other:{$mydomain}}
default_transport = ${{3.10} >=level {3.9} ? {smtp} : {error}}
disable_vrfy_command = yes
disable_vrfy_command = no
debugger_command =
	 PATH=/bin:/usr/bin:/usr/local/bin:/usr/X11R6/bin
	 ddd $mail_owner/$setgid_group & sleep 5
virtual_mailbox_base = /very/long/path/that/fills/most/of/the/line/of/eighty/characters/x
proxy_interfaces = 192.0.2.1 192.0.2.22 192.0.2.33 192.0.2.44 192.0.2.55 192.0.2.66 192.0.2.7
"""

MASTER = r"""
# services
smtp      inet  n       -       y       -       -       smtpd
127.0.0.1:10025 inet n - n - 5 smtpd
  -o syslog_name=postfix/reinject
# inside
  -o { smtpd_client_restrictions = permit_mynetworks, reject }
  -o smtpd_helo_restrictions=$mua_helo_restrictions -o mua_helo_restrictions=permit
  -o content_filter= -o smtpd_recipient_restrictions=$nowhere
submission inet n - y - - smtpd -v
	-o syslog_name=postfix/$service_name -o smtpd_tls_security_level=encrypt
	-o unused_option=1 -osmtpd_sasl_auth_enable=yes
pickup    unix  n       -       y       60      1       pickup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
        -o smtp_helo_timeout=5 -o smtp_connect_timeout=5
local     unix  -       n       n       -       -       local
vacation  unix  -       n       n       -       -       pipe
  flags=Rq user=vacation argv=/usr/bin/vacation -t { two words } ${recipient}
postlog   unix-dgram n  -       n       -       1       postlogd
policy    unix  -       n       n       -       0       spawn user=nobody argv=/usr/bin/policy
"""


def files(tmp_path, main=MAIN, master=MASTER):
    shutil.rmtree(tmp_path / "etc", ignore_errors=True)
    etc = tmp_path / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "main.cf").write_text(main)
    (etc / "master.cf").write_text(master)
    return str(etc)


def run(program, etc, args):
    r = subprocess.run([program, "-c", etc] + list(args), capture_output=True, text=True, timeout=60)
    # Postfix reads main.cf several times and repeats warnings; the order is that of a hash table.
    warnings = sorted(set(re.sub(r"^.*?(warning|fatal): ", r"\1: ", line) for line in r.stderr.splitlines()
                          if "overriding earlier" not in line and 'open "mysql"' not in line))
    return r.stdout, warnings, r.returncode


def same(etc, *args, warnings=True):
    theirs, ours = run(THEIRS, etc, args), run(OURS, etc, args)
    assert ours[0] == theirs[0]
    if warnings:
        assert ours[1] == theirs[1]
    assert ours[2] == theirs[2]


@pytest.mark.parametrize("args", ["-n", "-nf", "-nx", "-nh", "-nH", "-nxf", "-n -C user", "-n -C service", "-n -C builtin,user",
                                  "-C user", "-o table_dir=/x -n", "-o table_dir=/x -xn", "-o stress=yes -x smtpd_timeout",
                                  "mydestination", "-h mydestination myorigin", "-hx mydestination", "-x smtpd_helo_required",
                                  "-x myorigin default_transport class_two", "no_such", "unused_one table_dir relay_time_limit",
                                  "-f smtpd_recipient_restrictions", "-fh smtpd_recipient_restrictions proxy_interfaces",
                                  "-d smtpd_timeout smtpd_recipient_limit", "-dx smtpd_timeout append_dot_mydomain",
                                  "relay_destination_concurrency_limit vacation_time_limit policy_time_limit"])
def test_main_cf(tmp_path, args):
    same(files(tmp_path), *args.split())


@pytest.mark.parametrize("args", ["-M", "-Mf", "-Mx", "-Mxf", "-M smtp", "-M smtp/inet", "-M */inet", "-M */unix-dgram", "-M no",
                                  "-M no/inet smtp/unix", "-P", "-Px", "-Ph", "-PH", "-P submission", "-P */inet",
                                  "-P */inet/syslog_name", "-Px relay/unix/syslog_name", "-P relay/unix/no",
                                  "-F", "-Fh smtp/inet", "-FH smtp/inet", "-F smtp/inet/command", "-Fh */*/chroot",
                                  "-Ff vacation/unix/command", "-Ffh submission/inet/command", "-Fx relay/unix/command",
                                  "-M a/b/c", "-F smtp/inet/nosuch", "-F a/b/c/d", "-MH", "-Mh"])
def test_master_cf(tmp_path, args):
    etc = files(tmp_path)
    if any("a/b/c" in a or "nosuch" in a for a in args.split()) or args in ("-MH", "-Mh"):
        assert run(OURS, etc, args.split())[2] == run(THEIRS, etc, args.split())[2] == 1
        return
    theirs, ours = run(THEIRS, etc, args.split()), run(OURS, etc, args.split())
    if args.startswith("-P"):  # Postfix shows the options of a service in the order of a hash table
        theirs, ours = (sorted(theirs[0].splitlines()), *theirs[1:]), (sorted(ours[0].splitlines()), *ours[1:])
    assert ours == theirs


def expression(rng, depth=0):
    name = rng.choice(["mydomain", "myhostname", "relayhost", "x", "y", "empty", "compatibility_level", "ten"])
    word = rng.choice(["", "a", "b c", "10", "9", "010", "yes", "a{b}c", " x "])
    inner = lambda: expression(rng, depth + 1) if depth < 3 else word
    kind = rng.randrange(12)
    blank = rng.choice(["", " "])
    return [
        lambda: word, lambda: "$" + name, lambda: "${" + name + "}", lambda: "$(" + name + ")", lambda: "$$" + word,
        lambda: "${%s?%s}" % (name, inner()), lambda: "${%s:%s}" % (name, inner()),
        lambda: "${%s?{%s}:{%s}}" % (name, inner(), inner()),
        lambda: "${%s%s?%s{%s}%s:%s{%s}%s}" % (blank, name, blank, inner(), blank, blank, inner(), blank),
        lambda: "${{%s} %s {%s}%s?%s{%s}}" % (inner(), rng.choice(["==", "!=", "<", "<=", ">", ">="]), inner(), blank, blank, inner()),
        lambda: "${{%s}%s{%s}?{%s}:{%s}}" % (inner(), rng.choice(["==", "!=", "<", "<=", ">", ">="]), inner(), inner(), inner()),
        lambda: inner() + inner(),
    ][kind]()


BAD = ["${mydomain", "${mydomain?{a}b}", "$", "a$-", "${}", "${x.y}", "${{a}}", "${{a}==b}", "${x?{a}:{b}c}", "$(x", "${{a} ~ {b}?c}",
       "${{a} <level {3}?c}", "$loop"]


def test_generated_expressions(tmp_path):
    rng = random.Random(3463)
    values = list(dict.fromkeys(expression(rng) for _ in range(400)))
    names = ["notify_classes", "maillog_file", "bounce_template_file", "syslog_name", "export_environment", "relocated_maps",
             "canonical_maps", "mail_name", "authorized_mailq_users", "defer_transports", "authorized_flush_users",
             "authorized_submit_users", "transport_maps", "virtual_alias_maps", "virtual_mailbox_maps", "sender_canonical_maps",
             "recipient_canonical_maps", "header_checks", "body_checks", "mime_header_checks", "nested_header_checks",
             "relay_recipient_maps", "smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
             "smtpd_data_restrictions", "smtpd_etrn_restrictions", "fallback_transport", "virtual_alias_domains", "mailbox_transport",
             "home_mailbox", "relay_domains", "sender_bcc_maps", "smtp_fallback_relay", "smtp_helo_name", "smtpd_banner"]
    for i in range(0, len(values), len(names)):
        chunk = dict(zip(names, values[i:i + len(names)]))
        main = "compatibility_level = 3.6\nmyhostname = a.b.c\nrelayhost =\nx = x$y\ny = z\nempty =\nten=10\nbounce_size_limit = $x$ten$empty$y\n"
        main += "".join("%s = %s\n" % c for c in chunk.items())
        etc = files(tmp_path, main, "")
        same(etc, "-x", *chunk, warnings=False)
        same(etc, "-n", warnings=False)


@pytest.mark.parametrize("value", BAD)
def test_malformed_expressions(tmp_path, value):
    etc = files(tmp_path, "loop = $loop\nmail_name = %s\n" % value, "")
    theirs, ours = run(THEIRS, etc, ["-x", "mail_name"]), run(OURS, etc, ["-x", "mail_name"])
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    assert ours[2] == 1 and ours[1]


@pytest.mark.parametrize("main", [
    "x\n", "= y\n", "a b = c\n", " lead = 1\nmydomain = x\n", "#\n\n", "", "mydomain = x", "mydomain = x\r\nmyorigin = y\r\n",
    "mydomain = x\n\n\n\n y\n", "mydomain =\n  # c\n\tx\n#\n y\n", "mydomain==x\n", "{mydomain = x}\n", "{ mydomain = x }\n",
    "mydomain = x \\\n y\n", "mydomain = a\nmydomain = b\nmydomain = c\n", "mydomain\t=\tx\t \n", "MyDomain = x\n",
    "mydomain = x\n   \n\t\n y\n", "mydomain = é ü\n", "mydomain = " + "x" * 5000 + "\n", "mydomain = " + "x y " * 500 + "\n",
    "smtpd_timeout = 5x\nsmtpd_recipient_limit = -1\nsmtpd_helo_required = maybe\n"])
def test_odd_main_cf(tmp_path, main):
    etc = files(tmp_path, main, "")
    theirs, ours = run(THEIRS, etc, ["-nf"]), run(OURS, etc, ["-nf"])
    assert ours[0] == theirs[0] and ours[2] == theirs[2]
    assert [w.split("; ")[0] for w in ours[1]] == theirs[1]


EDITS = [
    ["-e", "mydomain = new.example"], ["-e", "mydestination=a", "new_name = b  c", "relayhost ="], ["myorigin=x"],
    ["-e", "disable_vrfy_command=yes"], ["-X", "mydestination"], ["-X", "debugger_command", "nosuch"], ["-#", "mydestination"],
    ["-#", "class_two", "mydomain"], ["-e", "smtpd_banner = a = b"], ["-e", "debugger_command=x", "alias_maps=hash:/x"],
]


@pytest.mark.parametrize("args", EDITS)
@pytest.mark.parametrize("main", [MAIN, "", "#only\n"])
def test_edit_main_cf(tmp_path, args, main):
    etc = files(tmp_path, main)
    theirs = run(THEIRS, etc, args)
    after = open(etc + "/main.cf").read()
    etc = files(tmp_path, main)
    os.chmod(etc + "/main.cf", 0o640)
    ours = run(OURS, etc, args)
    lines = lambda text: sorted(text.split("\n")) if len(args) > 2 else text  # new names: order of a hash table
    assert lines(open(etc + "/main.cf").read()) == lines(after)
    assert ours == theirs
    assert os.stat(etc + "/main.cf").st_mode & 0o777 == 0o640


@pytest.mark.parametrize("args", [["-e", "#x=y"], ["-e", "x"], ["-e", "a b = c"], ["-X", "a=b"], ["-e"], ["-X"], ["-e", "a=b\nc=d"],
                                  ["-e", "-n"], ["-d", "-n"], ["-C", "nosuch"], ["-o", "x"]])
def test_refused_edits_change_nothing(tmp_path, args):
    etc = files(tmp_path)
    assert run(THEIRS, etc, args)[2] == run(OURS, etc, args)[2] == 1
    assert open(etc + "/main.cf").read() == MAIN


MASTER_EDITS = [
    ["-M", "smtp/inet=smtp inet n - n - 7 smtpd -v"], ["-M", "new/unix=new unix - n n - - pipe user=x argv=/bin/x { a b }"],
    ["-M", "-e", "submission/inet = submission inet n - n - - smtpd -o a=b -o { c = d e }"], ["-MX", "relay/unix"],
    ["-MX", "127.0.0.1:10025/inet"], ["-M#", "submission/inet"], ["-M#", "vacation/unix", "local/unix"],
    ["-F", "smtp/inet/chroot=n"], ["-F", "*/inet/maxproc=3"], ["-F", "*/inet/process_limit=3"], ["-F", "relay/unix/command=smtp -o x=y -v"],
    ["-F", "smtp/inet/service=2525"], ["-F", "no/inet/chroot=n"], ["-F", "smtp/inet/chroot=x"],
    ["-P", "relay/unix/smtp_helo_timeout=7"], ["-P", "relay/unix/new=7"], ["-P", "smtp/inet/new=$x"], ["-P", "*/inet/syslog_name=x"],
    ["-P", "vacation/unix/new=7"], ["-PX", "relay/unix/syslog_name"], ["-PX", "*/inet/syslog_name"], ["-P", "no/inet/a=b"],
    ["-M", "smtp/inet=smtp inet n - -"], ["-M", "smtp/inet"], ["-P", "smtp/inet=x"], ["-F", "smtp/inet=x"],
]


@pytest.mark.parametrize("args", MASTER_EDITS)
def test_edit_master_cf(tmp_path, args):
    etc = files(tmp_path)
    theirs = run(THEIRS, etc, args)
    after = run(THEIRS, etc, ["-M"])[0]
    etc = files(tmp_path)
    ours = run(OURS, etc, args)
    assert ours[2] == theirs[2]
    assert run(THEIRS, etc, ["-M"])[0] == after
    for comment in ("# services\n", "# inside\n"):
        assert comment in open(etc + "/master.cf").read()


# Defaults that differ, and why.
OTHER = {
    # of this package
    "daemon_directory", "html_directory", "manpage_directory", "readme_directory", "shlib_directory", "mail_release_date", "mail_version",
    "alias_maps", "process_id", "process_name",
    # RFC 8996, RFC 9325 3.1.1 and 4.2
    "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols", "tls_preempt_cipherlist",
    # of Postfix 3.10, which are safer or name today's algorithms
    "smtpd_forbid_bare_newline", "smtpd_forbid_unauth_pipelining", "milter_default_action", "tls_eecdh_auto_curves",
    "tls_high_cipherlist", "tls_medium_cipherlist", "tls_null_cipherlist", "smtp_tls_dane_insecure_mx_policy",
    "tlsproxy_client_policy_maps", "tlsproxy_client_security_level",
}


def test_defaults(tmp_path):
    etc = files(tmp_path, "", "")
    split = lambda text: dict(re.match(r"(\S+) =\s?(.*)", line).groups() for line in text.splitlines())
    theirs, ours = split(run(THEIRS, etc, ["-d"])[0]), split(run(OURS, etc, ["-d"])[0])
    assert sorted(set(theirs) - set(ours)) == []
    assert {n: (ours[n], theirs[n]) for n in theirs if ours[n] != theirs[n] and n not in OTHER} == {}


def test_all_parameters_of_both(tmp_path):
    etc = files(tmp_path)
    known = {line.split(" ")[0] for line in run(THEIRS, etc, ["-d"])[0].splitlines()}
    pick = lambda text: [line for line in text.splitlines() if line.split(" ")[0] in known - OTHER]
    assert pick(run(OURS, etc, [])[0]) == pick(run(THEIRS, etc, [])[0])


def test_missing_files(tmp_path):
    assert run(OURS, str(tmp_path / "none"), ["-n"])[2] == 1
    etc = files(tmp_path)
    os.unlink(etc + "/master.cf")
    assert run(OURS, etc, ["-M"])[2] == run(THEIRS, etc, ["-M"])[2] == 1


def test_lists():
    types = lambda p: set(subprocess.run([p, "-m"], capture_output=True, text=True).stdout.split())
    assert types(OURS) >= {"hash", "btree", "texthash", "inline", "static", "regexp", "pcre", "cidr", "unionmap", "pipemap",
                           "randmap", "environ", "fail"} & types(THEIRS)
    for flag in ("-l", "-a", "-A"):
        assert subprocess.run([OURS, flag], capture_output=True, text=True).stdout


# ---- names and options in odd places

ODD_MAIN = """compatibility_level = 3.6
mua_x = permit
x = 1
dbname_query = select
mysqltab_hosts = h
mailbox_command = procmail -a "$EXTENSION"
forward_path = /x/$user${recipient_delimiter}${extension}
luser_relay = $local+$foo
mailbox_command_maps = hash:/x/$nosuch3
virtual_maps = inline:{a=b}
fallback_relay = x.test
postscreen_blacklist_action = drop
postscreen_dnsbl_ttl = 2h
smtpd_client_connection_limit_exceptions = 10.0.0.0/8
virtual_alias_maps = mysql:%s/table.cf
"""
ODD_MASTER = """smtp inet n - y - - smtpd -vo a=b -o smtpd_client_restrictions=$mua_x
25 inet n - y - - smtpd -voa=c -v
local unix - n n - - local -o syslog_name=$process_name/x -v
relay unix - - y - - smtp -o virtual_alias_maps=ldap:dbname
pol unix - n n - 0 spawn user=nobody argv=/usr/bin/perl -vo x=y
"""


@pytest.mark.parametrize("args", ["-n", "-C user", "-n -C user", "-M", "-Mf", "-Mx", "-P", "-Px"])
def test_names_that_only_other_places_use(tmp_path, args):
    (tmp_path / "table.cf").write_text("hosts = a\nquery = x\nnosuchparam = 1\n")
    etc = files(tmp_path, ODD_MAIN % tmp_path, ODD_MASTER)
    theirs, ours = run(THEIRS, etc, args.split()), run(OURS, etc, args.split())
    assert sorted(ours[0].splitlines()) == sorted(theirs[0].splitlines())
    assert ours[1:] == theirs[1:]


def test_an_absent_master_cf_is_told(tmp_path):
    etc = files(tmp_path)
    os.unlink(etc + "/master.cf")
    said = [w for p in (THEIRS, OURS) for w in run(p, etc, ["-n"])[1] if "master.cf" in w and "No such file" in w]
    assert len(said) == 2


def test_lines_fold_at_the_same_column(tmp_path):
    rng = random.Random(5)
    words = lambda n: " ".join("a" * rng.randint(1, 14) for _ in range(n))
    for _ in range(10):
        main = "compatibility_level = 3.6\nmydestination = %s\nrelay_domains = %s\n" % (words(40), words(33))
        master = "".join("s%d%s unix - n n - - pipe flags=%s user=nobody argv=/bin/%s\n" % (
            i, "x" * rng.randint(0, 14), "F" * rng.randint(1, 6), words(rng.randint(1, 14))) for i in range(20))
        etc = files(tmp_path, main, master)
        for args in ("-nf", "-nfh", "-Mf", "-Ff"):
            same(etc, args)
