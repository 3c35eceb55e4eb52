#include "base/str.h"
#include "mail/received.h"

#include "test.h"

TEST(a_network_client_is_traced)
{
    struct received r = {.helo = "bar.example (x",
                         .client_name = "bar.example",
                         .client_addr = "192.0.2.1",
                         .login = "alice",
                         .host = "mx.example",
                         .mail_name = "Postfix",
                         .protocol = "ESMTPA",
                         .rcpt = "bob@example",
                         .wall = 880127706};
    struct buf before = BUF(1000), after = BUF(1000);
    received_before(&r, &before);
    received_after(&r, &after);
    assert_string_equal(before.p, "from bar.example??x (bar.example [192.0.2.1])\n"
                                  "\t(Authenticated sender: alice)\n"
                                  "\tby mx.example (Postfix) with ESMTPA ");
    assert_true(str_starts(buf_str(&after), STR("\n\tfor <bob@example>; ")));
    buf_free(&before);
    buf_free(&after);
}

TEST(a_local_user_is_traced)
{
    struct received r = {.uid = 1000, .host = "mx.example", .mail_name = "Postfix"};
    struct buf before = BUF(1000);
    received_before(&r, &before);
    assert_string_equal(before.p, "by mx.example (Postfix, from userid 1000)\n\t");
    buf_free(&before);
}

TEST(what_is_known_of_tls_and_the_clients_certificate_is_traced)
{
    struct received_cert cert = {.asked = true, .name = "", .issuer = ""};
    struct received r = {.helo = "c.example",
                         .client_name = "c.example",
                         .client_addr = "192.0.2.1",
                         .tls =
                             "TLSv1.3 with cipher X (256/256 bits) key-exchange K server-signature "
                             "S client-signature C client-digest D",
                         .cert = &cert,
                         .host = "mx.example",
                         .mail_name = "Postfix",
                         .protocol = "ESMTPS"};
    struct buf out = BUF(2000);

    received_before(&r, &out);
    assert_non_null(strstr(out.p,
                           "\n\t(using TLSv1.3 with cipher X (256/256 bits)\n\t key-exchange K "
                           "server-signature S\n\t client-signature C client-digest D)\n"
                           "\t(Client did not present a certificate)\n\tby "));
    buf_clear(&out);
    r.tls = "TLSv1.2 with cipher X (256/256 bits)";
    cert.sent = true;
    cert.name = "an\"y (na\nme\\";
    cert.issuer = "CA 1";
    received_before(&r, &out);
    assert_non_null(
        strstr(out.p, "\n\t(using TLSv1.2 with cipher X (256/256 bits))\n"
                      "\t(Client CN \"an?y ?na?me?\", Issuer \"CA 1\" (not verified))\n\tby "));
    buf_clear(&out);
    cert.asked = false;
    received_before(&r, &out);
    assert_non_null(strstr(out.p, "\n\t(No client certificate requested)\n\tby "));
    buf_free(&out);
}

RUN_TESTS(T(what_is_known_of_tls_and_the_clients_certificate_is_traced),
          T(a_network_client_is_traced), T(a_local_user_is_traced))
