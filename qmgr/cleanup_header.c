/*
 * Header fields: collect one, let the checks see it, count hops, drop what must not travel, rewrite
 * its addresses.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "mail/addr_list.h"
#include "mail/header.h"
#include "mail/path.h"

#include "cleanup.h"

/* Fields that mean something here; class is that of the addresses in it, 0: it has none. */
struct kind {
    const char *name;
    enum cleanup_class class;
    unsigned seen;
    bool resent; /* RFC 5322 3.6.6 */
    bool mime; /* mime_header_checks look at it, wherever it stands */
};
static const struct kind kinds[] = {
    {.name = "Apparently-To", .class = MAP_HEADER_RCPT},
    {.name = "Bcc", .class = MAP_HEADER_RCPT},
    {.name = "Cc", .class = MAP_HEADER_RCPT, .seen = SEEN_VISIBLE_RCPT},
    {.name = "Content-Description", .mime = true},
    {.name = "Content-Disposition", .mime = true},
    {.name = "Content-Id", .mime = true},
    {.name = "Content-Transfer-Encoding", .mime = true},
    {.name = "Content-Type", .mime = true},
    {.name = "Date", .seen = SEEN_DATE},
    {.name = "Disposition-Notification-To", .class = MAP_HEADER_SENDER},
    {.name = "Errors-To", .class = MAP_HEADER_SENDER},
    {.name = "From", .class = MAP_HEADER_SENDER, .seen = SEEN_FROM},
    {.name = "Mail-Followup-To", .class = MAP_HEADER_SENDER},
    {.name = "Message-Id", .seen = SEEN_MESSAGE_ID},
    {.name = "Mime-Version", .mime = true},
    {.name = "Received"},
    {.name = "Reply-To", .class = MAP_HEADER_SENDER},
    {.name = "Require-TLS-ESMTP"},
    {.name = "Resent-Bcc", .class = MAP_HEADER_RCPT, .resent = true},
    {.name = "Resent-Cc", .class = MAP_HEADER_RCPT, .seen = SEEN_VISIBLE_RCPT, .resent = true},
    {.name = "Resent-Date", .seen = SEEN_RESENT_DATE, .resent = true},
    {.name = "Resent-From", .class = MAP_HEADER_SENDER, .seen = SEEN_RESENT_FROM, .resent = true},
    {.name = "Resent-Message-Id", .seen = SEEN_RESENT_MESSAGE_ID, .resent = true},
    {.name = "Resent-Reply-To", .class = MAP_HEADER_RCPT, .resent = true},
    {.name = "Resent-Sender", .class = MAP_HEADER_SENDER, .resent = true},
    {.name = "Resent-To", .class = MAP_HEADER_RCPT, .seen = SEEN_VISIBLE_RCPT, .resent = true},
    {.name = "Return-Path", .class = MAP_HEADER_SENDER},
    {.name = "Return-Receipt-To", .class = MAP_HEADER_SENDER},
    {.name = "Sender", .class = MAP_HEADER_SENDER},
    {.name = "TLS-Required"},
    {.name = "To", .class = MAP_HEADER_RCPT, .seen = SEEN_VISIBLE_RCPT},
};

static const struct kind *kind_of(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_ieqz(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

void cleanup_put_field(struct cleanup *c, struct str text)
{
    struct str line;

    cleanup_note_utf8(c, SENDOPT_UTF8_HEADER, text);
    do {
        ptrdiff_t lf = str_find(text, '\n');
        line = lf < 0 ? text : str_upto(text, (size_t)lf);
        text = lf < 0 ? str_from(text, text.n) : str_from(text, (size_t)lf + 1);
        cleanup_put_line(c, line);
    } while (text.n > 0);
}

void cleanup_put_fieldf(struct cleanup *c, const char *fmt, ...)
{
    struct buf text = BUF(1u << 17);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    if (buf_ok(&text))
        cleanup_put_field(c, buf_str(&text));
    else
        cleanup_fail(c, "4.3.0", "a header field of ours is too long");
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
    changed = changed && buf_ok(&internal) && buf_ok(out) && buf_ok(&external);
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
    struct arena *mem = arena_new(c->mem);
    struct addr_list list;
    /* asked: by rewrite_one */
    struct buf address = BUF(131072);
    const char *from = text.p;
    bool changed = false;

    addr_list_parse(mem, value, (size_t)conf.header_address_token_limit, &list);
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
    arena_free(&mem);
    return changed;
}

void cleanup_log_id(struct cleanup *c, bool resent, struct str id)
{
    msg_info("%s: %smessage-id=%.*s", c->d.queue_id, resent ? "resent-" : "", (int)id.n, id.p);
}

/* ---- the steps that a whole field goes through ---- */

struct field {
    struct cleanup *c;
    struct cleanup_block *block;
    struct str text; /* "Name: value", lines parted by LF */
    struct str name, value; /* inside text */
    const struct kind *kind; /* null: nothing depends on it here */
    struct buf instead; /* of what stood in the message, if a check has replaced it */
};

static bool is_named(const struct field *f, const char *name)
{
    return f->kind != NULL && strcmp(f->kind->name, name) == 0;
}

/* True: on to the next step. False: this was the last one. */
typedef bool field_step(struct field *f);

/* As in Postfix: with what is cut off goes the rest of a line of which less than a tenth of the
 * limit would stay. */
void cleanup_cut_field(struct buf *field)
{
    size_t limit = (size_t)conf.header_size_limit;

    if (field->n <= limit)
        return;
    ptrdiff_t lf = str_rfind(str_upto(buf_str(field), limit), '\n');
    bool short_rest = lf >= 0 && limit - (size_t)lf - 1 < limit / 10;
    buf_cut(field, short_rest ? (size_t)lf : limit);
}

static bool read_from(struct field *f, const struct buf *text)
{
    if (!buf_ok(text)) {
        cleanup_fail(f->c, "4.3.0", "a header field is too long");
        return false;
    }
    f->text = buf_str(text);
    if (!header_split(f->text, &f->name, &f->value))
        f->name = f->value = STR("");
    f->kind = kind_of(f->name);
    return true;
}

static bool step_read(struct field *f)
{
    return read_from(f, &f->block->field);
}

/* Counted even if header_checks drop it. */
static bool step_count_hop(struct field *f)
{
    if (f->block->kind == BLOCK_MESSAGE && is_named(f, "Received"))
        f->c->hops++;
    return true;
}

static bool step_note_type(struct field *f)
{
    if (is_named(f, "Content-Type"))
        cleanup_mime_type(f->c, f->value, f->text);
    else if (is_named(f, "Content-Transfer-Encoding"))
        cleanup_mime_encoding(f->c, f->value);
    cleanup_strict_text(f->c, FAULT_8BIT_HEADER, f->text);
    return true;
}

static enum cleanup_content checks_of(const struct field *f)
{
    if (f->block->kind == BLOCK_PART || (f->kind != NULL && f->kind->mime))
        return CHECK_MIME;
    return f->block->kind == BLOCK_NESTED ? CHECK_NESTED : CHECK_HEADER;
}

static bool step_check(struct field *f)
{
    enum cleanup_content what = checks_of(f);

    if (!cleanup_checks(f->c, what))
        return true;
    enum cleanup_verdict verdict = cleanup_check(f->c, what, f->text, &f->instead);
    if (verdict == CLEANUP_REPLACE)
        return read_from(f, &f->instead);
    return verdict != CLEANUP_DROP;
}

/* Fields of parts are passed on as they are. */
static bool step_put_part(struct field *f)
{
    if (f->block->kind == BLOCK_MESSAGE)
        return true;
    cleanup_put_field(f->c, f->text);
    return false;
}

static bool step_note(struct field *f)
{
    struct cleanup *c = f->c;

    if (f->kind == NULL)
        return true;
    c->headers_seen |= f->kind->seen;
    c->resent = c->resent || f->kind->resent;
    if (is_named(f, "Received") && c->hops >= conf.hopcount_limit) { /* RFC 5321 6.3 */
        if (!cleanup_failed(c))
            msg_warn("%s: message rejected: hopcount exceeded", cleanup_id(c));
        cleanup_refuse(c, "5.4.0", "too many hops");
    } else if (f->kind->seen == SEEN_MESSAGE_ID || f->kind->seen == SEEN_RESENT_MESSAGE_ID) {
        cleanup_log_id(c, f->kind->resent, f->value);
    }
    return true;
}

/* "TLS-Required: no" of RFC 8689 5, and Postfix's field that takes REQUIRETLS through a filter. */
static bool step_note_tls(struct field *f)
{
    struct cleanup *c = f->c;
    struct str value = str_trim(f->value);

    if (conf.tls_required_enable && is_named(f, "TLS-Required") && str_ieqz(value, "no"))
        c->d.sendopts |= SENDOPT_TLS_NOT_REQUIRED;
    if (!conf.requiretls_enable || !conf.requiretls_esmtp_header ||
        !is_named(f, "Require-TLS-ESMTP"))
        return true;
    c->headers_seen |= SEEN_REQUIRETLS;
    if (str_ieqz(value, "yes"))
        c->flags |= SUBMIT_REQUIRETLS;
    return true;
}

static bool step_drop(struct field *f)
{
    return f->name.n == 0 || !str_ilisted(conf.message_drop_headers, f->name);
}

static bool step_put(struct field *f)
{
    struct cleanup *c = f->c;
    struct buf changed = BUF(2 * f->text.n + 131072);
    bool rewritten = f->kind != NULL && f->kind->class != 0 && rewrite_active(c->rewrite) &&
                     rewrite_field(c, f->kind, f->text, f->value, &changed);

    if (rewritten && !buf_ok(&changed))
        cleanup_fail(c, "4.3.0", "a header field is too long after rewriting");
    else
        cleanup_put_field(c, rewritten ? buf_str(&changed) : f->text);
    buf_free(&changed);
    return true;
}

static field_step *const steps[] = {
    step_read, step_count_hop, step_note_type, step_check, step_put_part,
    step_note, step_note_tls,  step_drop,      step_put,
};

void cleanup_block_end(struct cleanup *c, struct cleanup_block *b)
{
    /* asked: by read_from */
    struct field f = {.c = c, .block = b, .instead = BUF(DICT_VALUE_LIMIT)};
    bool on = b->field.n > 0;

    cleanup_cut_field(&b->field);
    for (size_t i = 0; on && !c->stopped && i < sizeof steps / sizeof *steps; i++)
        on = steps[i](&f);
    buf_free(&f.instead);
    buf_clear(&b->field);
}

/* ---- collecting ---- */

/* A field that has reached header_size_limit gets no more. */
static void extend(struct cleanup_block *b, const char *glue, struct str text)
{
    if (b->field.n >= (size_t)conf.header_size_limit)
        return;
    buf_addz(&b->field, glue);
    buf_add(&b->field, text);
}

bool cleanup_block_take(struct cleanup *c, struct cleanup_block *b, enum rec type, struct str text)
{
    struct str name, value;

    if (b->field.n > 0 && (b->in_line || header_continues(text))) {
        extend(b, b->in_line ? "" : "\n", text);
    } else {
        cleanup_block_end(c, b);
        if (!header_split(text, &name, &value))
            return false;
        buf_set(&b->field, name); /* without the blanks before the colon: RFC 5322 4.5.8 */
        buf_add(&b->field, str_from(text, (size_t)str_find(text, ':')));
    }
    b->in_line = type == REC_CONT;
    return true;
}

/* Lines of ours at the top of the message; they go the way of all others. */
static void put_own(struct cleanup *c, struct str lines)
{
    struct str line;

    while (str_split(&lines, '\n', &line))
        cleanup_block_take(c, &c->block, REC_NORM, line);
}

void cleanup_begin_headers(struct cleanup *c)
{
    struct buf trace = BUF(1u << 17);

    c->first_record = true;
    cleanup_mime_begin(c);
    VEC_EACH (&c->prepend, field)
        put_own(c, strz(*field));
    if (c->received_before != NULL && c->received_after != NULL && !c->stopped) {
        buf_addf(&trace, "Received: %sid %s%s", c->received_before, c->d.queue_id,
                 c->received_after);
        c->own_trace = arena_strz(c->mem, buf_str(&trace));
        if (buf_ok(&trace))
            put_own(c, buf_str(&trace));
        else
            cleanup_fail(c, "4.3.0", "the trace field is too long");
    }
    buf_free(&trace);
}

/* line: the first of the body, or the empty one before it; null: there is neither. */
static void end_headers(struct cleanup *c, const struct str *line)
{
    cleanup_block_end(c, &c->block);
    if (!c->stopped)
        cleanup_complete_header(c);
    if (line != NULL && line->n > 0)
        cleanup_unended_header(c, *line);
    cleanup_mime_end_header(c, line != NULL && line->n == 0);
    cleanup_edit_header(c);
    c->phase = CLEANUP_BODY;
}

void cleanup_end_headers(struct cleanup *c)
{
    if (c->phase == CLEANUP_HEADER)
        end_headers(c, NULL);
    cleanup_mime_end(c);
    cleanup_refuse_faults(c);
}

void cleanup_header_record(struct cleanup *c, enum rec type, struct str body)
{
    bool continues_ours = c->first_record && header_continues(body);

    c->first_record = false;
    if (!continues_ours && cleanup_block_take(c, &c->block, type, body))
        return;
    end_headers(c, &body);
    if (body.n > 0) /* the body begins without the empty line */
        cleanup_body_record(c, REC_NORM, STR(""));
    cleanup_body_record(c, type, body);
}
