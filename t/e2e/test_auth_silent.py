"""An authentication service that does not answer: nothing is known of a password or a mechanism then, so nobody is told that they are wrong."""
import base64, os, signal

import pombal

PLAIN = base64.b64encode(b"\0alice\0secret").decode()


def smtp_login(port):
    c = pombal.Raw(port)
    c.reply()
    ehlo, said = c.ask("EHLO c.test"), c.ask("AUTH PLAIN " + PLAIN)
    c.close()
    return ehlo, said


def test_smtp_clients_are_told_to_come_again(make_suite):
    """535 would have them ask their users for another password, and fail2ban shut them out"""
    down, filtered = pombal.free_port(), pombal.free_port()
    options = "-o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_tls_auth_only=no -o smtpd_sasl_security_options="
    s = make_suite(master="127.0.0.1:%d inet n - n - - smtpd %s -o smtpd_sasl_path=inet:127.0.0.1:%d\n"
                          "127.0.0.1:%d inet n - n - - smtpd %s -o smtpd_sasl_path=private/auth -o smtpd_sasl_mechanism_filter=texthash:%%s\n"
                          % (down, options, pombal.free_port(), filtered, options), start=False)
    s.write("etc/master.cf", s.read("etc/master.cf").replace("texthash:%s", "texthash:%s/etc/mechs" % s.dir))
    s.write("etc/mechs", "plain yes\n")
    s.start()
    ehlo, said = smtp_login(down)
    assert "AUTH" not in ehlo and said.startswith("454 4.7.0 Temporary authentication failure: ")
    s.wait_log(r"warning: unknown\[127\.0\.0\.1\]: SASL PLAIN authentication failed: Connection refused")
    assert smtp_login(filtered)[1].startswith("235 ")
    os.unlink(s.dir + "/etc/mechs")                                                                # the table fails from the next look-up on
    os.mkdir(s.dir + "/etc/mechs")
    assert smtp_login(filtered)[1].startswith("454 4.7.0 Temporary authentication failure: ")


def test_imap_clients_are_told_to_come_again(make_suite):
    s = make_suite(main="auth_request_timeout = 1s\n")
    c = pombal.Raw(s.port("smtp"))                                                                 # authd runs
    c.reply()
    c.ask("EHLO c.test")
    c.close()
    pombal.wait_for(lambda: s.pids("authd"))
    authd = s.pids("authd")
    for pid in authd:
        os.kill(pid, signal.SIGSTOP)
    try:
        c = pombal.Raw(s.port("imap"))
        c.line()
        c.send(b"a AUTHENTICATE PLAIN " + PLAIN.encode() + b"\r\n")
        assert c.line().startswith("a NO [UNAVAILABLE]")
        c.close()
    finally:
        for pid in authd:
            os.kill(pid, signal.SIGCONT)
