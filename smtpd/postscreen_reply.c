/*
 * Replies of postscreen, and the text that an administrator puts behind those that refuse.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"
#include "dict/maps.h"

#include "postscreen.h"
#include "smtpd_filter.h"

enum { REPLY_MOST = 8192, TEXT_MOST = 2000 };
enum { BACKSLASH = 1 }; /* stands for a client's, which is no escape */

static struct {
    struct maps *footers;
    struct buf allowed; /* postscreen_expansion_filter without its escapes */
} replies = {.allowed = BUF(1000)};

void screen_open_replies(void)
{
    const char *filter = conf.postscreen_expansion_filter;

    if (strcmp(filter, "$smtpd_expansion_filter") == 0)
        filter = conf.smtpd_expansion_filter;
    smtpd_filter_unescape(filter, &replies.allowed);
    if (!buf_ok(&replies.allowed))
        conf_fault("postscreen_expansion_filter", "it is longer than %zu bytes",
                   replies.allowed.max);
    replies.footers = maps_open("postscreen_reject_footer_maps", conf.postscreen_reject_footer_maps,
                                DICT_FOLD | DICT_MAY_FAIL);
}

/* ---- the footer ---- */

struct footer {
    struct screen *s;
    struct buf value; /* of the last name that is the client's */
};

static bool put_value(struct screen *s, struct str name, struct buf *out)
{
    char local[ADDR_TEXT], time[SMTPD_FOOTER_TIME];

    smtpd_filter_time(time);
    const struct {
        const char *name, *value;
    } known[] = {
        {"client_address", s->peer.addr_text},
        {"server_name", conf.myhostname},
        {"localtime", time},
        {"server_address", addr_text(&s->peer.local, local)},
        {"helo_name", s->helo},
        {"sender", s->sender},
        {"recipient", s->rcpt},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eqz(name, known[i].name)) {
            buf_addz(out, known[i].value != NULL ? known[i].value : "");
            return true;
        }
    if (str_eqz(name, "client_port"))
        buf_addf(out, "%u", s->peer.addr.port);
    else if (str_eqz(name, "server_port"))
        buf_addf(out, "%u", s->peer.local.port);
    else
        return false;
    return true;
}

/* What a client has said is expanded as the values of parameters are: "$$" stands for a "$" of it.
 * And its "\n" is no line end: its backslashes are told from those of the footer. */
static void put_literally(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == BACKSLASH || str_find(buf_str(&replies.allowed), text.p[i]) < 0)
            buf_addc(out, '_');
        else if (text.p[i] == '$')
            buf_addz(out, "$$");
        else
            buf_addc(out, text.p[i] == '\\' ? BACKSLASH : text.p[i]);
}

static void put_footer_line(struct str line, struct buf *out)
{
    for (size_t i = 0; i < line.n; i++)
        buf_addc(out, line.p[i] == BACKSLASH ? '\\' : line.p[i]);
}

/* A conf_find_fn. Other names are parameters, as in $smtpd_reject_footer and $support. */
static const char *find_value(struct str name, void *arg)
{
    struct footer *f = arg;
    struct buf said = BUF_TEXT(TEXT_MOST);
    bool known = put_value(f->s, name, &said);

    if (known) {
        buf_clear(&f->value);
        put_literally(buf_str(&said), &f->value);
    }
    buf_free(&said);
    return known ? f->value.p : conf_find_raw(name, NULL);
}

/* What stands behind the reply, as in main.cf: that of the table, or the parameter's. */
static struct str find_template(const char *reply, struct buf *value)
{
    struct why why = WHY;
    enum dict_answer answer = maps_find(replies.footers, reply, value, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND ? buf_str(value) : strz(conf.postscreen_reject_footer);
}

/* "550 5.5.1 text" and lines of the footer: each gets the codes. \c: the first belongs to the last
 * line of the reply. */
static void put_footer(struct str text, struct buf *out)
{
    size_t code = 4, dsn = 0;
    struct str reply = buf_str(out), line;

    if (reply.n > 5 && (reply.p[4] == '4' || reply.p[4] == '5') && reply.p[5] == '.') {
        ptrdiff_t blank = str_find(str_from(reply, 4), ' ');
        dsn = blank < 0 ? 0 : (size_t)blank + 1;
    }
    struct buf head = BUF(64); /* fits: a reply code, and an enhanced one, of our own */
    buf_add(&head, str_upto(reply, code + dsn));
    bool joined = str_starts(text, STR("\\c"));
    if (joined)
        text = str_from(text, 2);
    size_t begin = 0; /* of the last line */
    for (bool first = true; text.n > 0 || first; first = false) {
        ptrdiff_t end = str_search(text, STR("\\n"));
        line = end < 0 ? text : str_upto(text, (size_t)end);
        text = end < 0 ? str_from(text, text.n) : str_from(text, (size_t)end + 2);
        if (!first || !joined) {
            out->p[begin + 3] = '-';
            buf_addz(out, "\r\n");
            begin = out->n;
            buf_add(out, buf_str(&head));
            if (!buf_ok(out))
                break;
        }
        put_footer_line(line, out);
    }
    buf_free(&head);
}

static void add_footer(struct screen *s, struct buf *reply)
{
    struct footer f = {.s = s, .value = BUF(2 * TEXT_MOST)}; /* fits: each byte twice */
    struct buf value = BUF(DICT_VALUE_LIMIT); /* fits: that is the longest */
    struct buf text = BUF_TEXT(TEXT_MOST);
    struct str template = find_template(reply->p, &value);
    struct why why = WHY;

    if (template.n > 0 &&
        conf_expand_text(template, EXPAND_RECURSE, find_value, &f, &text, &why) < 0)
        msg_warn("postscreen_reject_footer: %s", why_text(&why));
    else if (text.n > 0)
        put_footer(buf_str(&text), reply);
    buf_free(&f.value);
    buf_free(&value);
    buf_free(&text);
    why_free(&why);
}

/* ---- the reply ---- */

void screen_soften(struct buf *reply)
{
    if (!conf.soft_bounce || reply->p[0] != '5')
        return;
    reply->p[0] = '4';
    if (reply->n > 5 && reply->p[4] == '5' && reply->p[5] == '.')
        reply->p[4] = '4';
}

void screen_reply(struct screen *s, const char *fmt, ...)
{
    struct buf reply = BUF(REPLY_MOST);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&reply, fmt, ap);
    va_end(ap);
    if (reply.n > 4 && (reply.p[0] == '4' || reply.p[0] == '5')) {
        screen_soften(&reply);
        add_footer(s, &reply);
    }
    buf_addz(&reply, "\r\n");
    if (buf_ok(&reply))
        stream_put(s->stream, buf_str(&reply));
    else
        stream_fail(s->stream, "a reply is too long");
    buf_free(&reply);
}
