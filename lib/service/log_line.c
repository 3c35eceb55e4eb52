#include "service/log_line.h"

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

enum { LINE_LIMIT = 2000, NAME_LIMIT = 100, COMM = 15 };

struct origin {
    struct str name; /* "postfix/smtpd" */
    struct str program; /* "smtpd" */
    int64_t pid;
};

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c <= ' ' || c > '~' || strchr("[]:\"\\", c) != NULL)
            return false;
    }
    return name.n > 0 && name.n <= NAME_LIMIT;
}

/* NAME[PID] at the begin of the line; *rest is what follows. */
static bool origin_parse(struct str line, struct origin *o, struct str *rest)
{
    ptrdiff_t open = str_find(line, '[');
    ptrdiff_t close = open > 0 ? str_find(line, ']') : -1;

    if (open <= 0 || close < open)
        return false;
    *rest = str_from(line, (size_t)close + 1);
    o->name = str_upto(line, (size_t)open);
    ptrdiff_t slash = str_rfind(o->name, '/');
    o->program = str_from(o->name, (size_t)(slash + 1));
    struct str pid = {line.p + open + 1, (size_t)(close - open - 1)};
    return is_name(o->name) && num_parse(pid, 1, INT32_MAX, &o->pid);
}

/* The kernel keeps only so much of a program's name. */
static bool is_program(struct str name, const char *program)
{
    return str_eqz(str_upto(name, name.n < COMM ? name.n : COMM), program);
}

bool log_name_is(struct str name, const char *program, pid_t pid)
{
    struct origin o = {0};
    struct str rest;

    return origin_parse(name, &o, &rest) && rest.n == 0 && str_eqz(o.program, program) &&
           o.pid == pid;
}

static bool speaks_for(const struct log_sender *from, const struct origin *o,
                       const struct log_rules *rules)
{
    char running[COMM + 1];

    if (!from->is_private || strcmp(from->program, "cleanup") != 0 ||
        (!str_eqz(o->program, "smtpd") && !str_eqz(o->program, "pickup")))
        return false;
    rules->find_program((pid_t)o->pid, running, sizeof running);
    return running[0] == 0 || is_program(o->program, running);
}

/* The login processes say who has logged in under the name that log watchers know. */
static bool is_login_name(const struct origin *o, const struct log_sender *from)
{
    return str_eqz(o->name, conf.login_syslog_name) &&
           (strcmp(from->program, "imapd") == 0 || strcmp(from->program, "pop3d") == 0);
}

static bool may_say(const struct origin *o, const struct log_sender *from,
                    const struct log_rules *rules)
{
    if (speaks_for(from, o, rules))
        return true;
    if (o->pid != from->pid)
        return false;
    if (from->is_private)
        return from->program[0] == 0 || is_program(o->program, from->program) ||
               is_login_name(o, from);
    return from->uid == 0 ||
           !(rules->is_daemon(o->program) || str_eqz(o->name, conf.login_syslog_name));
}

void log_line_check(struct str line, const struct log_sender *from, const struct log_rules *rules,
                    struct buf *out)
{
    struct buf text = BUF_TEXT(LINE_LIMIT);
    struct origin o = {0};
    struct str rest;

    if (!origin_parse(line, &o, &rest) || !str_starts(rest, STR(": ")) || !may_say(&o, from, rules))
        buf_addf(&text, "%s[%d]: uid %u says: ", from->program[0] != 0 ? from->program : "unknown",
                 (int)from->pid, from->uid);
    if (text.n == 0 && line.n <= LINE_LIMIT && str_is_printable(line)) { /* nearly all */
        buf_add(out, line);
        return;
    }
    buf_add(&text, line);
    msg_clean(text.p, text.n);
    buf_add(out, buf_str(&text));
    buf_free(&text);
}
