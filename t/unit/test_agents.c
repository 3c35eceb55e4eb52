/*
 * Parts of the delivery agents: what stands in front of a message, command lines, pipe's arguments.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "command.h"
#include "content.h"
#include "pipe_argv.h"
#include "test.h"

TEST(the_header_of_final_delivery)
{
    struct buf out = BUF(1000);

    content_prepend(&out, "a@b", "c@d", "e f@g");
    assert_string_equal(out.p, "Return-Path: <a@b>\nX-Original-To: c@d\nDelivered-To: \"e f\"@g\n");
    buf_clear(&out);
    content_prepend(&out, "", "", "");
    assert_string_equal(out.p, "Return-Path: <>\n");
    buf_clear(&out);
    content_from_line(&out, "", 1136214245);
    assert_int_equal(strncmp(out.p, "From MAILER-DAEMON  Mon Jan  2 ", 31), 0);
    buf_free(&out);
}

static const char *joined(const char *const *argv)
{
    static char text[500];

    text[0] = 0;
    for (size_t n = 0; argv != NULL && *argv != NULL; argv++)
        n += (size_t)snprintf(text + n, sizeof text - n, "[%s]", *argv);
    return text;
}

TEST(a_command_line_needs_a_shell_or_not)
{
    struct arena *mem = arena_new(NULL);

    assert_string_equal(joined(command_argv(mem, "/bin/x a  b", "")), "[/bin/x][a][b]");
    assert_string_equal(joined(command_argv(mem, "x | y", "")), "[/bin/sh][-c][x | y]");
    assert_string_equal(joined(command_argv(mem, "exit 67", "")), "[/bin/sh][-c][exit 67]");
    assert_string_equal(joined(command_argv(mem, "A=b x", "")), "[/bin/sh][-c][A=b x]");
    assert_string_equal(joined(command_argv(mem, "x y", "/bin/smrsh -c")), "[/bin/smrsh][-c][x y]");
    arena_free(&mem);
}

TEST(the_environment_holds_nothing_that_a_shell_would_act_on)
{
    struct arena *mem = arena_new(NULL);
    struct command_env e = {.mem = mem};

    command_env_put(&e, "EXTENSION", "a;`rm`$(x)\n", "abcdefghijklmnopqrstuvwxyz");
    command_env_put(&e, "HOME", "/a b", NULL);
    for (int i = 0; i < 200; i++) /* more than fit are left out */
        command_env_put(&e, "X", "y", NULL);
    assert_string_equal(e.at[0], "EXTENSION=a__rm___x__");
    assert_string_equal(e.at[1], "HOME=/a b");
    assert_null(e.at[sizeof e.at / sizeof *e.at - 1]);
    arena_free(&mem);
}

static const char *pipe_words(unsigned flags, const char *const *argv)
{
    static char text[500];
    struct arena *mem = arena_new(NULL);
    struct rcpt rcpts[2] = {{.address = "User+Ext@A.Test", .original = "orig@x", .dsn_orcpt = ""},
                            {.address = "b c@d.test", .original = "", .dsn_orcpt = ""}};
    struct delivery d = {.queue_id = "QID",
                         .nexthop = "hop",
                         .sender = "",
                         .client_addr = "192.0.2.1",
                         .client_helo = "",
                         .client_name = "",
                         .client_port = "",
                         .client_proto = "",
                         .sasl_method = "",
                         .sasl_sender = "",
                         .sasl_username = "",
                         .content_size = 123,
                         .rcpts = rcpts,
                         .nrcpts = 2};
    struct pipe_args p = {.flags = flags, .null_sender = "MAILER-DAEMON", .argv = argv};
    struct why why = WHY;

    conf.recipient_delimiter = "+";
    conf.double_bounce_sender = "double-bounce";
    const char **words = pipe_argv(&p, &d, mem, &why);
    snprintf(text, sizeof text, "%s",
             words == NULL ? why_text(&why) : joined((const char *const *)words));
    why_free(&why);
    arena_free(&mem);
    return text;
}

TEST(pipe_s_arguments)
{
    assert_string_equal(
        pipe_words(0, (const char *const[]){"x", "-f", "${sender}", "${recipient}", NULL}),
        "[x][-f][MAILER-DAEMON][User+Ext@A.Test][b c@d.test]");
    assert_string_equal(
        pipe_words(PIPE_FOLD_USER | PIPE_FOLD_DOMAIN,
                   (const char *const[]){"${user}/${extension}@${domain}", "$mailbox", NULL}),
        "[user/ext@a.test][b c/@d.test][user+ext][b c]");
    assert_string_equal(
        pipe_words(PIPE_QUOTE, (const char *const[]){"${original_recipient}", NULL}),
        "[orig@x][\"b c\"@d.test]");
    assert_string_equal(
        pipe_words(PIPE_QUOTE, (const char *const[]){"${recipient}", "$user", "$mailbox", NULL}),
        "[User+Ext@A.Test][\"b c\"@d.test][User][b c][User+Ext][b c]");
    assert_string_equal(
        pipe_words(0, (const char *const[]){"$nexthop", "${queue_id}:$size", "a$$b", NULL}),
        "[hop][QID:123][a$b]");
    assert_string_equal(pipe_words(0, (const char *const[]){"${nosuch}", NULL}),
                        "unknown macro in argument: ${nosuch}");
}

RUN_TESTS(T(the_header_of_final_delivery), T(a_command_line_needs_a_shell_or_not),
          T(the_environment_holds_nothing_that_a_shell_would_act_on), T(pipe_s_arguments))
