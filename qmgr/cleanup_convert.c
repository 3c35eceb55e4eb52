/*
 * force_mime_input_conversion: what the client sends goes through the converter that the SMTP
 * client has for servers without 8BITMIME, before anything else sees it. RFC 2045 6
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/mime_7bit.h"

#include "cleanup.h"

enum { PIECE = 4096 }; /* bytes that the converter gets at a time */

struct cleanup_convert {
    struct mime_7bit *mime;
    struct buf out; /* of the converter, not passed on yet: less than a line */
};

void cleanup_convert_begin(struct cleanup *c)
{
    size_t header = (size_t)conf.header_size_limit;
    size_t boundary = (size_t)conf.mime_boundary_length_limit;
    /* four bytes become of one */
    size_t most = 4 * PIECE + (size_t)conf.line_length_limit + header + 4 * boundary + 8192;
    struct mime_7bit_limits limits = {.nesting = (size_t)conf.mime_nesting_limit,
                                      .boundary = boundary,
                                      .header = header,
                                      .keep_end = true};

    if (!conf.force_mime_input_conversion || conf.disable_mime_input_processing || c->stopped)
        return;
    c->eight_bit = false; /* that it was declared says nothing of what will be left */
    c->convert = mem_new(sizeof *c->convert);
    c->convert->mime = mime_7bit_new(&limits);
    /* asked: by pass_lines */
    c->convert->out = BUF(most);
}

void cleanup_convert_free(struct cleanup *c)
{
    if (c->convert == NULL)
        return;
    mime_7bit_free(&c->convert->mime);
    buf_free(&c->convert->out);
    free(c->convert);
    c->convert = NULL;
}

static void pass_record(struct cleanup *c, enum rec type, struct str text)
{
    if (c->phase == CLEANUP_HEADER)
        cleanup_header_record(c, type, text);
    else
        cleanup_next_record(c, type, text);
}

/* Cuts one record off the front of *text. False: a line has begun and not ended. */
static bool take_record(struct str *text, enum rec *type, struct str *record)
{
    size_t most = (size_t)conf.line_length_limit;
    ptrdiff_t lf = str_find(str_upto(*text, most + 1), '\n');

    if (lf < 0 && text->n <= most)
        return false;
    *type = lf < 0 ? REC_CONT : REC_NORM;
    *record = str_upto(*text, lf < 0 ? most : (size_t)lf);
    *text = str_from(*text, lf < 0 ? most : (size_t)lf + 1);
    return true;
}

/* What is whole of the converter's output. */
static void pass_lines(struct cleanup *c)
{
    struct buf *out = &c->convert->out;
    struct str rest = buf_str(out), record;
    enum rec type;

    if (mime_7bit_failed(c->convert->mime))
        cleanup_refuse(c, "5.6.0", "MIME nesting exceeds safety limit");
    else if (!buf_ok(out))
        cleanup_fail(c, "5.6.0", "a header field is too long to be made 7-bit text");
    while (!c->stopped && take_record(&rest, &type, &record))
        pass_record(c, type, record);
    buf_skip(out, out->n - rest.n);
}

static void convert(struct cleanup *c, struct str text)
{
    while (text.n > 0 && !c->stopped) {
        mime_7bit_put(c->convert->mime, str_upto(text, PIECE), &c->convert->out);
        text = str_from(text, text.n < PIECE ? text.n : PIECE);
        pass_lines(c);
    }
}

void cleanup_convert_record(struct cleanup *c, enum rec type, struct str text)
{
    struct buf clean = BUF(REC_MAX); /* fits: text is from a record, so it is no longer than that */

    if (cleanup_clean_text(c, text, &clean) && buf_ok(&clean)) {
        for (size_t i = 0; i < clean.n; i++)
            if (clean.p[i] == '\n') /* no line of its own: see cleanup_replace_stray_cr_lf */
                clean.p[i] = ' ';
        convert(c, buf_str(&clean));
        if (type == REC_NORM)
            convert(c, STR("\n"));
    }
    buf_free(&clean);
}

void cleanup_convert_end(struct cleanup *c)
{
    if (c->convert == NULL || c->stopped)
        return;
    mime_7bit_end(c->convert->mime, &c->convert->out);
    pass_lines(c);
    if (!c->stopped && c->convert->out.n > 0)
        pass_record(c, REC_NORM, buf_str(&c->convert->out));
}
