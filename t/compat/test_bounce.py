"""Delivery reports beside those of Postfix's bounce daemon: the same messages that cannot go on, the same reports."""
import email, re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RealPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

HEADER = "From: a@example.test\nTo: x@example.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.test>\n"
LOCAL = HEADER + "Subject: local\n\nbody é\n.\nend\n"
CHECKS = "/^Subject: local/ REJECT 5.7.9 no such subject\n/^end/ REJECT no end\n"
# name: (parameters, recipients, text)
REFUSED = {
    "hops": ("", ["r@x.test"], "Received: x\n" * 60 + LOCAL),
    "two": ("", ["r@x.test", "q@x.test"], "Received: x\n" * 60 + LOCAL),
    "header": ("header_checks = regexp:$config_directory/checks\n", ["r@x.test"], LOCAL),
    "body": ("body_checks = regexp:$config_directory/checks\n", ["r@x.test"], LOCAL + "more\n"),
    "large": ("bounce_size_limit = 200\n", ["r@x.test"], "Received: x\n" * 60 + LOCAL),
}
MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\nmyhostname = real.test\nmyorigin = real.test\nhopcount_limit = 20\n" \
       "default_transport = smtp:[127.0.0.1]:%d\nrelay_transport = $default_transport\nsmtputf8_enable = no\n"


def masked(text):
    for pattern, instead in ((r"[0-9A-F]{6,}\.\d+/real\.test", "BOUNDARY"), (r"<\d+\.[0-9A-F]{6,}@", "<ID@"),
                             (r"(?m)^((?:Arrival-)?Date|Will-Retry-Until): .*[+-]\d{4} \(\w+\)$", r"\1: DATE"),
                             (r"Queue-ID: \w+", "Queue-ID: ID"), (r"(?m)^\tid \w+; .*$", "\tid ID; DATE"),
                             (r"\]:\d+", "]:PORT"), (r"queued as SINK\d+", "queued as SINK")):
        text = re.sub(pattern, instead, text)
    return text.rstrip("\n")


def parts_of(report):
    """what programs read of a report: its header, the types of its parts, the fields, the original; and the text"""
    message = email.message_from_string(report.decode("latin-1"))
    header = {n: masked(v) for n, v in message.items() if n not in ("Received", "Date", "Content-Transfer-Encoding")}
    parts = message.get_payload()
    rest = [masked("".join(str(p) for p in part.get_payload()) if isinstance(part.get_payload(), list) else part.get_payload())
            for part in parts]
    types = [(p.get_content_type(), p["Content-Description"]) for p in parts]
    return {"header": header, "types": types, "fields": rest[1], "original": rest[2:], "text": rest[0]}


def ours_of(send, main="", count=1):
    sink = Sink()
    suite = pombal.Instance(main=MAIN % sink.port + main, start=False)
    try:
        suite.write("etc/checks", CHECKS)
        suite.write("etc/words", TEMPLATES)
        suite.start()
        send(suite, lambda *a, **k: suite.tool("sendmail", *a, **k))
        pombal.wait_for(lambda: len(sink.messages) >= count)
        return [parts_of(m) for m in sink.messages]
    finally:
        suite.close()
        sink.close()


def theirs_of(send, main="", count=1):
    sink = Sink()
    try:
        with RealPostfix(main=MAIN % sink.port + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n" + main) as real:
            with open(real.etc + "/checks", "w") as f:
                f.write(CHECKS)
            with open(real.etc + "/words", "w") as f:
                f.write(TEMPLATES)
            real.start()
            send(real, lambda *a, **k: real.run("sendmail", "-C", real.etc, *a, **k))
            pombal.wait_for(lambda: len(sink.messages) >= count)
            return [parts_of(m) for m in sink.messages]
    finally:
        sink.close()


@pytest.mark.parametrize("case", REFUSED)
def test_local_mail_that_is_refused_comes_back(case):
    main, rcpts, text = REFUSED[case]
    logged = []

    def send(suite, sendmail):
        sendmail("-i", "-f", "s@sender.test", *rcpts, input=text)
        ends = lambda: re.findall(r"cleanup\[\d+\]: \w+: (to=<.*), delay=.*(, dsn=.*)", suite.log())
        pombal.wait_for(lambda: len(ends()) >= len(rcpts))
        logged.append(ends())
    ours, theirs = ours_of(send, main), theirs_of(send, main)
    assert logged[0] == logged[1] and len(logged[0]) == len(rcpts)
    for part in ("header", "types", "fields", "original"):
        assert ours[0][part] == theirs[0][part]
    assert ("body" in ours[0]["original"][0]) == (case in ("hops", "two"))


TEMPLATES = """# words of our own
failure_template = <<EOF
Charset: utf-8
From: MAILER-DAEMON (Our post)
Subject: It did not work
Postmaster-Subject: A copy

Here is $myhostname with $$ and ${mail_name}, for ${maximal_queue_lifetime_weeks} weeks or
$maximal_queue_lifetime_days days; $delay_warning_time_hours h. ${relayhost?{relay}:{none}}

  indented
EOF

delay_template = <<END
Subject: Late by $delay_warning_time_minutes

It takes more than $delay_warning_time_hours hours.
END
"""
WORDS = "bounce_template_file = $config_directory/words\nenable_threaded_bounces = yes\nmaximal_queue_lifetime = 11d\n" \
        "delay_warning_time = 100m\nnotify_classes = bounce\nbounce_notice_recipient = pm@sender.test\n"


def test_words_and_threads_of_ones_own():
    def send(_, sendmail):
        sendmail("-i", "-f", "s@sender.test", "r@x.test", input="Received: x\n" * 60 + LOCAL)
    both = []
    for run in (ours_of, theirs_of):
        reports = {r["header"]["To"]: r for r in run(send, WORDS, count=2)}
        both.append({(to, part): r[part].split("\n<r@x.test>")[0] if part == "text" else r[part]
                     for to, r in reports.items() for part in ("header", "types", "fields", "text")})
    for key in both[1]:
        if key[1] == "header":  # Postfix prints addresses anew
            assert both[0][key].pop("From") in ("MAILER-DAEMON@real.test (Our post)", both[1][key]["From"])
            both[1][key].pop("From")
        assert both[0][key] == both[1][key], key
    assert both[0]["s@sender.test", "header"]["References"] == "<1@example.test>"
    assert both[0]["s@sender.test", "text"].startswith("Here is real.test with $ and Postfix, for 1 weeks or\n11 days; 1 h. none")


def test_postconf_prints_the_words_of_a_file(tmp_path):
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = real.test\n" + WORDS)
    (tmp_path / "master.cf").write_text("")
    (tmp_path / "words").write_text(TEMPLATES)
    for option in ("-t", "-b"):
        ours, theirs = [subprocess.run([program, "-c", str(tmp_path), option], capture_output=True, text=True, check=True).stdout
                        for program in (pombal.BIN + "/postconf", "/usr/sbin/postconf")]
        first = [text.split("expanded_success" if option == "-b" else "success_template")[0] for text in (ours, theirs)]
        assert first[0] == first[1]  # the others have words of their own
        assert ours.count("<<EOF") == theirs.count("<<EOF") == 4


def test_the_sender_is_told_that_a_delay_is_over():
    """confirm_delay_cleared: whom the warning went to, and nobody else"""
    port = pombal.free_port()
    # No connection is used again; which of the two comes first is not asked (SINK1, SINK2).
    main = "confirm_delay_cleared = yes\nsmtp_connection_cache_on_demand = no\ndelay_warning_time = 1s\nmydestination =\nmydomain = real.test\nlocal_recipient_maps =\n" \
           "queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n" \
           "transport_maps = inline:{late.test=smtp:[127.0.0.1]:%d}\n" % port
    late = []

    def send(suite, sendmail):
        sendmail("-f", "a@from.test", "r@late.test", input=LOCAL)
        sendmail("-f", "a@from.test", "-N", "failure", "quiet@late.test", input=LOCAL)
        pombal.wait_for(lambda: "sender delay notification" in suite.log())
        pombal.wait_for(lambda: len(re.findall(r"<quiet@late.test>.*status=deferred", suite.log())) >= 2)
        late.append(Sink(port=port))
        pombal.wait_for(lambda: len(late[-1].messages) == 2)
        late.pop().close()

    theirs, ours = [sorted(f(send, main, 2), key=lambda r: r["header"]["Subject"]) for f in (theirs_of, ours_of)]
    assert [r["header"]["Subject"] for r in ours] == ["Delayed Mail (still being retried)", "Successful Mail Delivery Report"]
    assert ours[1]["header"] == theirs[1]["header"] and ours[1]["fields"] == theirs[1]["fields"] and len(ours) == len(theirs)
