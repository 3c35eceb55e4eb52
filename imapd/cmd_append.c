/*
 * APPEND: a message from the client, streamed into the store as it comes. RFC 3501 6.3.11,
 * RFC 4315 (APPENDUID).
 */
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "mail/date.h"

#include "imap.h"

struct append {
    const char *folder;
    struct msg as;
    VEC(struct str) keywords;
    bool long_keyword;
    struct imap_literal literal;
    struct str bad_flag; /* a system flag that there is not; n is 0: none */
};

static bool take_flags(struct imap *c, struct append *a)
{
    struct str name;

    if (!imap_take(&c->args, '('))
        return true;
    for (size_t n = 0; imap_list_more(&c->args, n); n++) {
        if (!imap_take_flag(&c->args, &name))
            return false;
        if (name.p[0] != '\\')
            *VEC_ADD(&a->keywords) = name;
        else if (name.p[0] == '\\' && imap_flag(name) == 0)
            a->bad_flag = name;
        a->long_keyword = a->long_keyword || (name.p[0] != '\\' && !imap_may_define(name));
        a->as.flags |= imap_flag(name);
    }
    return imap_take(&c->args, ')') && imap_take_space(&c->args);
}

static bool take_date(struct imap *c, struct append *a)
{
    struct str text;
    int offset;

    if (!imap_take_string(&c->args, &text))
        return true;
    if (!date_imap_parse(text, &a->as.received, &offset))
        return false;
    if (a->as.received == 0)
        a->as.received = MSG_EPOCH;
    return imap_take_space(&c->args);
}

static bool take_arguments(struct imap *c, struct append *a)
{
    bool folder = imap_arg_folder(c, &a->folder);
    bool good = folder && imap_take_space(&c->args) && take_flags(c, a) && take_date(c, a);
    bool literal = imap_literal_at_end(c->args.rest, &a->literal) == LITERAL_FOUND;
    if (good && literal && a->literal.at == 0 && a->bad_flag.n == 0)
        return true;
    if (a->bad_flag.n > 0)
        imap_bad(c, "Error in IMAP command APPEND: Invalid system flag %.*s",
                 (int)(a->bad_flag.n < 100 ? a->bad_flag.n : 100), a->bad_flag.p);
    else if (folder)
        imap_bad(c, "Error in IMAP command APPEND: Invalid arguments.");
    if (literal)
        imap_skip_command(c, &a->literal);
    return false;
}

/* The rest of the command's line, which is empty. */
static bool receive_end(struct imap *c)
{
    struct buf line = BUF((size_t)conf.imap_max_line_length); /* fits: or it is garbage */
    enum imap_literal_kind found;
    struct imap_literal more;

    imap_rest_of_line_comes(c);
    enum line end = imap_read_line(c, &line, &found, &more);
    bool whole = end == LINE_CRLF || end == LINE_LF;
    bool good = whole && str_trim(buf_str(&line)).n == 0;
    if (!good && end != LINE_NONE)
        imap_bad(c, "Error in IMAP command APPEND: Garbage after the message.");
    if (found == LITERAL_FOUND)
        imap_skip_command(c, &more);
    buf_free(&line);
    return good;
}

/* False: the client went away, or was told what is wrong. */
static bool receive(struct imap *c, struct append *a, struct mail_in *m)
{
    uint64_t left = a->literal.size;

    if (a->literal.synchronising)
        stream_putz(c->client, "+ OK\r\n");
    while (left > 0) {
        struct str there = stream_peek(c->client);
        if (there.n == 0)
            return false;
        there = str_upto(there, left < there.n ? (size_t)left : there.n);
        mail_in_put(m, there);
        stream_skip(c->client, there.n);
        left -= there.n;
    }
    return receive_end(c);
}

static void append(struct imap *c, struct append *a, struct why *why)
{
    uint32_t uid, uidvalidity;
    struct mail_in *m = mail_in_new(c->store, a->folder, &a->as, why);

    if (m == NULL) {
        if (strcmp(why->code, "5.2.0") == 0 && imap_may_create(a->folder))
            why_set(why, "5.1.1", "Mailbox doesn't exist: %s", a->folder);
        imap_no_why(c, why);
        imap_skip_command(c, &a->literal);
        return;
    }
    VEC_EACH (&a->keywords, name)
        mail_in_keyword(m, *name);
    if (!receive(c, a, m)) {
        mail_in_abort(&m);
        return;
    }
    if (mail_in_commit(&m, &uid, &uidvalidity, why) < 0) {
        imap_no_why(c, why);
        return;
    }
    imap_updates(c, true);
    imap_ok(c, "[APPENDUID %u %u] Append completed.", uidvalidity, uid);
}

void cmd_append(struct imap *c)
{
    struct append a = {0};
    struct why why = WHY;

    if (!take_arguments(c, &a)) {
        VEC_FREE(&a.keywords);
        return;
    }
    if (a.literal.size > (uint64_t)conf.imap_append_limit) {
        imap_no(c, "[TOOBIG] Message is larger than %lld bytes.",
                (long long)conf.imap_append_limit);
        imap_skip_command(c, &a.literal);
    } else if (a.long_keyword) {
        imap_no_keyword(c);
        imap_skip_command(c, &a.literal);
    } else if (a.literal.size == 0) {
        imap_no(c, "Can't save a zero byte message.");
        imap_skip_command(c, &a.literal);
    } else {
        append(c, &a, &why);
    }
    VEC_FREE(&a.keywords);
    why_free(&why);
}
