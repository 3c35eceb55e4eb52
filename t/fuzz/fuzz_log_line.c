/*
 * A line for the log from another process: the first byte says who sends it. What is logged is one
 * line without control characters, and in nobody's name but the sender's.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "service/log_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_daemon(struct str program)
{
    return str_eqz(program, "smtpd") || str_eqz(program, "master");
}

static void find_program(pid_t pid, char *name, size_t room)
{
    snprintf(name, room, "%s", pid == 8 ? "smtpd" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct log_rules rules = {is_daemon, find_program};
    static const char *const programs[] = {"", "cleanup", "imapd", "logger"};
    uint8_t who = size > 0 ? data[0] : 0;
    struct str line = {(const char *)data + (size > 0), size - (size > 0)};
    struct log_sender from = {
        .pid = 7, .uid = who & 16 ? 0 : 1000, .is_private = who & 8, .program = programs[who & 3]};
    struct buf out = BUF_TEXT(4096);

    conf.login_syslog_name = "dovecot";
    log_line_check(line, &from, &rules, &out);
    for (size_t i = 0; i < out.n; i++)
        assert((unsigned char)out.p[i] >= ' ' && out.p[i] != 127);
    assert(out.n <= 4096);
    if (!from.is_private && from.uid != 0)
        assert(!str_starts(buf_str(&out), STR("postfix/smtpd[7]:")) &&
               !str_starts(buf_str(&out), STR("smtpd[7]:")));
    buf_free(&out);
    return 0;
}
