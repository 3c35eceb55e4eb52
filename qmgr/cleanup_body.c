/*
 * The body: records are checked and copied in runs; a record that must be changed breaks the run.
 */
#include "base/sixteen.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"

#include "cleanup.h"

/* What to do with a byte; most have 0. */
enum { BYTE_STRAY = 1, BYTE_STRIP = 2, BYTE_REJECT = 4, BYTE_8BIT = 8 };

static struct {
    unsigned char what[256];
    bool only_plain; /* nothing is stripped or refused */
} body;

/* One character of message_strip_characters: C escapes. */
static unsigned char unescape(struct str *s)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    unsigned char c = (unsigned char)s->p[0];

    *s = str_from(*s, 1);
    if (c != '\\' || s->n == 0)
        return c;
    c = (unsigned char)s->p[0];
    if (c >= '0' && c <= '7') {
        unsigned value = 0;
        for (int i = 0; i < 3 && s->n > 0 && s->p[0] >= '0' && s->p[0] <= '7'; i++) {
            value = value * 8 + (unsigned)(s->p[0] - '0');
            *s = str_from(*s, 1);
        }
        return (unsigned char)value;
    }
    const char *at = strchr(from, c);
    *s = str_from(*s, 1);
    return at != NULL && c != 0 ? (unsigned char)to[at - from] : c;
}

static void mark(const char *characters, unsigned char with)
{
    struct str s = strz(characters);

    while (s.n > 0)
        body.what[unescape(&s)] |= with;
}

void cleanup_open_body(void)
{
    for (int i = 128; i < 256; i++)
        body.what[i] = BYTE_8BIT;
    if (conf.cleanup_replace_stray_cr_lf)
        body.what['\r'] = body.what['\n'] = BYTE_STRAY;
    mark(conf.message_strip_characters, BYTE_STRIP);
    mark(conf.message_reject_characters, BYTE_REJECT);
    body.only_plain =
        conf.message_strip_characters[0] == 0 && conf.message_reject_characters[0] == 0;
}

static unsigned survey_bytes(struct str s)
{
    unsigned found = 0;

    for (size_t i = 0; i < s.n; i++)
        found |= body.what[(unsigned char)s.p[i]];
    return found;
}

/* All that is in the bytes, or-ed. Without special characters only CR, LF and 8 bit matter: they
 * are looked for in sixteen bytes at a time; the last sixteen may overlap others. */
static unsigned survey(struct str s)
{
    sixteen high = {0}, stray = {0};

    if (!body.only_plain || s.n < sizeof high)
        return survey_bytes(s);
    for (size_t i = 0; i < s.n; i += sizeof high) {
        sixteen v = sixteen_load(s.p + (s.n - i < sizeof v ? s.n - sizeof v : i));
        high |= v & 0x80;
        stray |= (sixteen)(v == '\r') | (sixteen)(v == '\n');
    }
    return (sixteen_any(high) ? BYTE_8BIT : 0) | (sixteen_any(stray) ? body.what['\r'] : 0);
}

/* What is found in the text and matters for this message: bounces are neither stripped nor refused.
 */
static unsigned found_in(const struct cleanup *c, struct str text)
{
    unsigned found = survey(text);

    return (c->flags & SUBMIT_FILTER) != 0 ? found : found & (BYTE_STRAY | BYTE_8BIT);
}

static bool clean_text(struct cleanup *c, struct str text, unsigned found, struct buf *out)
{
    if ((found & BYTE_REJECT) != 0) {
        if (!cleanup_failed(c))
            cleanup_log_content(c, "reject: content", text, STR("5.7.1 disallowed character"));
        cleanup_refuse(c, "5.7.1", "disallowed character");
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        unsigned what = body.what[(unsigned char)text.p[i]] & found;
        if ((what & BYTE_STRIP) == 0)
            buf_addc(out, (what & BYTE_STRAY) != 0 ? ' ' : text.p[i]);
    }
    return true;
}

bool cleanup_clean_text(struct cleanup *c, struct str text, struct buf *out)
{
    return clean_text(c, text, found_in(c, text), out);
}

/* A record that holds something special, changed as it must be. */
static void put_changed(struct cleanup *c, enum rec type, struct str text, unsigned found)
{
    struct buf clean = BUF(REC_MAX); /* text is from a record, so it is no longer than that */

    if (clean_text(c, text, found, &clean) && buf_ok(&clean))
        cleanup_put(c, type, buf_str(&clean));
    buf_free(&clean);
}

/* bounce keeps below the limit where it can. It cannot say less than what became of one recipient,
 * and the sender of a message must hear that. */
static bool is_too_big(const struct cleanup *c)
{
    return conf.message_size_limit > 0 && c->content > conf.message_size_limit &&
           c->client != ROLE_BOUNCE;
}

static void note(struct cleanup *c, struct str text, unsigned found)
{
    if ((found & BYTE_8BIT) != 0 && conf.detect_8bit_encoding_header)
        c->eight_bit = true;
    c->content += (int64_t)text.n + 1;
    if (is_too_big(c))
        cleanup_fail(c, "5.3.4", "message file too big");
}

void cleanup_count(struct cleanup *c, struct str text)
{
    note(c, text, survey(text));
}

void cleanup_put_text(struct cleanup *c, enum rec type, struct str text)
{
    unsigned found = found_in(c, text);

    note(c, text, found);
    if ((found & ~(unsigned)BYTE_8BIT) != 0)
        put_changed(c, type, text, found);
    else
        cleanup_put(c, type, text);
}

static bool is_checked(const struct cleanup *c, int64_t offset)
{
    return cleanup_checks(c, CHECK_BODY) &&
           (conf.body_checks_size_limit == 0 || offset < conf.body_checks_size_limit);
}

void cleanup_put_body(struct cleanup *c, enum rec type, struct str text, int64_t offset)
{
    struct buf instead = BUF(DICT_VALUE_LIMIT); /* asked: by cleanup_check */
    enum cleanup_verdict verdict = CLEANUP_KEEP;

    if (is_checked(c, offset))
        verdict = cleanup_check(c, CHECK_BODY, text, &instead);
    if (verdict == CLEANUP_REPLACE && type == REC_NORM)
        cleanup_put_line(c, buf_str(&instead));
    else if (verdict == CLEANUP_REPLACE)
        cleanup_put_text(c, type, buf_str(&instead));
    else if (verdict == CLEANUP_KEEP)
        cleanup_put_text(c, type, text);
    buf_free(&instead);
}

void cleanup_body_record(struct cleanup *c, enum rec type, struct str text)
{
    if (c->mime != NULL)
        cleanup_mime_line(c, type, text);
    else
        cleanup_put_text(c, type, text);
}

void cleanup_next_record(struct cleanup *c, enum rec type, struct str text)
{
    if (c->mime != NULL)
        cleanup_mime_record(c, type, text);
    else
        cleanup_put_text(c, type, text);
}

static void put_run(struct cleanup *c, struct str bytes, size_t from, size_t to)
{
    if (to > from && !c->stopped)
        qfile_put_raw(c->file, str_part(bytes, from, to - from));
}

/* Runs of records that need no change are copied in one piece. */
static size_t copy_records(struct cleanup *c, struct str bytes)
{
    size_t run = 0, at = 0, size;
    struct str text;

    while (at < bytes.n) {
        int type = qrec_take(str_from(bytes, at), &text, &size);
        if (type != REC_NORM && type != REC_CONT)
            break;
        unsigned found = found_in(c, text);
        note(c, text, found);
        if ((found & ~(unsigned)BYTE_8BIT) != 0) {
            put_run(c, bytes, run, at);
            put_changed(c, (enum rec)type, text, found);
            run = at + size;
        }
        at += size;
    }
    put_run(c, bytes, run, at);
    return at;
}

size_t cleanup_body_records(struct cleanup *c, struct str bytes)
{
    size_t at = 0, size;
    struct str text;

    if (c->mime == NULL && c->convert == NULL)
        return copy_records(c, bytes);
    while (at < bytes.n) {
        int type = qrec_take(str_from(bytes, at), &text, &size);
        if (type != REC_NORM && type != REC_CONT)
            break;
        if (c->convert != NULL)
            cleanup_convert_record(c, (enum rec)type, text);
        else
            cleanup_mime_record(c, (enum rec)type, text);
        at += size;
    }
    return at;
}

void cleanup_put_line(struct cleanup *c, struct str line)
{
    size_t most = (size_t)conf.line_length_limit;

    while (line.n > most) {
        cleanup_put_text(c, REC_CONT, str_upto(line, most));
        line = str_from(line, most);
    }
    cleanup_put_text(c, REC_NORM, line);
}
