"""Configurations as people have them: each passes mail, or is refused with exactly the list of what is not there."""
import os, re, shutil, smtplib

import pytest

from pombal import Instance, wait_for

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
               "milter_mail_macros = i {mail_addr} {client_addr} {client_name} {auth_authen}\n", "", {}, ["smtpd_milters", "non_smtpd_milters"]),
    "amavis": ("content_filter = smtp-amavis:[127.0.0.1]:10024\n", AMAVIS_MASTER, {}, ["smtp_send_xforward_command", "receive_override_options"]),
    "postscreen": ("postscreen_greet_action = enforce\npostscreen_dnsbl_sites = zen.spamhaus.org*2\npostscreen_dnsbl_action = enforce\n",
                   "smtpd     pass  -       -       y       -       -       smtpd\ndnsblog   unix  -       -       y       -       0       dnsblog\n"
                   "tlsproxy  unix  -       -       y       -       0       tlsproxy\n",
                   {"-       -       smtpd\n": "-       1       postscreen\n"}, ["postscreen"]),
    "blocklists and greylisting": (
        "smtpd_helo_required = yes\nsmtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination,\n"
        "  reject_invalid_helo_hostname, reject_rbl_client zen.spamhaus.org, reject_rhsbl_sender dbl.spamhaus.org,\n"
        "  check_policy_service inet:127.0.0.1:10023, permit\n", "", {}, ["reject_rbl_client", "reject_rhsbl_sender", "check_policy_service"]),
    "mysql in the manner of ISPConfig": (
        "virtual_alias_maps = proxy:mysql:/etc/postfix/mysql-virtual_forwardings.cf, proxy:mysql:/etc/postfix/mysql-virtual_email2email.cf\n"
        "virtual_mailbox_domains = proxy:mysql:/etc/postfix/mysql-virtual_domains.cf\n"
        "virtual_mailbox_maps = proxy:mysql:/etc/postfix/mysql-virtual_mailboxes.cf\nvirtual_mailbox_base = /var/vmail\n"
        "virtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\nvirtual_transport = dovecot\ndovecot_destination_recipient_limit = 1\n"
        "smtpd_client_message_rate_limit = 100\nmime_header_checks = regexp:/etc/postfix/mime_header_checks\n"
        "proxy_read_maps = $local_recipient_maps $mydestination $virtual_alias_maps\n", "", {},
        ["smtpd_client_message_rate_limit"] + ["mysql"] * 4),
    "a proxy in front": ("", "127.0.0.1:%(other)s inet n - n - - smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n"
                         "  -o { smtpd_recipient_restrictions = reject_unverified_recipient, reject_unauth_destination }\n", {},
                         ["smtpd_upstream_proxy_protocol", "reject_unverified_recipient"]),
}


@pytest.fixture(scope="module")
def place():
    s = Instance(start=False)
    s.made = {name: open(s.etc + "/main.cf").read() for name in ("main.cf",)}
    yield s
    s.close()


def setting(s, name):
    return re.search(r"^%s *= *(\S+)" % name, s.made["main.cf"], flags=re.M)[1]


def configure(s, main, master, edits, more=""):
    words = {"dir": s.dir, "etc": s.etc, "queue": s.queue, "bin": setting(s, "daemon_directory"), "owner": setting(s, "mail_owner"),
             "group": setting(s, "setgid_group"), "other": s.port("submission")}
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
    shutil.copy(s.cert, s.etc + "/cert.pem")
    shutil.copy(s.key, s.etc + "/key.pem")
    os.makedirs(s.dir + "/boxes", exist_ok=True)
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
    assert found or accepted or not re.search(r" warning: (?!.*has no effect)", r.stderr), r.stderr
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
        assert not re.search(r"(fatal|panic|error|bad command startup): ", place.log()), place.log()
    finally:
        place.stop()
