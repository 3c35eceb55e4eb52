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

RUN_TESTS(T(a_network_client_is_traced), T(a_local_user_is_traced))
