"""What a configuration asks for is there, or check, start and reload refuse it and say what would happen to mail."""
import os, re, signal, smtplib, subprocess

import pytest

from pombal import BIN, IS_ROOT, Instance, wait_for

# Services that must be there, but no test here is about their programs. Check tries the start of each program, so these are one.
OTHERS = ("pickup", "bounce", "defer", "trace", "showq", "relay", "error", "retry", "lmtp", "discard")
LIKE = {"submission": "smtpd", "submissions": "smtpd", "pop3s": "pop3d"}  # as that of the other port
REFUSED = re.compile(r"^\S+ error: (.*)$", re.M)


@pytest.fixture(scope="module")
def idle():
    """an instance that does not run; each test gives it the settings that it is about"""
    s = Instance(start=False)
    s.add_master("".join("%s unix n - n - 0 discard\n" % name for name in OTHERS) +
                 "".join("127.0.0.1:%d inet n - y - - %s\n" % (s.port(name), program) for name, program in LIKE.items()))
    s.plain = {name: s.read("etc/" + name) for name in ("main.cf", "master.cf")}
    yield s
    s.close()


def configure(s, main="", master=""):
    for name, text in s.plain.items():
        s.write("etc/" + name, text)
    s.add_main(main)
    s.add_master(master)


def check(s, main="", master=""):
    """the errors of pombal check, without the directory"""
    configure(s, main, master)
    r = s.tool("pombal", "check", check=False)
    errors = [e.replace(s.etc + "/", "") for e in REFUSED.findall(r.stderr)]
    assert (r.returncode != 0) == bool(errors), r.stderr
    return errors


# settings, -o settings of a service, the name, what would happen
MISSING = [
    ("smtp_body_checks = regexp:/x", "", "smtp_body_checks", "outgoing mail would pass unfiltered"),
    ("smtp_body_checks = $smtp_mime_header_checks\nsmtp_mime_header_checks = regexp:/x", "", "smtp_body_checks smtp_mime_header_checks", "would pass unfiltered"),
    ("virtual_alias_maps = hash:/etc/aliases, mysql:/etc/postfix/a.cf", "", "mysql", "virtual_alias_maps: table type mysql"),
    ("virtual_mailbox_maps = proxy:ldap:/etc/postfix/a.cf", "", "ldap", "the mail that needs it waits"),
    ("relay_recipient_maps = unionmap:{inline:{a=b}, pgsql:/x.cf}", "", "pgsql", "relay_recipient_maps: table type pgsql"),
    ("smtp_header_checks = regexp:/etc/postfix/x", "", "smtp_header_checks", "headers of outgoing mail"),
    ("smtp_tls_dcert_file = /x.pem", "", "smtp_tls_dcert_file", "servers would not be shown this certificate"),
    ("lmtp_cname_overrides_servername = yes", "", "lmtp_cname_overrides_servername", "so mail for them waits"),
    ("", "-o smtp_dns_resolver_options=res_defnames", "smtp_dns_resolver_options", "would not be completed"),
    ("ignore_mx_lookup_error = yes", "", "ignore_mx_lookup_error", "would wait"),
    ("smtp_cname_overrides_servername = yes", "", "smtp_cname_overrides_servername", "by another name"),
    ("tls_low_cipherlist = HIGH\ntls_export_cipherlist = HIGH\ntls_null_cipherlist = HIGH", "",
     "tls_low_cipherlist tls_export_cipherlist tls_null_cipherlist", "ciphers that it leaves out"),
    ("best_mx_transport = local", "", "best_mx_transport", "would not take that transport"),
    ("", "-o { smtp_body_checks = pcre:/x }", "smtp_body_checks", "-o smtp_body_checks = pcre:/x"),
    ("alias_maps = nis:mail.aliases\nlocal_recipient_maps =", "", "nis", "alias_maps: table type nis"),
    ("smtpd_client_restrictions = check_client_access tcp:127.0.0.1:1", "", "tcp", "smtpd_client_restrictions: table type tcp"),
    ("virtual_maps = lmdb:/etc/postfix/virtual\n# virtual_alias_maps = $virtual_maps", "", "lmdb", "virtual_maps: table type lmdb"),
    ("", "-o smtpd_sender_login_maps=ldap:/x.cf", "ldap", "-o smtpd_sender_login_maps: table type ldap"),
]


def together(rows, words=0):
    """the rows of a table, in lists that one run of check can answer: each sets other parameters (or needs their default: a
    comment), and has other words in that column"""
    groups = []
    for row in rows:
        own = set(re.findall(r"^(?:# )?(\w+) *=", row[0], flags=re.M)) | set(row[words].split() if words else [])
        fits = [g for g in groups if not own & g[0]]
        if not fits:
            groups.append((set(), []))
        taken, group = (fits or groups[-1:])[0]
        taken |= own
        group.append(row)
    return [group for _, group in groups]


def check_missing(s, rows, accepted=()):
    """of the rows whose names are not accepted, what check says must be all that it says"""
    names = [n for row in accepted for n in row[2].split()]
    errors = check(s, "\n".join(row[0] for row in rows) + "\npombal_accept_missing = reject_nothing, " + " ".join(names),
                   "".join("x%d unix - - n - - smtpd %s\n" % (i, row[1]) for i, row in enumerate(rows) if row[1]))
    left = [(i, row) for i, row in enumerate(rows) if row not in accepted]
    for i, (_, option, names, effect) in left:
        place = r"master\.cf, line \d+: service x%d: -o " % i if option else r"main\.cf, line \d+: "
        own = [e for e in errors if re.match(place, e) and any(re.search(r"\b%s\b" % n, e) for n in names.split())]
        assert len(own) >= len(names.split()) and any(effect in e for e in own), (rows[i], errors)
    assert len(errors) == sum(len(row[2].split()) for _, row in left), errors


def test_what_is_missing_is_refused_and_can_be_accepted(idle):
    for rows in together(MISSING, words=2):
        check_missing(idle, rows)
        for accepted in rows[::2], rows[1::2]:
            check_missing(idle, rows, accepted)


@pytest.mark.parametrize("main, option", [
    ("smtp_body_checks =", "-o smtp_body_checks="), ("best_mx_transport =", ""), ("strict_8bitmime = no", ""),
    ("mime_header_checks = $header_checks", ""), ("tls_wildcard_matches_multiple_labels = yes", ""),
    ("receive_override_options =", "-o receive_override_options="), ("biff = no\nsmtpd_tls_session_cache_database = btree:/x\nmilter_protocol = 6", ""),
])
def test_what_is_switched_off_counts_for_nothing(idle, main, option):
    assert check(idle, main, "127.0.0.1:%d inet n - n - - smtpd %s" % (idle.port("submission"), option)) == []


def test_all_that_is_missing_is_told_at_once(idle):
    errors = check(idle, "smtp_body_checks = regexp:/m\nsmtp_generic_maps = hash:/g\nsmtp_header_checks = pcre:/h",
                   "127.0.0.1:%d inet n - n - 1 qmqpd" % idle.port("submission"))
    assert len(errors) == 4, errors
    assert "bin/qmqpd is not there yet: nobody would listen there, and no mail would come in" in errors[-1]


def test_programs_that_nobody_misses_are_left_out_without_a_word(make_suite):
    names = "rewrite=trivial-rewrite anvil scache tlsmgr proxymap proxywrite=proxymap tlsproxy dnsblog".split()
    s = make_suite(master="".join("%s unix - - n - 0 %s\n" % (n.split("=")[0], n.split("=")[-1]) for n in names))
    for name in names:
        assert name.split("=")[-1] + " is not" not in s.log()
    assert not os.path.exists(s.queue + "/private/rewrite")
    assert not re.search(r"no program|has no effect", s.log())


def test_a_reload_that_asks_for_what_is_missing_keeps_the_old_configuration(make_suite):
    s = make_suite(main="smtpd_banner = old")
    s.add_main("smtpd_banner = new\nsmtp_body_checks = regexp:/x")
    r = s.tool("pombal", "reload", check=False)
    assert r.returncode == 1 and "smtp_body_checks = regexp:/x: is not there yet: outgoing mail would pass unfiltered by these tables." in r.stderr
    os.kill(s.master_pid(), signal.SIGHUP)
    s.wait_log(r"the old configuration stays in force")
    s.stop()
    r = s.tool("pombal", "start", check=False)
    assert r.returncode == 1 and "smtp_body_checks" in r.stderr


def banner(s):
    with smtplib.SMTP() as c:
        return c.connect("127.0.0.1", s.port("smtp"))[1].decode()


def end_processes(s, program):
    pids = s.pids(program)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not set(pids) & set(s.pids(program)))


def test_processes_see_the_configuration_that_was_accepted(make_suite):
    """neither an edit nor a refused reload changes what a new process reads"""
    s = make_suite(main="smtpd_banner = old")
    assert banner(s) == "old"
    s.add_main("smtpd_banner = new")
    end_processes(s, "smtpd")
    assert banner(s) == "old"
    s.add_main("max_idle = soon")
    os.kill(s.master_pid(), signal.SIGHUP)
    s.wait_log("the old configuration stays in force")
    end_processes(s, "smtpd")
    assert banner(s) == "old"
    s.add_main("max_idle = 100")
    s.reload()
    wait_for(lambda: banner(s) == "new")


# What a service would refuse when it starts: settings, and what is said
STARTS = [
    ("login_tls_cert_file = {0}/etc/a.pem\nlogin_tls_key_file = {0}/etc/b.key", "service .*imapd|key"),
    ("login_tls_cert_file = {0}/etc/nosuch.pem\nlogin_tls_key_file = {0}/etc/b.key", "nosuch.pem"),
    ("smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {0}/etc/main.cf", "cannot load the certificate"),
    ("smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {0}/etc/nosuch.pem", "nosuch.pem: No such file or directory"),
    ("smtpd_tls_security_level = maye", "smtpd_tls_security_level = maye: there is no such level: none, may or encrypt"),
    ("auth_passdb = pam", "pam"),
    ("auth_mechanisms = plain nosuch", "unknown mechanism"),
    ("pop3_uidl_format = %q", "pop3_uidl_format"),
    ("smtpd_recipient_restrictions = permit_mynetworks\nsmtpd_relay_restrictions =", "at least one working instance"),
    ("smtpd_recipient_restrictions = reject_unauth_destination, reject_unkown_client", 'main.cf, line .*"reject_unkown_client" is no restriction that is known here: did you mean reject_unknown_client[?]'),
    ("smtpd_helo_restrictions = permit, check_helo_access", 'smtpd_helo_restrictions = .*: "check_helo_access" wants a table behind it'),
    ("smtpd_data_restrictions = sleep", '"sleep" wants a value behind it'),
    ("smtpd_data_restrictions = hash:/etc/x", 'smtpd_data_restrictions = .*: "hash:/etc/x" is no restriction that is known here'),
    ("smtpd_restriction_classes = mine", 'smtpd_restriction_classes = mine: "mine" is not defined'),
    ("smtpd_restriction_classes = mine\nmine = permit_mynetwork\nsmtpd_etrn_restrictions = mine", '"permit_mynetwork" is no restriction'),
    ("mynetworks = 127.0.0.0/8 10.1.0.0/8", "non-null host address bits in .*10.0.0.0/8"),
    ("mynetworks = 127.0.0.0/8 [::1]/129", "bad mask value"),
    ("mynetworks = 127.0.0.0/8 !", "without a name"),
    ("smtpd_client_event_limit_exceptions = 10.0.0/8", "bad net/mask pattern"),
    ("virtual_alias_maps = hsah:/etc/x", "virtual_alias_maps = hsah:/etc/x: unsupported dictionary type: hsah"),
    ("smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_ciphers = null", "smtp_tls_security_level = encrypt: TLS: ciphers null: no cipher match"),
    ("smtp_tls_policy_maps = inline:{{{{ x.test = encrypt ciphers=null exclude=RC4 }}}}", "encrypt ciphers=null exclude=RC4.*no cipher"),
    ("relay_domains = hsah:/etc/x", "relay_domains = hsah:/etc/x: unsupported dictionary type: hsah"),
]
# The rest of a value that a blank has cut in two, and a comment: -o and what follows, and the word that is told
CUT_OFF = [
    ("smtpd", "-o smtpd_client_restrictions=permit_mynetworks, reject", "reject"),
    ("smtpd", "-o smtpd_client_restrictions=reject # nobody", "#"),
    ("smtp", "-o smtp_tls_security_level=encrypt -o smtp_tls_mandatory_protocols=!SSLv3, !TLSv1", "!TLSv1"),
    ("cleanup", "header_checks=pcre:/x", "header_checks=pcre:/x"),
]


@pytest.mark.parametrize("program, words, told", CUT_OFF)
def test_words_behind_the_options_of_a_service_are_not_lost(idle, program, words, told):
    errors = check(idle, "", "127.0.0.1:%d inet n - n - - %s %s" % (idle.port("submission"), program, words))
    assert len(errors) == 1 and "unexpected command-line argument: %s. " % told in errors[0], errors


@pytest.mark.parametrize("main, said", STARTS)
def test_what_the_start_of_a_service_would_refuse_is_refused_by_check(idle, main, said):
    for name in "ab":
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "%s/%s.key" % (idle.etc, name),
                        "-out", "%s/%s.pem" % (idle.etc, name)], check=True, capture_output=True) if not os.path.exists("%s/%s.pem" % (idle.etc, name)) else None
    errors = check(idle, main.format(idle.dir))
    assert errors and re.search(said, "\n".join(errors)), errors
    assert all(re.search(r"(main|master)\.cf, line \d+: ", e) for e in errors), errors


# Values of the wrong form: all of them are told at once, each once, with its line
MALFORMED = [
    ("relayhost", "[127.0.0.1]:2x", 'there is no port "2x"'),
    ("smtp_fallback_relay", "backup.test:25 [other.test", r'"\[other.test" is no next hop'),
    ("lmtp_fallback_relay", "unix:", "no path"),
    ("address_verify_relayhost", "one.test, [two.test", r'"\[two.test" is no next hop'),
    ("smtp_tcp_port", "smpt", 'there is no port "smpt"'),
    ("smtp_bind_address", "::1", "is not an IPv4 address"),
    ("smtp_bind_address6", "127.0.0.1", "is not an IPv6 address"),
    ("smtp_helo_name", "mail_server!", "neither a host name nor"),
    ("smtp_address_preference", "ipv5", "none of: any, ipv4, ipv6"),
    ("smtp_host_lookup", "dns, nativ", '"nativ" is none of: dns, native'),
    ("smtp_dns_support_level", "on", "none of: disabled, enabled, dnssec"),
    ("dns_servers", "127.0.0.1 ns.test", '"ns.test" is neither an address nor address:port'),
    ("allow_mail_to_commands", "alias, foward", '"foward" is none of'),
    ("allow_mail_to_files", "aliases", '"aliases" is none of'),
    ("canonical_classes", "header_sendr", '"header_sendr" is none of'),
    ("sender_canonical_classes", "header_recipient", "none of: envelope_sender, header_sender"),
    ("masquerade_classes", "header", "none of"),
    ("propagate_unmatched_extensions", "virtuals", "none of"),
    ("parent_domain_matches_subdomains", "relay_domain", 'no parameter "relay_domain"'),
    ("notify_classes", "bounces", "none of"),
    ("local_login_sender_maps", "inline:{root=*}, nosuch:/x", "unsupported dictionary type: nosuch"),
    ("authorized_submit_users", "root, !nosuch:x", "unsupported dictionary type: nosuch"),
    ("smtputf8_autodetect_classes", "sendmail, alle", '"alle" is none of'),
    ("prepend_delivered_header", "files", "none of"),
    ("mailbox_delivery_lock", "fcntl, dot_lock", '"dot_lock" is none of'),
    ("virtual_mailbox_lock", "lock", "none of"),
    ("header_from_format", "new", "none of: standard, obsolete"),
    ("sendmail_fix_line_endings", "yes", "none of: always, never, strict"),
    ("smtpd_forbid_bare_newline", "rejct", "none of: normalize"),
    ("receive_override_options", "no_milters, no_header_checks", 'there is no "no_header_checks"'),
    ("smtpd_upstream_proxy_protocol", "haproxi", "none of: haproxy"),
    ("smtpd_proxy_filter", "127.0.0.1:10o25", "host:port, a port or unix:path is wanted"),
    ("smtpd_proxy_options", "speed_up", 'there is no "speed_up"'),
    ("smtpd_authorized_xclient_hosts", "10.0.0", "bad net/mask pattern"),
    ("smtpd_authorized_xforward_hosts", "10.0.0.1/8", "non-null host address bits"),
    ("smtpd_tls_loglevel", "high", "none of: 0, 1"),
    ("syslog_facility", "mails", "none of"),
    ("maillog_file_permissions", "0999", "octal"),
    ("data_directory", "data", "begins with /"),
    ("virtual_mailbox_base", "vmail", "begins with /"),
    ("master_service_disable", "smtp.inet", "the type of a service"),
    ("relay_destination_concurrency_limit", "2o", "not a number"),
    ("smtp_destination_rate_delay", "1y", "not a time"),
    ("mail_location", "mbox:~/mail", "maildir:PATH only"),
    ("mail_separator", "//", 'none of: ., /'),
    ("mail_special_use", "Sent=\\Sent Junk=Junk", '"Junk=Junk": Folder=.Use is wanted'),
    ("mynetworks", "127.0.0.0/8;10.0.0.0/8", "bad net/mask pattern"),
    ("smtpd_client_event_limit_exceptions", "10.0.0", "bad net/mask pattern"),
    ("smtpd_sasl_exceptions_networks", "2001:db8::/32", r"written with brackets: \[2001:db8::\]/32"),
    ("proxy_interfaces", "127.0.0.300", "host not found"),
    ("mail_uid", "nosuchuser", "unknown user"),
    ("auth_username_format", "%Lz", "unknown variable %z"),
    ("auth_mechanisms", "plan", "unknown mechanism"),
    ("smtpd_sender_restrictions", "check_sender_access hsah:/x", "unsupported dictionary type: hsah"),
    ("smtpd_client_restrictions", "permit_mynetworks, reject_rbl_client zen.test=127.0.0.[2..", '"reject_rbl_client" wants a DNS list behind it'),
    ("smtpd_helo_restrictions", "reject_rhsbl_helo", '"reject_rhsbl_helo" wants a value behind it'),
    ("default_rbl_reply", "$rbl_code $rbl_rason", "has only names that default_rbl_reply knows, is wanted"),
    ("smtp_body_checks", "regexp:/x", "is not there yet"),
    ("smtpd_milters", "inet:127.0.0.1", 'there is no port "127.0.0.1"'),
    ("smtpd_milter_maps", "inline:{ { 127.0.0.1 = {unix:/x protocol=5} } }", "127.0.0.1: \"unix:/x\": \"protocol=5\": 2, 3, 4 or 6"),
    ("milter_macro_defaults", "a = b", "name=value or {name = value} is wanted"),
    ("milter_default_action", "acept", "none of: accept, quarantine, reject, tempfail, shutdown"),
    ("milter_protocol", "5", '"5": 2, 3, 4 or 6, and maybe no_header_reply'),
    ("login_tls_cert_file", "/nonexistent/cert.pem", "cannot load the certificate /nonexistent/cert.pem"),
]


def test_all_wrong_values_are_told_at_once(idle):
    configure(idle, "".join("%s = %s\n" % m[:2] for m in MALFORMED) + "smtpd_sasl_auth_enable = yes\nlogin_tls_key_file = /nonexistent/key.pem")
    r = idle.tool("pombal", "check", check=False)
    assert r.returncode == 1
    errors = [e.replace(idle.etc + "/", "") for e in REFUSED.findall(r.stderr)]
    for name, value, said in MALFORMED:
        place = r"main\.cf, line \d+: %s\b.*" % re.escape(name)
        assert len([e for e in errors if re.search(place + said, e)]) == 1, (name, r.stderr)
        assert len([e for e in errors if re.search(place, e)]) == 1, (name, r.stderr)
    assert len(errors) == len(MALFORMED), r.stderr
    assert not os.path.exists("data")


def test_all_wrong_numbers_are_told_in_one_run(idle):
    numbers = (("message_size_limit", "10k"), ("smtpd_helo_required", "true"), ("queue_run_delay", "soon"), ("smtpd_recipient_limit", "0"))
    errors = check(idle, "".join("%s = %s\n" % n for n in numbers))
    assert len(errors) == len(numbers), errors  # and none of a default that refers to one of them
    for name, value in numbers:
        assert len([e for e in errors if re.match(r"main\.cf, line \d+: %s = %s: " % (name, value), e)]) == 1, errors
    options = " ".join("-o %s=%s" % n for n in numbers)
    errors = check(idle, "", "127.0.0.1:%d inet n - n - - smtpd %s" % (idle.port("submission"), options))
    assert len(errors) == len(numbers) and all("master.cf, line " in e for e in errors), errors


def test_reply_codes_that_would_say_yes_are_refused(idle):
    for name in ("reject_code", "unknown_local_recipient_reject_code", "access_map_reject_code"):
        configure(idle, name + " = 250")
        r = idle.tool("pombal", "check", check=False)
        assert r.returncode == 1 and re.search(r"main.cf, line \d+: %s = 250: less than the minimum 400" % name, r.stderr), r.stderr


# Tables: parameter, a file of it, and what is said of it; the lines without a word are right
TABLES = [
    ("rbl_reply_maps", "texthash", "a.test 554 no\nb.test $rbl_code 5.7.1 no\nc.test go away\nd.test 554 $rbl_rason\ne.test ${rbl_reason?554} what\n",
     ['c.test: a reply that begins with an SMTP reply code, 400 to 599, and has only names', "d.test: a reply"]),
    ("header_checks", "pcre", "/^X-A:/ REJCT no spam\n/^X-B: ([0-9]+)/ REPLACE nothing\n/^X-C: (.*)/ REPLACE X-D: $1\n/^X-E:/ STRIP\n/^X-F/ warn $1\n",
     ['line 1: "REJCT" is no action: mail would pass unfiltered', "line 2: bad REPLACE header text"]),
    ("body_checks", "regexp", "/x/ FILTER smtp\n/y/ DISCARD\n/z/ BCC nobody\n/w/ PREPEND text\n",
     ["line 1: FILTER wants transport:destination", "line 3: BCC wants user@domain"]),
    ("smtpd_sender_restrictions", "texthash", "a@b.test REJCT\nc@d.test OK\ne@f.test 550 no\ng@h.test 5550 no\ni.test REDIRECT nobody\nj.test 450\n"
     "k.test permit_mynetworks, reject\nl.test permit_mx_backup, reject_unlistd_sender\nm.test strict\nn.test DEFER_IF_PERMIT later\n",
     ['a@b.test: "REJCT" is neither an action nor a restriction', 'g@h.test: "5550" is neither', "i.test: REDIRECT wants user@domain",
      'l.test: "reject_unlistd_sender" is neither an action nor a restriction']),
    ("smtpd_client_restrictions", "cidr", "10.0.0.0/8 PERMIT\n11.0.0.0/8 DENY\n", ['line 2: "DENY" is neither']),
    ("transport_maps", "texthash", "a.test smtp:[127.0.0.1]:2x\nb.test error:5.1.1 no\nc.test :[10.0.0.1\nd.test local:\ne.test lmtp:unix:private/x\n",
     ['a.test: "[127.0.0.1]:2x" is no next hop', 'c.test: "[10.0.0.1" is no next hop']),
    ("smtp_tls_policy_maps", "texthash", "a.test encript\nb.test secure match=x\nc.test may protocols=TLSv9\nd.test encrypt colour=red\n",
     ['a.test: "encript": client TLS configuration problem', 'c.test: "may protocols=TLSv9"', 'd.test: "encrypt colour=red"']),
    ("virtual_uid_maps", "texthash", "a@v.test 5000\nb@v.test vmail\nc@v.test 0\nd@v.test 99\n",
     ['b@v.test: "vmail" is not a number from 100 on (virtual_minimum_uid)', 'c@v.test: "0" is not', 'd@v.test: "99" is not']),
    ("virtual_gid_maps", "static", "vmail", ['"vmail" is not a number from 1 on']),
    ("sender_dependent_relayhost_maps", "texthash", "@a.test [127.0.0.1]:x\n@b.test DUNNO\n@c.test [mail.test]:587\n",
     ['@a.test: "[127.0.0.1]:x" is no next hop']),
]


def test_what_tables_say_that_nobody_understands_is_told(idle):
    main = "virtual_minimum_uid = 100\nsmtpd_restriction_classes = strict\nstrict = reject\ncontent_filter = smtp:[127.0.0.1]:10o24\n"
    for name, kind, text, _ in TABLES:
        path = text if kind == "static" else idle.write("etc/table_" + name, text)
        main += "%s = %s%s:%s\n" % (name, "check_sender_access " if name.startswith("smtpd_sender") else "", kind, path)
    errors = check(idle, main, "lmtp unix - - n - - lmtp")
    expected = [(name, said) for name, _, _, told in TABLES for said in told] + [("content_filter", 'no port "10o24"')]
    for name, said in expected:
        assert len([e for e in errors if re.search(r"main\.cf, line \d+: %s = .*%s" % (name, re.escape(said)), e)]) == 1, (said, errors)
    assert len(errors) == len(expected), errors
    actions = [e for e in errors if e.endswith("or name unknown_action in pombal_accept_missing")]
    assert len(check(idle, main + "pombal_accept_missing = unknown_action", "lmtp unix - - n - - lmtp")) == len(errors) - len(actions) < len(errors)


@pytest.mark.parametrize("kind", ["pcre", "regexp"])
def test_replies_of_a_table_of_patterns_are_looked_at_as_they_will_be_used(idle, kind):
    path = idle.write("etc/replies", "/(a)/ 554 5.7.1 $1 ${1} $$rbl_what\n/b/ 554 $$rbl_rason\n/(c)/ go away, $1\n/(d)/ $$rbl_code $1\n")
    errors = check(idle, "rbl_reply_maps = %s:%s\n" % (kind, path))
    assert [re.search(r"line (\d): a reply", e).group(1) for e in errors] == ["2", "3"], errors


def test_a_domain_of_two_classes_and_a_transport_that_is_not_there_are_told(idle):
    configure(idle, "mydestination = $myhostname, localhost, both.test, fine.test\nvirtual_mailbox_domains = inline:{both.test=x, vm.test=x}\n"
              "virtual_alias_domains = vm.test va.test @x.test\nrelay_domains = va.test *.y.test .z.test !w.test\ntransport_maps = inline:{x.test=nosuch:, y.test=[127.0.0.1]:25}")
    said = idle.tool("pombal", "check").stderr
    for text in ("do not list domain both.test in BOTH mydestination and virtual_mailbox_domains",
                 "do not list domain vm.test in BOTH virtual_alias_domains and virtual_mailbox_domains",
                 "do not list domain va.test in BOTH virtual_alias_domains and relay_domains",
                 '"@x.test" is no domain: it matches no mail', '"*.y.test" is no domain', 'x.test: master.cf has no service "nosuch"', 'y.test: master.cf has no service "[127.0.0.1]"'):
        assert said.count(text) == 1, said


# What leaves a service running, as in Postfix, but without something: settings, options of a service, and what is said
AMISS = [
    ("header_checks = pcre:{{{{/bad(/ REJECT}}}}", "", "service cleanup: pcre map .*missing closing parenthesis.*: skipping this rule"),
    ("header_checks = regexp:{0}/etc/nosuch", "", "service cleanup: open .*/etc/nosuch: No such file or directory"),
    ("transport_maps = texthash:{0}/etc/nosuch", "", "open .*/etc/nosuch: No such file or directory"),
    ("smtpd_tls_security_level = may\nsmtpd_tls_cert_file =", "", "TLS is not available: no certificate"),
    ("smptd_helo_required = yes", "", "main.cf: unused parameter: smptd_helo_required=yes: nothing uses this name"),
    ("mydestination = $myhostnam, localhost", "", "main.cf: undefined parameter: myhostnam: it counts as empty"),
    ("virtual_mailbox_base = {0}/nosuch\nvirtual_mailbox_maps = static:x/", "", "virtual_mailbox_base = .*/nosuch: No such file or directory"),
    ("virtual_transport = dovecot", "", r"main.cf, line \d+: virtual_transport = dovecot: master.cf has no service \"dovecot\""),
    ("content_filter = amavis:[127.0.0.1]:10024", "", "content_filter = .*: master.cf has no service \"amavis\""),
    ("smtpd_sasl_path = private/nosuch", "", "smtpd_sasl_path = private/nosuch: .*/private/nosuch: No such file or directory, and master.cf has no"),
    ("smtpd_tls_security_level = verify", "", "unsupported level \"verify\", using \"encrypt\""),
    ("relay_domains = proxy:hash:{0}/etc/nosuch", "", "relay_domains: .*/etc/nosuch.db: No such file or directory: postmap hash:"),
    ("smtpd_tls_security_level = none\nsmtpd_tls_auth_only = yes", "", "smtpd_tls_auth_only = yes: there is no TLS, so nobody can log in"),
    ("login_tls_cert_file =\nlogin_tls_chain_files =", "", "service .*: TLS is wanted from the first byte, but login_tls_cert_file is not set"),
    ("smtp_tls_security_level = verify\nsmtp_tls_CApath = {0}/etc/nosuch", "", "TLS: no CA certificates in .*/etc/nosuch: No such file or directory"),
    ("mailbox_transport =\nmailbox_command = {0}/nosuch -a \"$EXTENSION\"", "", r"main.cf, line \d+: mailbox_command = .*: .*/nosuch: No such file or directory"),
    ("virtual_transport = lmtp:unix:private/nosuch", "", "virtual_transport = .*: private/nosuch: No such file or directory: mail for it waits"),
    ("alias_maps =\nmailbox_transport =\nhome_mailbox = Maildir/", "", "service local: .*alias_maps: there is no alias for root: mail for root waits"),
    ("smtp_tls_wrappermode = yes\nsmtp_tls_security_level =", "", "smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\""),
    ("smtpd_tls_security_level = may\nsmtpd_tls_req_ccert = yes", "", "smtpd_tls_req_ccert = yes: can't require client certs unless TLS is required"),
    ("smtpd_sasl_auth_enable = no\nsmtpd_sender_restrictions = reject_sender_login_mismatch", "",
     "smtpd_sender_restrictions: restriction `reject_sender_login_mismatch' ignored: no SASL support"),
    ("local_login_sender_maps = texthash:{0}/etc/nosuch", "", r"main.cf, line \d+: local_login_sender_maps = .*nosuch: No such file or directory: local programs"),
    ("strict_8bitmime = yes\ndisable_mime_input_processing = yes", "", "strict_8bitmime = yes has no effect: disable_mime_input_processing = yes"),
    ("mailbox_service_name = nosuch", "", "master.cf has no service \"nosuch\" of type unix, which imapd needs: nobody can log in"),
    ("", "-o smtpd_sender_login_maps=hash:{0}/etc/nosuch", "smtpd_sender_login_maps: .*/etc/nosuch.db: No such file or directory: postmap hash:"),
]


@pytest.mark.parametrize("main, options, said", AMISS)
def test_check_warns_of_what_a_service_starts_without(idle, main, options, said):
    configure(idle, main.format(idle.dir), "127.0.0.1:%d inet n - n - - smtpd %s" % (idle.port("submission"), options.format(idle.dir)))
    r = idle.tool("pombal", "check")
    assert len(re.findall(r"^\S+ warning: .*" + said, r.stderr, flags=re.M)) == 1, r.stderr


def test_check_says_nothing_of_what_is_not_used(idle):
    """the command, where a transport has the mail; a missing level of TLS, where a table has it"""
    configure(idle, "mailbox_command = /nosuch/command\nsmtp_tls_wrappermode = yes\nsmtp_tls_security_level =\n"
              "smtp_tls_policy_maps = inline:{{x.test=encrypt}}")
    r = idle.tool("pombal", "check")
    assert "mailbox_command" not in r.stderr and "smtp_tls_wrappermode" not in r.stderr, r.stderr


def test_a_service_with_options_of_its_own_tries_its_start_with_them(idle):
    errors = check(idle, "", "127.0.0.1:%d inet n - n - - smtpd -o smtpd_client_restrictions=nonsense" % idle.port("submission"))
    assert len(errors) == 1 and "nonsense" in errors[0] and "service 127.0.0.1:%d" % idle.port("submission") in errors[0], errors


@pytest.mark.skipif(not IS_ROOT, reason="all mail belongs to whoever runs the suite")
@pytest.mark.parametrize("main, said", [
    ("mail_uid = 0", "mail_uid = 0: root does not read mail"),
    ("mail_gid = root", "mail_gid = root: root does not read mail"),
    ("mail_uid = 400\nfirst_valid_uid = 500", "mail_uid = 400: uid 400 is outside of first_valid_uid and last_valid_uid"),
    ("mail_gid = 400\nlast_valid_gid = 300", "mail_gid = 400: gid 400 is outside of first_valid_gid and last_valid_gid"),
])
def test_owners_of_mail_that_would_have_no_session_are_refused(idle, main, said):
    errors = check(idle, main)
    assert len(errors) == 1 and re.search(r"main\.cf, line \d+: " + re.escape(said), errors[0]), errors


def test_services_that_parameters_name_must_be_there(idle):
    """mail that comes in by the one service would wait, the other mail would not: nobody would see it"""
    port = idle.port("submission")
    errors = check(idle, "trace_service_name = notrace", "127.0.0.1:%d inet n - n - - smtpd -o cleanup_service_name=noclean" % port)
    assert len(errors) == 2, errors
    assert re.match(r'main\.cf, line \d+: trace_service_name = notrace: master.cf has no service "notrace" of type unix', errors[0])
    assert re.match(r'master\.cf, line \d+: service 127.0.0.1:%d: cleanup_service_name = noclean: master.cf has no service "noclean"' % port,
                    errors[1])
    assert check(idle, "trace_service_name = bounce", "other unix n - n - 0 cleanup\n"
                 "127.0.0.1:%d inet n - n - - smtpd -o cleanup_service_name=other" % port) == []


@pytest.mark.parametrize("main, master", [
    ("smtpd_sender_restrictions = reject_unverified_sender", ""), ("smtpd_restriction_classes = strict\nstrict = reject_unverified_recipient", ""),
    ("", "127.0.0.1:%d inet n - n - - smtpd -o { smtpd_recipient_restrictions = reject_unverified_recipient, reject }"),
])
def test_probes_need_a_service(idle, main, master):
    if "%d" in master:
        master = master % idle.port("submission")
    assert check(idle, main, master) == []
    errors = check(idle, main + "\nmaster_service_disable = verify/unix", master)
    assert len(errors) == 1 and 'reject_unverified_* need a service "verify" of type unix in master.cf' in errors[0], errors


@pytest.mark.skipif(not IS_ROOT, reason="pipe becomes other users")
def test_pipe_attributes_are_checked_but_users_may_be_unknown(idle):
    """as in every Debian's master.cf"""
    assert check(idle, "", "bsmtp unix - n n - - pipe flags=Fq. user=nosuchuser argv=/usr/lib/bsmtp/bsmtp") == []
    for word in ("${recipeint}", "--from=$sendr", "${extension?{${usr}}:{x}}", "${extension?{x}:{$usr}}"):
        errors = check(idle, "", "x unix - n n - - pipe user=daemon argv=/bin/true { %s }" % word)
        assert len(errors) == 1 and "unknown macro in argument: " + word in errors[0], errors
    assert check(idle, "", "x unix - n n - - pipe user=daemon argv=/bin/true ${recipient} ${extension?{$user}:{$mailbox}} $size") == []
    assert "unknown attribute: colour=red" in check(idle, "", "x unix - n n - - pipe colour=red user=daemon argv=/bin/true")[0]


def test_a_start_that_does_not_end_is_told(idle):
    if not os.path.exists(idle.dir + "/slow"):
        os.symlink("/bin/sleep", idle.dir + "/slow")
    os.makedirs(idle.dir + "/programs", exist_ok=True)
    for name in os.listdir(BIN):
        if not os.path.lexists(idle.dir + "/programs/" + name):
            os.symlink(BIN + "/" + name, idle.dir + "/programs/" + name)
    idle.write("programs/slow", "#!/bin/sh\nexec sleep 600\n", 0o755)
    errors = check(idle, "daemon_directory = %s/programs\nservice_check_timeout = 8s" % idle.dir, "slow unix - - n - 0 slow")
    assert any("service slow: it did not try its start" in e for e in errors), errors


def test_debians_networks_match_as_with_postfix(make_suite):
    """an IPv4-mapped network is valid, and the wrong list element of nobody fails every RCPT"""
    s = make_suite(main="mynetworks = 10.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 127.0.0.0/8")
    s.smtp().sendmail("a@elsewhere.test", ["alice@example.test"], "Subject: x\r\n\r\n")
    s.wait_mail("alice")
    s.add_main("mynetworks = [::ffff:127.0.0.0]/104 [::1]/128")
    s.reload()
    def refused():
        with s.smtp() as c:
            c.ehlo("x")
            c.mail("a@elsewhere.test")
            return c.rcpt("bob@other.test")[0] in (454, 554)
    wait_for(refused)  # as Postfix: a client of 127.0.0.1 is in no IPv6 network


def test_myorigin_may_name_a_file_as_on_debian(make_suite):
    s = make_suite(start=False)
    s.write("etc/mailname", " example.test \nother.test\n")
    s.add_main("myorigin = %s/mailname" % s.etc)
    s.start()
    s.tool("sendmail", "-f", "bob", "alice", input="Subject: from here\n\n")
    assert s.wait_mail("alice")[0]["From"].endswith("bob@example.test>") or "bob@example.test" in s.wait_mail("alice")[0]["From"]


@pytest.mark.parametrize("text, said", [
    ("not a name\n", "is not a host name"), ("", "first line of the file is empty"), ("# comment\nexample.test\n", "is not a host name"), (None, "No such file")])
def test_a_file_without_a_name_is_refused_as_myorigin(idle, text, said):
    path = idle.etc + "/mailname"
    if os.path.exists(path):
        os.unlink(path)
    if text is not None:
        idle.write("etc/mailname", text)
    configure(idle, "myorigin = " + path)
    r = idle.tool("pombal", "check", check=False)
    assert r.returncode == 1 and re.search(r"main.cf, line \d+: myorigin = .*" + said, r.stderr), r.stderr


def test_aliases_are_built_by_postalias(idle):
    configure(idle, "alias_maps = hash:/nonexistent/a\nalias_database = hash:/nonexistent/b\nvirtual_alias_maps = hash:/nonexistent/c")
    r = idle.tool("pombal", "check", check=False)
    for tool, name in (("postalias", "a"), ("postalias", "b"), ("postmap", "c")):
        assert "%s hash:/nonexistent/%s" % (tool, name) in r.stderr, r.stderr


@pytest.mark.parametrize("value", ["maildir:~/Maildir:LAYOUT=fs", "maildir:~/M:INDEX=/x", "maildir:~/M:CONTROL=/x", "maildir:~/M:UTF-8",
                                   "maildir:Mail", "mbox:~/mail:INBOX=/var/mail/%u", "mdbox:~/mdbox", "sdbox:~/sdbox", "maildir:", "/var/mail"])
def test_a_mail_location_of_another_kind_is_refused(idle, value):
    configure(idle, "mail_location = " + value)
    r = idle.tool("pombal", "check", check=False)
    assert r.returncode == 1 and re.search(r"main.cf, line \d+: mail_location = \S+: .*maildir:", r.stderr), r.stderr


@pytest.mark.parametrize("main, said", [
    ("smtp_tls_security_level = dane", "smtp_tls_security_level = dane: is not there"),
    ("smtp_tls_security_level = may\nsmtp_tls_CAfile = /nonexistent/ca.pem", "/nonexistent/ca.pem"),
    ("smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.9", "TLSv1.9"),
    ("smtp_tls_security_level = may\nsmtp_tls_mandatory_ciphers = nonsense", "nonsense"),
    ("smtpd_sasl_security_options = noanonymous, mutual_auth", "mutual_auth"),
    ("smtpd_tls_security_level = may\ntls_ssl_options = NO_SUCH", "tls_ssl_options: unknown option"),
    ("smtp_tls_security_level = may\ntls_ssl_options = NO_TICKET, 0x", "tls_ssl_options: unknown option"),
])
def test_tls_that_cannot_be_as_it_is_wanted_is_refused(idle, main, said):
    errors = check(idle, main)
    assert errors and said in "\n".join(errors), errors
