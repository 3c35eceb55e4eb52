"""Configurations as people have them: each passes mail, or is refused with exactly the list of what is not there."""
import os, pwd, re, shutil, smtplib

import pytest

from filter import Filter
from pombal import IS_ROOT, Instance, wait_for
from sink import Sink

# What differs between a test and a host.
HERE = """
compatibility_level = 3.6
queue_directory = %(queue)s
data_directory = %(dir)s/data
command_directory = %(bin)s
daemon_directory = %(bin)s
mail_owner = %(owner)s
setgid_group = %(group)s
maillog_file = %(dir)s/log/maillog
maillog_file_prefixes = %(dir)s
import_environment = MAIL_CONFIG TZ ASAN_OPTIONS UBSAN_OPTIONS
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_error_sleep_time = 0
auth_passdb = passwd-file:%(dir)s/etc/passwd
"""

DEBIAN_MASTER = """
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
showq     unix  n       -       y       -       -       showq
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
discard   unix  -       -       y       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       y       -       -       lmtp
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
uucp      unix  -       n       n       -       -       pipe
  flags=Fqhu user=uucp argv=uux -r -n -z -a$sender - $nexthop!rmail ($recipient)
ifmail    unix  -       n       n       -       -       pipe
  flags=F user=ftn argv=/usr/lib/ifmail/ifmail -r $nexthop ($recipient)
bsmtp     unix  -       n       n       -       -       pipe
  flags=Fq. user=bsmtp argv=/usr/lib/bsmtp/bsmtp -t$nexthop -f$sender $recipient
scalemail-backend unix -       n       n       -       2       pipe
  flags=R user=scalemail argv=/usr/lib/scalemail/bin/scalemail-store ${nexthop} ${user} ${extension}
mailman   unix  -       n       n       -       -       pipe
  flags=FRX user=list argv=/usr/lib/mailman/bin/postfix-to-mailman.py ${nexthop} ${user}
"""

DEBIAN_MAIN = """
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
smtpd_tls_cert_file=%(etc)s/cert.pem
smtpd_tls_key_file=%(etc)s/key.pem
smtpd_tls_security_level=may
smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mail.example.test
alias_maps = hash:%(etc)s/aliases
alias_database = hash:%(etc)s/aliases
myorigin = %(etc)s/mailname
mydestination = $myhostname, example.test, localhost.example.test, localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
"""

AMAVIS_MASTER = """
smtp-amavis unix -      -       n       -       2       smtp
    -o smtp_data_done_timeout=1200
    -o smtp_send_xforward_command=yes
    -o disable_dns_lookups=yes
    -o max_use=20
127.0.0.1:%(other)s inet n -    n       -       -       smtpd
    -o content_filter=
    -o local_recipient_maps=
    -o relay_recipient_maps=
    -o smtpd_restriction_classes=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_helo_restrictions=
    -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o mynetworks=127.0.0.0/8
    -o smtpd_error_sleep_time=0
    -o smtpd_soft_error_limit=1001
    -o smtpd_hard_error_limit=1000
    -o smtpd_client_connection_count_limit=0
    -o smtpd_client_connection_rate_limit=0
    -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
"""

SUBMISSION = """
127.0.0.1:%(other)s inet n -    y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=private/auth
  -o smtpd_tls_auth_only=yes
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_client_restrictions=$mua_client_restrictions
  -o smtpd_recipient_restrictions=
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
auth      unix  -       -       n       -       1       authd
"""

SMTPS = """
127.0.0.1:%(smtps)s inet n -    y       -       -       smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=private/auth
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o { smtpd_recipient_restrictions = permit_sasl_authenticated, reject }
  -o smtpd_sasl_security_options=noanonymous
  -o cleanup_service_name=subcleanup
  -o milter_macro_daemon_name=ORIGINATING
subcleanup unix n -     y       -       0       cleanup
  -o header_checks=regexp:%(etc)s/hide_received
  -o nested_header_checks=
auth      unix  -       -       n       -       1       authd
"""

# The restrictions that most hosts have.
STRICT = """
smtpd_helo_required = yes
disable_vrfy_command = yes
strict_rfc821_envelopes = yes
smtpd_delay_reject = yes
smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_pipelining, permit
smtpd_helo_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_invalid_helo_hostname,
    reject_non_fqdn_helo_hostname, permit
smtpd_sender_restrictions = permit_mynetworks, permit_sasl_authenticated, check_sender_access hash:%(etc)s/senders,
    reject_non_fqdn_sender, permit
smtpd_recipient_restrictions = permit_mynetworks permit_sasl_authenticated reject_unauth_destination
    reject_non_fqdn_recipient reject_unlisted_recipient check_recipient_access pcre:%(etc)s/recipients.pcre permit
smtpd_data_restrictions = reject_unauth_pipelining
unknown_local_recipient_reject_code = 450
"""

# What main.cf of a source package and of old distributions sets, and what need not be known here.
OLD = """
sendmail_path = /usr/sbin/sendmail
newaliases_path = /usr/bin/newaliases
mailq_path = /usr/bin/mailq
html_directory = no
manpage_directory = /usr/share/man
sample_directory = /usr/share/doc/postfix/samples
meta_directory = /etc/postfix
shlib_directory = no
debug_peer_level = 2
debugger_command =
\tPATH=/bin:/usr/bin:/usr/local/bin:/usr/X11R6/bin
\tddd $daemon_directory/$process_name $process_id & sleep 5
mail_spool_directory = /var/mail
tls_random_source = dev:/dev/urandom
tls_preempt_cipherlist = yes
smtpd_use_tls = yes
smtp_use_tls = yes
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_tls_session_cache_database = btree:${data_directory}/smtpd_scache
smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1
smtpd_tls_protocols = !SSLv2, !SSLv3
smtpd_tls_mandatory_ciphers = high
smtpd_tls_exclude_ciphers = aNULL, MD5, DES
smtp_tls_note_starttls_offer = yes
broken_sasl_auth_clients = yes
smtpd_sasl_local_domain = $myhostname
smtpd_sasl_authenticated_header = yes
maximal_queue_lifetime = 5d
bounce_queue_lifetime = 1d
delay_warning_time = 4h
message_size_limit = 20480000
smtputf8_enable = no
"""

HOSTED = """
virtual_mailbox_domains = hash:%(etc)s/domains
virtual_mailbox_maps = hash:%(etc)s/mailboxes
virtual_alias_maps = hash:%(etc)s/aliases_virtual, regexp:%(etc)s/virtual
virtual_mailbox_base = %(dir)s/vmail
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_transport = lmtp:unix:private/dovecot-lmtp
lmtp_destination_recipient_limit = 1
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_auth_enable = yes
smtpd_sender_login_maps = hash:%(etc)s/mailboxes
smtpd_discard_ehlo_keywords = silent-discard, dsn
smtpd_forbid_bare_newline = yes
"""

# A filter as for SpamAssassin: it reads the message, and hands what it makes of it in again.
FILTERED = """
filter    unix  -       n       n       -       2       pipe
  flags=Rq user=%(user)s null_sender=
  argv=%(etc)s/filter %(other)s ${sender} ${recipient}
127.0.0.1:%(other)s inet n -    n       -       10      smtpd
  -o content_filter=
  -o smtpd_helo_restrictions=
  -o smtpd_client_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8
  -o strict_rfc821_envelopes=yes
  -o smtpd_error_sleep_time=0
"""

# name: further main.cf, further master.cf, edits of both, and what is refused
CONFIGURATIONS = {
    "debian": ("", "", {}, []),
    "debian with submission": ("mua_client_restrictions = permit_sasl_authenticated, reject\n", SUBMISSION, {}, []),
    "old kinds of sockets": ("", "", {"pickup    unix": "pickup    fifo", "qmgr      unix": "qmgr      fifo"}, []),
    "virtual mailboxes in files": (
        "virtual_mailbox_domains = virtual.test\nvirtual_mailbox_base = %(dir)s/vmail\nvirtual_mailbox_maps = inline:{a@virtual.test=a/}\n"
        "virtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\nvirtual_alias_maps = regexp:%(etc)s/virtual\n", "", {}, []),
    "mailman": ("relay_domains = lists.example.test\ntransport_maps = inline:{lists.example.test=mailman:}\nmailman_destination_recipient_limit = 1\n"
                "unknown_local_recipient_reject_code = 550\nowner_request_special = no\n", "", {}, []),
    "smarthost": ("relayhost = [127.0.0.1]:26\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{[127.0.0.1]:26=u:p}\n"
                  "smtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = encrypt\nheader_size_limit = 4096000\n"
                  "smtp_tls_note_starttls_offer = yes\n", "", {}, []),
    "rspamd": ("smtpd_milters = inet:localhost:11332\nnon_smtpd_milters = inet:localhost:11332\nmilter_protocol = 6\nmilter_default_action = accept\n"
               "milter_mail_macros = i {mail_addr} {client_addr} {client_name} {auth_authen}\n", "", {}, []),
    "amavis": ("content_filter = smtp-amavis:[127.0.0.1]:%(filter)s\n", AMAVIS_MASTER, {}, []),
    "postscreen": ("postscreen_greet_action = enforce\npostscreen_dnsbl_sites = zen.spamhaus.org*2\npostscreen_dnsbl_action = enforce\n",
                   "smtpd     pass  -       -       y       -       -       smtpd\ndnsblog   unix  -       -       y       -       0       dnsblog\n"
                   "tlsproxy  unix  -       -       y       -       0       tlsproxy\n",
                   {"-       -       smtpd\n": "-       1       postscreen\n"}, []),
    "blocklists and greylisting": (
        "smtpd_helo_required = yes\nsmtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination,\n"
        "  reject_invalid_helo_hostname, reject_rbl_client zen.spamhaus.org, reject_rhsbl_sender dbl.spamhaus.org,\n"
        "  check_policy_service inet:127.0.0.1:10023, permit\n", "", {}, []),
    "mysql in the manner of ISPConfig": (
        "virtual_alias_maps = proxy:mysql:/etc/postfix/mysql-virtual_forwardings.cf, proxy:mysql:/etc/postfix/mysql-virtual_email2email.cf\n"
        "virtual_mailbox_domains = proxy:mysql:/etc/postfix/mysql-virtual_domains.cf\n"
        "virtual_mailbox_maps = proxy:mysql:/etc/postfix/mysql-virtual_mailboxes.cf\nvirtual_mailbox_base = /var/vmail\n"
        "virtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\nvirtual_transport = dovecot\ndovecot_destination_recipient_limit = 1\n"
        "smtpd_client_message_rate_limit = 100\nmime_header_checks = regexp:/etc/postfix/mime_header_checks\n"
        "proxy_read_maps = $local_recipient_maps $mydestination $virtual_alias_maps\n", "", {},
        ["mysql"] * 4),
    "old samples": (OLD, "", {}, []),
    "restrictions that most have": (STRICT, "", {}, []),
    "hosted domains with Dovecot behind LMTP": (HOSTED + STRICT, SMTPS, {}, []),
    "smtps with a cleanup of its own": (OLD + "always_bcc =\nheader_checks = pcre:%(etc)s/header_checks.pcre\n", SMTPS, {}, []),
    "virtual aliases only": (
        "mydestination = localhost\nvirtual_alias_domains = hash:%(etc)s/domains, example.test\n"
        "virtual_alias_maps = hash:%(etc)s/aliases_virtual\nmasquerade_domains = example.test\n", "", {}, []),
    "a filter between": ("", FILTERED, {"smtpd\n": "smtpd\n  -o content_filter=filter:dummy\n"}, []),
    "mailman 3": (
        "transport_maps = regexp:%(etc)s/lists\nlocal_recipient_maps = proxy:unix:passwd.byname $alias_maps regexp:%(etc)s/lists\n"
        "relay_domains = regexp:%(etc)s/lists\nowner_request_special = no\nunknown_local_recipient_reject_code = 550\n", "", {}, []),
    "a home Maildir with procmail for some": (
        "home_mailbox = Maildir/\nmailbox_command_maps = inline:{nobody=/usr/bin/procmail}\nrecipient_delimiter = +\n"
        "forward_path = $home/.forward${recipient_delimiter}${extension}, $home/.forward\nluser_relay = root\nlocal_recipient_maps =\n", "", {}, []),
    "a proxy in front": ("", "127.0.0.1:%(other)s inet n - n - - smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n"
                         "  -o { smtpd_recipient_restrictions = reject_unverified_recipient, reject_unauth_destination }\n", {},
                         []),
}


FILES = {
    "domains": "virtual.test anything\n", "mailboxes": "a@virtual.test a@virtual.test\n",
    "aliases_virtual": "info@virtual.test a@virtual.test\nalice@example.test alice@localhost\npostmaster root\n",
    "senders": "spam.test REJECT\nbad@other.test 550 5.7.1 not you\nfriend.test OK\n",
    "recipients.pcre": "/^trap@/ REJECT\nif /@closed\\.test$/\n/^(.*)@/ 450 4.7.1 later\nendif\n",
    "header_checks.pcre": "/^X-Mailer: (.*)/ REPLACE X-Was-Mailer: $1\n/^X-Virus/ IGNORE\n/^Subject: buy/ REJECT no\n",
    "hide_received": "/^Received: .*/ IGNORE\n", "lists": "/^(news|talk)(-bounces.*)?@lists\\.test$/ lmtp:[127.0.0.1]:8024\n",
    "filter": "#!/usr/bin/python3\nimport smtplib, sys\nport, sender, *rcpts = sys.argv[1:]\n"
              "smtplib.SMTP('127.0.0.1', int(port)).sendmail(sender, rcpts, b'X-Filtered: yes\\r\\n' + sys.stdin.buffer.read())\n",
}


@pytest.fixture(scope="module")
def place():
    s = Instance(start=False)
    s.made = {name: open(s.etc + "/main.cf").read() for name in ("main.cf",)}
    s.filter = Filter(lambda: s.port("submission"))
    yield s
    s.close()
    s.filter.close()


def setting(s, name):
    return re.search(r"^%s *= *(\S+)" % name, s.made["main.cf"], flags=re.M)[1]


def configure(s, main, master, edits, more=""):
    words = {"dir": s.dir, "etc": s.etc, "queue": s.queue, "bin": setting(s, "daemon_directory"), "owner": setting(s, "mail_owner"),
             "group": setting(s, "setgid_group"), "other": s.port("submission"), "filter": s.filter.port, "smtps": s.port("submissions"),
             "user": "nobody" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name}
    text = (HERE + DEBIAN_MAIN) % words
    for line in (main % words).splitlines():
        name = re.match(r"(\w+) *=", line)
        if name:
            text = re.sub(r"^%s *=.*\n" % name[1], "", text, flags=re.M)
    s.write("etc/main.cf", text + main % words + more)
    services = DEBIAN_MASTER
    for old, new in edits.items():
        assert old in services
        services = services.replace(old, new, 1)
    services = re.sub(r"^smtp      inet", "127.0.0.1:%d inet" % s.port("smtp"), services, flags=re.M)
    s.write("etc/master.cf", services + master % words)
    s.write("etc/mailname", "example.test\n")
    s.write("etc/virtual", "/^info@virtual.test$/ a@virtual.test\n")
    for name, text in FILES.items():
        s.write("etc/" + name, text, 0o755 if name == "filter" else 0o644)
        if "." not in name and not text.startswith(("/", "#!")):
            s.tool("postmap", "hash:%s/%s" % (s.etc, name))
    shutil.copy(s.cert, s.etc + "/cert.pem")
    shutil.copy(s.key, s.etc + "/key.pem")
    os.makedirs(s.dir + "/boxes", exist_ok=True)
    os.makedirs(s.dir + "/vmail", exist_ok=True)
    os.chmod(s.dir + "/boxes", 0o777)
    s.write("etc/aliases", "alice: %s/boxes/alice\n" % s.dir)
    s.tool("postalias", "hash:" + s.etc + "/aliases")


@pytest.fixture(scope="module", autouse=True)
def certificate(place):
    place.cert = place.key = None
    for name, parameter in (("cert", "smtpd_tls_cert_file"), ("key", "smtpd_tls_key_file"), ("cert", "smtpd_tls_chain_files"), ("key", "smtpd_tls_chain_files")):
        found = re.search(r"^%s *= *(\S+)" % parameter, place.made["main.cf"], flags=re.M)
        if found and not getattr(place, name):
            setattr(place, name, found[1].replace("$config_directory", place.etc))


def refused(s):
    """the names that pombal_accept_missing would have to hold, in the order of the complaints"""
    r = s.tool("pombal", "check", check=False)
    found = re.findall(r"or name (\S+) in pombal_accept_missing\.$", r.stderr, flags=re.M)
    accepted = "pombal_accept_missing accepts that" in r.stderr
    assert found or accepted or not re.search(r" warning: (?!.*(has no effect|until somebody listens there))", r.stderr), r.stderr
    assert (r.returncode != 0) == bool(found) and len(re.findall(r" error: ", r.stderr)) == len(found), r.stderr
    return found


def test_nothing_is_said_of_what_debian_installs(place):
    main, master, edits, _ = CONFIGURATIONS["debian with submission"]
    configure(place, main, master, edits)
    assert place.tool("pombal", "check").stderr == ""


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_passes_mail_or_is_refused_with_the_list(place, name):
    main, master, edits, expected = CONFIGURATIONS[name]
    configure(place, main, master, edits)
    assert sorted(refused(place)) == sorted(expected)
    before = len(place.log())
    assert place.tool("pombal", "start", check=False).returncode == (1 if expected else 0)
    if expected:
        configure(place, main, master, edits, "pombal_accept_missing = " + ", ".join(expected) + "\n")
        assert refused(place) == []
        return
    try:
        with smtplib.SMTP("127.0.0.1", place.port("smtp"), timeout=60) as c:
            c.sendmail("a@elsewhere.test", ["alice@example.test"], "Subject: %s\r\n\r\ntext\r\n" % name)
        box = place.dir + "/boxes/alice"
        wait_for(lambda: os.path.exists(box) and "Subject: %s\n" % name in open(box).read())
        place.tool("sendmail", "-f", "b@example.test", "alice@example.test", input="Subject: here %s\n\ntext\n" % name)
        wait_for(lambda: "Subject: here %s\n" % name in open(box).read())
        assert ("X-Filtered: yes" in open(box).read().split("Subject: %s\n" % name)[0].rsplit("\nFrom ", 1)[-1]) == (name == "a filter between")
        assert not re.search(r"(fatal|panic|error|bad command startup): ", place.log()[before:]), place.log()[before:]
    finally:
        place.stop()


def sent_to(place, main, rcpt, sink):
    """with these settings mail to rcpt, from a client and from this host, arrives at the sink"""
    configure(place, main, "", {})
    assert refused(place) == []
    before = len(place.log())
    assert place.tool("pombal", "start", check=False).returncode == 0
    try:
        with smtplib.SMTP("127.0.0.1", place.port("smtp"), timeout=60) as c:
            c.sendmail("a@elsewhere.test", [rcpt], "Subject: from a client\r\n\r\ntext\r\n")
        place.tool("sendmail", "-f", "b@example.test", rcpt, input="Subject: from here\n\ntext\n")
        wait_for(lambda: {re.search(rb"Subject: (.*?)\r?\n", m)[1] for m in sink.messages} == {b"from a client", b"from here"})
        assert not re.search(r"(fatal|panic|error|bad command startup): ", place.log()[before:]), place.log()[before:]
    finally:
        place.stop()
        sink.close()


def test_a_satellite_sends_everything_to_its_relay_host(place):
    sink = Sink()
    sent_to(place, "mydestination =\nrelayhost = [127.0.0.1]:%d\nlocal_transport = error:local mail delivery is disabled\n"
            "smtp_tls_security_level = none\ndefault_transport = smtp\n" % sink.port, "anybody@example.test", sink)


def test_a_backup_mx_passes_on_what_its_tables_know(place):
    sink = Sink()
    sent_to(place, "relay_domains = hash:%%(etc)s/domains\nrelay_recipient_maps = hash:%%(etc)s/mailboxes\nsmtp_tls_security_level = none\n"
            "maximal_queue_lifetime = 10d\ntransport_maps = inline:{virtual.test=relay:[127.0.0.1]:%d}\n" % sink.port, "a@virtual.test", sink)
