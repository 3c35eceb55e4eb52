/*
 * The header: complete it, drop what must not travel, count hops, rewrite addresses.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/addr_list.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/msgid.h"
#include "mail/path.h"

#include "cleanup.h"

enum seen {
    SEEN_MESSAGE_ID = 1,
    SEEN_DATE = 2,
    SEEN_FROM = 4,
    SEEN_VISIBLE_RCPT = 8,
    SEEN_RESENT_MESSAGE_ID = 16,
    SEEN_RESENT_DATE = 32,
    SEEN_RESENT_FROM = 64,
};

/* Fields that mean something here; class is that of the addresses in it, 0: it has none. */
struct kind {
    const char *name;
    enum cleanup_class class;
    unsigned seen;
    bool resent; /* RFC 5322 3.6.6 */
};
static const struct kind kinds[] = {
    {"Apparently-To", MAP_HEADER_RCPT, 0, false},
    {"Bcc", MAP_HEADER_RCPT, 0, false},
    {"Cc", MAP_HEADER_RCPT, SEEN_VISIBLE_RCPT, false},
    {"Date", 0, SEEN_DATE, false},
    {"Disposition-Notification-To", MAP_HEADER_SENDER, 0, false},
    {"Errors-To", MAP_HEADER_SENDER, 0, false},
    {"From", MAP_HEADER_SENDER, SEEN_FROM, false},
    {"Mail-Followup-To", MAP_HEADER_SENDER, 0, false},
    {"Message-Id", 0, SEEN_MESSAGE_ID, false},
    {"Received", 0, 0, false},
    {"Reply-To", MAP_HEADER_SENDER, 0, false},
    {"Resent-Bcc", MAP_HEADER_RCPT, 0, true},
    {"Resent-Cc", MAP_HEADER_RCPT, SEEN_VISIBLE_RCPT, true},
    {"Resent-Date", 0, SEEN_RESENT_DATE, true},
    {"Resent-From", MAP_HEADER_SENDER, SEEN_RESENT_FROM, true},
    {"Resent-Message-Id", 0, SEEN_RESENT_MESSAGE_ID, true},
    {"Resent-Reply-To", MAP_HEADER_RCPT, 0, true},
    {"Resent-Sender", MAP_HEADER_SENDER, 0, true},
    {"Resent-To", MAP_HEADER_RCPT, SEEN_VISIBLE_RCPT, true},
    {"Return-Path", MAP_HEADER_SENDER, 0, false},
    {"Return-Receipt-To", MAP_HEADER_SENDER, 0, false},
    {"Sender", MAP_HEADER_SENDER, 0, false},
    {"To", MAP_HEADER_RCPT, SEEN_VISIBLE_RCPT, false},
};

static struct {
    VEC(struct str) drop; /* message_drop_headers */
} headers;

void cleanup_open_headers(void)
{
    struct str rest = strz(conf.message_drop_headers), word;

    while (str_word(&rest, ", \t\r\n", &word))
        *VEC_ADD(&headers.drop) = word;
}

static const struct kind *kind_of(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_ieqz(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

static bool is_dropped(struct str name)
{
    VEC_EACH (&headers.drop, word)
        if (str_ieq(*word, name))
            return true;
    return false;
}

static void put_field(struct cleanup *c, struct str text)
{
    struct str line;

    do {
        ptrdiff_t lf = str_find(text, '\n');
        line = lf < 0 ? text : str_upto(text, (size_t)lf);
        text = lf < 0 ? str_from(text, text.n) : str_from(text, (size_t)lf + 1);
        cleanup_put_line(c, line);
    } while (text.n > 0);
}

static void put_fieldf(struct cleanup *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void put_fieldf(struct cleanup *c, const char *fmt, ...)
{
    struct buf text = BUF(1u << 17);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    put_field(c, buf_str(&text));
    buf_free(&text);
}

/* The new form of an address of the header; false: it stays as it is. */
static bool rewrite_one(struct cleanup *c, enum cleanup_class class, const struct addr *a,
                        struct buf *out)
{
    struct buf internal = BUF(65536), external = BUF(131072);

    buf_clear(out);
    addr_internal(a, &internal);
    rewrite_address(c->rewrite, internal.p, out);
    if ((c->flags & SUBMIT_MAP_OK) != 0)
        cleanup_map_address(c, class, out);
    bool changed = out->n > 0 && !str_eq(buf_str(out), buf_str(&internal));
    path_quote(buf_str(out), &external);
    buf_swap(out, &external);
    buf_free(&internal);
    buf_free(&external);
    return changed;
}

/* What was not copied yet up to the mailbox at begin, with the comma that was forgotten. */
static void add_comma(struct buf *out, const char **from, const char *begin)
{
    struct str before = str_rtrim((struct str){*from, (size_t)(begin - *from)});

    buf_add(out, before);
    buf_addc(out, ',');
    *from += before.n;
}

/* Replaces addresses where they stand; names, comments and folding are left as they are. */
static bool rewrite_field(struct cleanup *c, const struct kind *kind, struct str text,
                          struct str value, struct buf *out)
{
    struct addr_list list;
    struct buf address = BUF(131072);
    const char *from = text.p;
    bool changed = false;

    addr_list_parse(c->mem, value, (size_t)conf.header_address_token_limit, &list);
    for (const struct addr *a = list.at; a < list.at + list.n; a++) {
        if (a->kind == ADDR_MAILBOX && a->comma_missing)
            add_comma(out, &from, a->begin);
        if (a->kind != ADDR_MAILBOX || a->spec.n == 0 || !rewrite_one(c, kind->class, a, &address))
            continue;
        buf_add(out, (struct str){from, (size_t)(a->spec.p - from)});
        buf_add(out, buf_str(&address));
        from = a->spec.p + a->spec.n;
        changed = true;
    }
    buf_add(out, (struct str){from, (size_t)(text.p + text.n - from)});
    buf_free(&address);
    return changed;
}

static void count_hop(struct cleanup *c)
{
    if (++c->hops >= conf.hopcount_limit) /* RFC 5321 6.3 */
        cleanup_refuse(c, "5.4.0", "too many hops");
}

static void log_id(struct cleanup *c, bool resent, struct str id)
{
    msg_info("%s: %smessage-id=%.*s", c->d.queue_id, resent ? "resent-" : "", (int)id.n, id.p);
}

static void note_kind(struct cleanup *c, const struct kind *kind, struct str value)
{
    c->headers_seen |= kind->seen;
    c->resent = c->resent || kind->resent;
    if (strcmp(kind->name, "Received") == 0)
        count_hop(c);
    else if (kind->seen == SEEN_MESSAGE_ID || kind->seen == SEEN_RESENT_MESSAGE_ID)
        log_id(c, kind->resent, value);
}

/* The field that has been collected. */
static void end_field(struct cleanup *c)
{
    struct str text = buf_str(&c->field), name, value;

    if (text.n == 0 || c->stopped) {
        buf_clear(&c->field);
        return;
    }
    struct buf instead = BUF((size_t)conf.header_size_limit);
    enum cleanup_verdict verdict = cleanup_check(c, CLEANUP_HEADER_FIELD, text, &instead);
    if (verdict == CLEANUP_REPLACE)
        buf_swap(&c->field, &instead);
    else if (verdict == CLEANUP_DROP)
        buf_clear(&c->field);
    buf_free(&instead);
    text = buf_str(&c->field);
    if (text.n == 0)
        return;
    if (!header_split(text, &name, &value))
        value = name = STR("");
    const struct kind *kind = kind_of(name);
    if (kind != NULL)
        note_kind(c, kind, value);
    if (name.n > 0 && is_dropped(name)) {
        buf_clear(&c->field);
        return;
    }
    if (name.n > 0 && text.p[name.n] != ':') { /* RFC 5322 4.5.8: blanks before the colon */
        size_t colon = name.n;
        while (c->field.p[colon] != ':')
            colon++;
        memmove(c->field.p + name.n, c->field.p + colon, c->field.n - colon);
        buf_cut(&c->field, c->field.n - (colon - name.n));
        text = buf_str(&c->field);
        header_split(text, &name, &value);
    }
    struct buf changed = BUF(2 * (size_t)conf.header_size_limit + 65536);
    if (kind != NULL && kind->class != 0 && rewrite_active(c->rewrite) &&
        rewrite_field(c, kind, text, value, &changed) && !changed.full)
        put_field(c, buf_str(&changed));
    else
        put_field(c, text);
    buf_free(&changed);
    buf_clear(&c->field);
}

static void add_message_id(struct cleanup *c)
{
    struct buf id = BUF(1000);

    if (conf.enable_long_queue_ids)
        buf_addf(&id, "<%s@%s>", c->d.queue_id, conf.myhostname);
    else
        msgid_format(c->d.arrival_us / 1000000, c->d.queue_id, conf.myhostname, &id);
    put_fieldf(c, "%sMessage-Id: %s", c->resent ? "Resent-" : "", id.p);
    log_id(c, c->resent, buf_str(&id));
    c->headers_seen |= c->resent ? SEEN_RESENT_MESSAGE_ID : SEEN_MESSAGE_ID;
    buf_free(&id);
}

static void add_from(struct cleanup *c)
{
    struct buf text = BUF(16384);
    const char *sender = c->d.sender[0] != 0 ? c->d.sender : conf.empty_address_recipient;
    bool named = c->full_name != NULL && c->full_name[0] != 0;

    if (named && strcmp(conf.header_from_format, "obsolete") != 0) {
        addr_print_phrase(strz(c->full_name), &text);
        buf_addz(&text, " <");
        path_quote(strz(sender), &text);
        buf_addc(&text, '>');
    } else {
        path_quote(strz(sender), &text);
        if (named)
            buf_addf(&text, " (%s)", c->full_name);
    }
    put_fieldf(c, "%sFrom: %s", c->resent ? "Resent-" : "", text.p);
    buf_free(&text);
}

/* RFC 5322 3.6: what a message must have, and a submission agent may add (RFC 6409 8) */
static void add_missing(struct cleanup *c)
{
    unsigned seen = c->headers_seen;
    bool complete = rewrite_active(c->rewrite) || conf.always_add_missing_headers;

    if (complete && (seen & (c->resent ? SEEN_RESENT_MESSAGE_ID : SEEN_MESSAGE_ID)) == 0)
        add_message_id(c);
    if ((c->headers_seen & SEEN_MESSAGE_ID) == 0 && !c->resent)
        log_id(c, false, STR("<>"));
    if (complete && (seen & (c->resent ? SEEN_RESENT_DATE : SEEN_DATE)) == 0) {
        struct buf date = BUF(200);
        date_format_local(c->d.arrival_us / 1000000, &date);
        put_fieldf(c, "%sDate: %s", c->resent ? "Resent-" : "", date.p);
        buf_free(&date);
    }
    if (complete && (seen & (c->resent ? SEEN_RESENT_FROM : SEEN_FROM)) == 0)
        add_from(c);
    if (conf.undisclosed_recipients_header[0] != 0 && (seen & SEEN_VISIBLE_RCPT) == 0)
        put_fieldf(c, "%s", conf.undisclosed_recipients_header);
}

void cleanup_begin_headers(struct cleanup *c)
{
    VEC_EACH (&c->prepend, field)
        if (!c->stopped)
            put_field(c, strz(*field));
    if (c->received_before == NULL || c->received_after == NULL || c->stopped)
        return;
    put_fieldf(c, "Received: %sid %s%s", c->received_before, c->d.queue_id, c->received_after);
    count_hop(c);
}

void cleanup_end_headers(struct cleanup *c)
{
    if (c->phase != CLEANUP_HEADER)
        return;
    end_field(c);
    if (!c->stopped)
        add_missing(c);
    c->phase = CLEANUP_BODY;
}

/* A whole line of the header. */
static void take_line(struct cleanup *c, struct str line)
{
    struct str name, value;

    if (c->field.n > 0 && header_continues(line)) {
        size_t left = c->field.max - c->field.n; /* beyond header_size_limit it is left out */
        if (left > 2) {
            buf_addc(&c->field, '\n');
            buf_add(&c->field, str_upto(line, left - 1));
        }
        return;
    }
    end_field(c);
    if (header_split(line, &name, &value)) {
        buf_set(&c->field, line);
        return;
    }
    cleanup_end_headers(c);
    if (line.n > 0) /* the body begins without the empty line */
        cleanup_put_line(c, STR(""));
    cleanup_put_line(c, line);
}

void cleanup_header_record(struct cleanup *c, enum rec type, struct str body)
{
    size_t left = c->line.max - c->line.n;

    buf_add(&c->line, str_upto(body, left));
    if (type == REC_CONT)
        return;
    take_line(c, buf_str(&c->line));
    buf_clear(&c->line);
}
