"""REQUIRETLS and "TLS-Required: no" (RFC 8689): who may ask, what servers get the mail, what comes back."""
import re, ssl

import pytest

import pombal
from sink import Sink

SERVICES = {"may": [], "enforce": ["smtp_requiretls_policy=enforce", "smtp_tls_security_level=verify"],
            "unverified": ["smtp_requiretls_policy=enforce"], "starttls": ["smtp_requiretls_policy=opportunistic+starttls"],
            "never": ["smtp_requiretls_policy=disable"], "off": ["requiretls_enable=no"], "encrypt": ["smtp_tls_security_level=encrypt"],
            "strict": ["smtp_tls_security_level=encrypt", "tls_required_enable=no"]}
SINKS = {"all": (True, ("REQUIRETLS",)), "tls": (True, ()), "plain": (False, ()), "liar": (False, ("REQUIRETLS",)), "later": (True, ("REQUIRETLS",))}


@pytest.fixture(scope="module")
def world():
    """mail for x@SERVICE-SINK.test goes by the agent SERVICE to SINK on localhost"""
    s = pombal.Instance(start=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = {n: re.search(r"^smtpd_tls_%s_file *= *(\S+)" % n, s.read("etc/main.cf"), re.M) for n in ("cert", "key")}
    path = {n: m.group(1).replace("$config_directory", s.etc) for n, m in names.items() if m}
    context.load_cert_chain(path["cert"], path.get("key"))
    s.sinks = {name: Sink(ehlo=("8BITMIME",) + words, tls=context if tls else None) for name, (tls, words) in SINKS.items()}
    s.sinks["later"].replies["STARTTLS"] = "454 4.7.0 not now"
    s.write("etc/transport", "".join("%s-%s.test %s:[localhost]:%d\n" % (service, sink, service, s.sinks[sink].port) for service in SERVICES for sink in SINKS))
    dead = pombal.free_port()
    for name, first, last in (("gone-tls", dead, s.sinks["tls"].port), ("tls-gone", s.sinks["tls"].port, dead), ("gone-plain", dead, s.sinks["plain"].port),
                              ("later-tls", s.sinks["later"].port, s.sinks["tls"].port), ("tls-plain", s.sinks["tls"].port, s.sinks["plain"].port)):
        with open(s.etc + "/transport", "a") as f:
            f.write("%s.test enforce:[localhost]:%d, [localhost]:%d\n" % (name, first, last))
    s.add_main("transport_maps = texthash:$config_directory/transport\nsmtp_tls_security_level = may\nsmtp_tls_CAfile = %s/ca.pem\n"
               "minimal_backoff_time = 300s\nqueue_run_delay = 300s\ndelay_warning_time = 0\n" % s.dir)
    s.add_master("".join("%s unix - - n - - smtp\n" % name + "".join("  -o %s\n" % o for o in options) for name, options in SERVICES.items()))
    s.start()
    yield s
    s.close()
    for sink in s.sinks.values():
        sink.close()


def send(world, to, params=("REQUIRETLS",), fields="", sender="alice@example.test"):
    """over TLS; the log line about the recipient"""
    c = world.smtp()
    c.starttls(context=world.tls_context())
    c.ehlo("x")
    assert c.docmd("MAIL FROM:<%s> %s" % (sender, " ".join(params)))[0] == 250
    assert c.docmd("RCPT TO:<%s>" % to)[0] == 250
    assert c.data("Subject: %s\r\n%s\r\nbody of %s\r\n" % (to, fields, to))[0] == 250
    c.quit()
    return world.wait_log(r"to=<%s>.* (dsn=.*)" % re.escape(to))[0].group(1)


def mail_command(world, sink, to):
    """what the sink was told with MAIL of the message to this one"""
    commands = world.sinks[sink].commands
    at = next(i for i, c in enumerate(commands) if to in c)
    return commands[at - 1]


def report_about(world, to):
    return pombal.wait_for(lambda: next((m for m in world.messages("alice") if "Final-Recipient: rfc822; " + to in m.text), None))


def test_it_is_offered_under_tls_only(world):
    c = world.smtp()
    c.ehlo("x")
    assert "requiretls" not in c.esmtp_features
    assert c.docmd("MAIL FROM:<a@x.test> REQUIRETLS") == (555, b"5.5.4 Unsupported option: REQUIRETLS")
    c.starttls(context=world.tls_context())
    c.ehlo("x")
    assert "requiretls" in c.esmtp_features
    assert c.docmd("MAIL FROM:<a@x.test> REQUIRETLS=1") == (555, b"5.5.4 Unsupported option: REQUIRETLS=1")
    assert c.docmd("MAIL FROM:<a@x.test> requiretls")[0] == 250
    c.quit()


@pytest.mark.parametrize("service, sink, said", [
    ("may", "all", True), ("may", "tls", False), ("may", "plain", False), ("may", "liar", False), ("starttls", "all", True), ("starttls", "tls", False),
    ("enforce", "all", True), ("never", "all", False), ("off", "all", False)])
def test_it_is_sent_on(world, service, sink, said):
    to = "x@%s-%s.test" % (service, sink)
    assert "status=sent" in send(world, to)
    assert ("REQUIRETLS" in mail_command(world, sink, to)) == said


@pytest.mark.parametrize("service, sink, text", [
    ("enforce", "tls", r"status=bounced \(REQUIRETLS is required, but it was not offered by host localhost"),
    ("unverified", "all", r"status=bounced \(REQUIRETLS is required, but there is no verified certificate of host localhost"),
    ("starttls", "plain", r"status=bounced \(TLS is required, but was not offered by host localhost"),
    ("starttls", "liar", r"status=bounced \(TLS is required, but was not offered by host localhost"),
    ("enforce", "plain", r"status=bounced \(TLS is required, but was not offered by host localhost")])
def test_it_comes_back_without_its_body(world, service, sink, text):
    to = "x@%s-%s.test" % (service, sink)
    status = send(world, to)
    assert status.startswith("dsn=5.7.30, ") and re.search(text, status), status
    report = report_about(world, to)
    assert "Require-TLS-ESMTP: yes" in report.text and "body of" not in report.text and "text/rfc822-headers" in report.text


@pytest.mark.parametrize("name, dsn", [("gone-tls", "4.7.30"), ("tls-gone", "4.4.1"), ("gone-plain", "4.7.30"), ("later-tls", "4.7.30"), ("tls-plain", "5.7.30")])
def test_a_server_that_is_gone_for_now_may_have_it(world, name, dsn):
    """so the mail waits, whichever of the servers is tried last"""
    assert send(world, "x@%s.test" % name).startswith("dsn=%s, " % dsn)


@pytest.mark.parametrize("service", ["enforce", "starttls"])
def test_no_tls_for_now_is_no_final_answer(world, service):
    assert send(world, "x@%s-later.test" % service).startswith("dsn=4.7.4, ")


def test_the_field_asks_for_it(world):
    assert "status=sent" in send(world, "field@may-all.test", params=(), fields="Require-TLS-ESMTP: yes\r\n")
    assert "REQUIRETLS" in mail_command(world, "all", "field@may-all.test")
    assert "status=sent" in send(world, "nofield@may-all.test", params=(), fields="Require-TLS-ESMTP: no\r\n")
    assert "REQUIRETLS" not in mail_command(world, "all", "nofield@may-all.test")


def test_tls_is_not_required(world):
    no = "TLS-Required: No\r\n"
    assert "status=sent" in send(world, "no@encrypt-plain.test", params=(), fields=no)
    assert "status=deferred (TLS is required" in send(world, "yes@encrypt-plain.test", params=())
    assert "status=deferred (TLS is required" in send(world, "no@strict-plain.test", params=(), fields=no)
    assert "status=deferred (TLS is required" in send(world, "both@encrypt-plain.test", fields=no)


def test_a_report_goes_as_its_message(world):
    world.tool("sendmail", "-f", "alice@example.test", "nobody@example.test", input="TLS-Required: no\nSubject: report\n\nx\n")
    report = report_about(world, "nobody@example.test")
    assert report["TLS-Required"] == "no"
