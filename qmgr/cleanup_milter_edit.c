/*
 * What milters change: header, body, sender, recipients, or the queue.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "mail/dsn.h"
#include "mail/esmtp_cmd.h"

#include "cleanup_milter.h"

/* 0, or -1 and why, if the message has failed by what was just done. */
static int outcome(const struct cleanup *c, struct why *why)
{
    if (!cleanup_failed(c))
        return 0;
    return why_set(why, c->why.code, "%s", why_text(&c->why));
}

/* ---- header ---- */

/* A name that begins with a blank would belong to the field before it, and none is none. */
static int check_name(struct str name, struct why *why)
{
    bool good = name.n > 0 && name.p[0] != ' ' && name.p[0] != '\t' && name.p[0] != '\n' &&
                name.p[0] != '\r';

    return good ? 0 : why_set(why, "4.3.5", "a milter gave a header field without a name");
}

/* A line that does not look like the continuation of a field gets a tab, so that nothing but this
 * one field comes of it. */
static void add_line(struct buf *field, struct str line)
{
    bool first = field->n == 0;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (!first)
        buf_addc(field, '\n');
    if (!first && (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t')))
        buf_addc(field, '\t');
    for (size_t i = 0; i < line.n; i++)
        buf_addc(field, line.p[i] == '\r' && conf.cleanup_replace_stray_cr_lf ? ' ' : line.p[i]);
}

static int make_field(struct buf *field, struct str name, struct str value, struct why *why)
{
    struct buf text = BUF(MILTER_PACKET_MOST);
    struct str rest, line;

    buf_add(&text, name);
    buf_addc(&text, ':');
    buf_add(&text, value);
    rest = buf_str(&text);
    for (bool more = true; more;) {
        ptrdiff_t lf = str_find(rest, '\n');
        line = lf < 0 ? rest : str_upto(rest, (size_t)lf);
        rest = str_from(rest, line.n + 1);
        more = lf >= 0;
        add_line(field, line);
    }
    bool good = buf_ok(&text) && buf_ok(field);
    buf_free(&text);
    cleanup_cut_field(field);
    return good ? 0 : why_set(why, "4.3.0", "a header field of a milter is too long");
}

/* milter_header_checks. 1: the field may be put in; 0: it is dropped; -1: the message has failed.
 */
static int check_field(struct cleanup *c, struct buf *field, struct why *why)
{
    struct buf instead = BUF(DICT_VALUE_LIMIT); /* asked below */
    enum cleanup_verdict verdict = cleanup_check(c, CHECK_MILTER, buf_str(field), &instead);
    int result = outcome(c, why);

    if (result == 0 && verdict == CLEANUP_REPLACE) {
        buf_set(field, buf_str(&instead));
        if (!buf_ok(&instead) || !buf_ok(field))
            result = why_set(why, "4.3.0", "milter_header_checks: the new text is too long");
    }
    buf_free(&instead);
    return result < 0 ? -1 : verdict != CLEANUP_DROP;
}

/* The field as it is to stand in the message. 1, 0: dropped; -1. */
static int new_field(struct cleanup *c, struct str name, struct str value, struct buf *field,
                     struct why *why)
{
    if (check_name(name, why) < 0 || make_field(field, name, value, why) < 0)
        return -1;
    int result = check_field(c, field, why);
    if (result > 0) {
        cleanup_count(c, buf_str(field));
        result = outcome(c, why) < 0 ? -1 : 1;
    }
    return result;
}

static int add_header(void *arg, struct str name, struct str value, struct why *why)
{
    struct cleanup_view *v = arg;
    struct buf field = BUF(2 * MILTER_PACKET_MOST); /* asked: by make_field */
    int result = new_field(v->c, name, value, &field, why);

    if (result > 0)
        result = qedit_add_header(&v->c->edit, buf_str(&field), why);
    buf_free(&field);
    return result;
}

static int insert_header(void *arg, size_t index, struct str name, struct str value,
                         struct why *why)
{
    struct cleanup_view *v = arg;
    struct buf field = BUF(2 * MILTER_PACKET_MOST); /* asked: by make_field */
    int result = new_field(v->c, name, value, &field, why);

    if (result > 0)
        result = qedit_insert_header(&v->c->edit, index + 1, buf_str(&field), why);
    buf_free(&field);
    return result;
}

/* 1: it was there; 0: there is no such field. */
static int replace_field(struct cleanup_view *v, struct str name, size_t index, struct str field,
                         struct why *why)
{
    size_t own = str_ieqz(name, "Received") ? cleanup_view_own(v) : 0;

    if (own > 0 && index >= own)
        index++;
    return qedit_replace_header(&v->c->edit, name, index, field, why);
}

static int change_header(void *arg, size_t index, struct str name, struct str value,
                         struct why *why)
{
    struct cleanup_view *v = arg;
    struct buf field = BUF(2 * MILTER_PACKET_MOST); /* asked: by make_field */
    size_t number = index > 0 ? index : 1; /* sendmail counts from both */

    if (value.n == 0)
        return name.n == 0 || replace_field(v, name, number, STR(""), why) >= 0 ? 0 : -1;
    int result = new_field(v->c, name, value, &field, why);
    if (result > 0) {
        result = replace_field(v, name, number, buf_str(&field), why);
        if (result == 0) /* there is no such field */
            result = qedit_add_header(&v->c->edit, buf_str(&field), why);
    }
    buf_free(&field);
    return result < 0 ? -1 : 0;
}

/* ---- envelope ---- */

static int bad_address(struct why *why)
{
    return why_set(why, "4.3.0", "an address of a milter is too long");
}

static void ignored(const struct cleanup *c, struct str argument)
{
    msg_warn("%s: ignoring ESMTP argument of a milter: \"%.*s\"", cleanup_id(c),
             (int)(argument.n < 200 ? argument.n : 200), argument.p);
}

static bool take_argument(struct str *rest, struct str *argument, struct str *name,
                          struct str *value)
{
    if (!str_word(rest, " \t\r\n", argument))
        return false;
    ptrdiff_t at = str_find(*argument, '=');
    *name = at < 0 ? *argument : str_upto(*argument, (size_t)at);
    *value = at < 0 ? STR("") : str_from(*argument, (size_t)at + 1);
    return true;
}

static bool take_envid(struct cleanup *c, struct str value, struct cleanup_late *late)
{
    struct buf plain = BUF(1000);
    bool good = value.n > 0 && xtext_decode(value, &plain) && buf_ok(&plain) &&
                str_is_printable(buf_str(&plain));

    if (good)
        late->envid = arena_strz(c->mem, buf_str(&plain));
    buf_free(&plain);
    return good;
}

static int change_sender(void *arg, struct str address, struct str esmtp, struct why *why)
{
    struct cleanup_view *v = arg;
    struct cleanup *c = v->c;
    struct cleanup_late late = {0};
    struct buf sender = BUF(MILTER_PACKET_MOST); /* asked: by cleanup_one_address */
    struct str argument, name, value;
    int result = cleanup_one_address(c, address, &sender) ? 0 : bad_address(why);

    while (take_argument(&esmtp, &argument, &name, &value)) {
        bool good = str_ieqz(name, "RET")     ? dsn_ret_parse(value, &late.ret)
                    : str_ieqz(name, "ENVID") ? take_envid(c, value, &late)
                                              : false;
        if (!good)
            ignored(c, argument);
    }
    if (result == 0)
        result = cleanup_late_sender(c, sender.p, &late, why);
    buf_free(&sender);
    return result < 0 ? -1 : outcome(c, why);
}

static bool take_orcpt(struct cleanup *c, struct str value, struct cleanup_late *late)
{
    struct buf plain = BUF(2000);
    bool good = dsn_orcpt_valid(value) && xtext_decode(value, &plain) && buf_ok(&plain) &&
                str_is_printable(buf_str(&plain));

    if (good)
        late->orcpt = arena_strz(c->mem, buf_str(&plain));
    buf_free(&plain);
    return good;
}

static int add_rcpt(void *arg, struct str address, struct str esmtp, struct why *why)
{
    struct cleanup_view *v = arg;
    struct cleanup *c = v->c;
    struct cleanup_late late = {0};
    struct buf rcpt = BUF(MILTER_PACKET_MOST); /* asked: by cleanup_one_address */
    struct str argument, name, value;
    int result = cleanup_one_address(c, address, &rcpt) ? 0 : bad_address(why);

    while (take_argument(&esmtp, &argument, &name, &value)) {
        bool good = str_ieqz(name, "NOTIFY")  ? dsn_notify_parse(value, &late.notify)
                    : str_ieqz(name, "ORCPT") ? take_orcpt(c, value, &late)
                                              : false;
        if (!good)
            ignored(c, argument);
    }
    if (result == 0 && rcpt.n == 0)
        msg_warn("%s: ignoring attempt from Milter to add null recipient", cleanup_id(c));
    else if (result == 0 && (result = cleanup_late_rcpt(c, rcpt.p, &late, why)) == 0)
        cleanup_has_room(c);
    buf_free(&rcpt);
    return result < 0 ? -1 : outcome(c, why);
}

static int drop_rcpt(void *arg, struct str address, struct why *why)
{
    struct cleanup_view *v = arg;
    struct buf rcpt = BUF(MILTER_PACKET_MOST); /* asked: by cleanup_one_address */
    int result = cleanup_one_address(v->c, address, &rcpt) ? 0 : bad_address(why);

    if (result == 0)
        result = cleanup_drop_rcpt(v->c, rcpt.p, why);
    buf_free(&rcpt);
    return result;
}

/* ---- body ---- */

enum { LINE_MOST = 32 * 1024 }; /* bytes of a line that go into one record */

/* The line so far, up to its end or up to as much as a record takes. A CR at its end belongs to the
 * end of the line, or waits for what follows. */
static void put_line(struct cleanup_view *v, enum rec type)
{
    struct str line = buf_str(&v->line);
    bool cr = line.n > 0 && line.p[line.n - 1] == '\r';

    cleanup_put_text(v->c, type, cr ? str_upto(line, line.n - 1) : line);
    buf_clear(&v->line);
    if (cr && type == REC_CONT)
        buf_addc(&v->line, '\r');
}

static int begin_body(struct cleanup_view *v, struct why *why)
{
    struct cleanup *c = v->c;

    if (v->new_body != 0)
        return 0;
    v->new_body = qedit_begin_body(&c->edit, why);
    if (v->new_body < 0)
        return -1;
    c->content = c->header_content;
    size_t most = (size_t)conf.line_length_limit;
    v->line = BUF(most < LINE_MOST ? most : LINE_MOST); /* fits: it is filled up to there only */
    return 0;
}

static int end_body(struct cleanup_view *v, struct why *why)
{
    struct cleanup *c = v->c;

    if (v->line.n > 0)
        put_line(v, REC_NORM);
    c->size.content = c->header_size + qfile_tell(c->file) - v->new_body;
    int result = qedit_end_body(&c->edit, v->new_body, why);
    v->new_body = 0;
    buf_free(&v->line);
    return result;
}

static int replace_body(void *arg, struct str piece, bool whole, struct why *why)
{
    struct cleanup_view *v = arg;

    if (begin_body(v, why) < 0)
        return -1;
    while (piece.n > 0) {
        size_t room = v->line.max - v->line.n;
        ptrdiff_t lf = str_find(str_upto(piece, room + 1), '\n');
        struct str part = lf < 0 ? str_upto(piece, room) : str_upto(piece, (size_t)lf);
        buf_add(&v->line, part);
        piece = str_from(piece, part.n + (lf < 0 ? 0 : 1));
        if (lf >= 0)
            put_line(v, REC_NORM);
        else if (v->line.n == v->line.max)
            put_line(v, REC_CONT);
    }
    int result = outcome(v->c, why);
    return result == 0 && whole ? end_body(v, why) : result;
}

static int quarantine(void *arg, struct str reason, struct why *why)
{
    struct cleanup_view *v = arg;

    (void)reason; /* as in Postfix, which logs no more than that */
    (void)why;
    cleanup_milter_hold(v->c, "END-OF-MESSAGE");
    return 0;
}

void cleanup_view_edits(struct milter_content *content)
{
    content->add_header = add_header;
    content->insert_header = insert_header;
    content->change_header = change_header;
    content->change_sender = change_sender;
    content->add_rcpt = add_rcpt;
    content->drop_rcpt = drop_rcpt;
    content->replace_body = replace_body;
    content->quarantine = quarantine;
}
