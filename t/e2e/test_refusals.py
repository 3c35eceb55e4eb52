"""What is made of a refusal before the client reads it, and a Received field that says nothing of the client."""
import re

import pombal

SUITE_MAIN = """
smtpd_hide_client_session = yes
smtpd_reject_filter_maps = pcre:{ {/^550 5\\.1\\.1 .*User unknown/ 550 5.7.1 No} {/^501 (.*)/ nonsense} {/^503 / 250 2.0.0 Ok} }
smtpd_reject_footer = \\c; see $server_name
smtpd_reject_footer_maps = pcre:{ {/^500 / \\c at $$$$localtime} }
smtpd_error_sleep_time = 0
"""


def ask(suite, *commands):
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply()
    return [raw.ask(command) for command in commands]


def test_a_reply_is_replaced_and_the_log_has_the_old_one(suite):
    said = ask(suite, "EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:", "MAIL FROM:<>")
    host = said[0].split()[0].partition("-")[2]
    assert said[2:] == ["550 5.7.1 No; see " + host, "501 5.5.4 Syntax: RCPT TO:<address>; see " + host, "503 5.5.1 Error: nested MAIL command; see " + host]
    suite.wait_log(r"reject: RCPT from \S+ 550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown")
    suite.wait_log('smtpd_reject_filter_maps: "nonsense" is no reply of 4yz or 5yz: ignored')
    suite.wait_log('smtpd_reject_filter_maps: "250 2.0.0 Ok" is no reply of 4yz or 5yz: ignored')


def test_a_footer_tells_the_time_with_two_digits_for_the_day(suite):
    assert re.fullmatch(r"5\d\d .* at [A-Z][a-z][a-z] \d\d \d\d:\d\d:\d\d", ask(suite, "NOSUCH x")[0])


def test_a_hidden_client_is_not_in_the_header(suite):
    suite.send("alice")
    received = suite.wait_mail("alice")[-1].get_all("Received")[-1]
    assert re.fullmatch(r"by \S+ \(\S+\) id \w+\s+for <alice@example\.test>; .*", received), received
