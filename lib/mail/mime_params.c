/*
 * Content-Type and the parameters behind it and behind Content-Disposition. RFC 2045 5.1, RFC 2231.
 * What is broken is passed over in the same way as the servers do that clients know.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "mail/mime.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_comment(struct str *s)
{
    size_t depth = 0, i = 0;

    for (; i < s->n; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '(')
            depth++;
        else if (s->p[i] == ')' && --depth == 0) {
            i++;
            break;
        }
    }
    *s = str_from(*s, i);
}

void mime_skip_comments(struct str *s)
{
    while (s->n > 0) {
        if (is_blank(*s->p))
            *s = str_from(*s, 1);
        else if (*s->p == '(')
            skip_comment(s);
        else
            break;
    }
}

static bool is_token(char c)
{
    /* RFC 2045 5.1; bytes above 127 are let through. */
    return (unsigned char)c > 0x20 && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

struct str mime_token(struct str *s)
{
    size_t n = 0;

    mime_skip_comments(s);
    while (n < s->n && is_token(s->p[n]))
        n++;
    struct str token = str_upto(*s, n);
    *s = str_from(*s, n);
    mime_skip_comments(s);
    return token;
}

bool mime_type_parse(struct arena *mem, struct str value, struct mime_type *out)
{
    struct str s = value, type, subtype = STR("");

    *out = (struct mime_type){STR(""), STR(""), NULL};
    type = mime_token(&s);
    if (type.n == 0)
        return false;
    if (s.n > 0 && *s.p == '/') {
        s = str_from(s, 1);
        subtype = mime_token(&s);
        if (subtype.n == 0 || (s.n > 0 && *s.p != ';'))
            return false;
    } else if (s.n > 0) {
        return false;
    }
    out->type = arena_str(mem, type);
    out->subtype = arena_str(mem, subtype);
    out->params = mime_params_parse(mem, s);
    return true;
}

/* False: the closing quote is missing. */
static bool parse_quoted(struct arena *mem, struct str *s, struct str *value)
{
    size_t end = 1, n = 0;

    while (end < s->n && s->p[end] != '"')
        end += s->p[end] == '\\' && end + 1 < s->n ? 2 : 1;
    if (end >= s->n)
        return false;
    char *to = arena_alloc(mem, end); /* of a long field, only what is taken */
    for (size_t i = 1; i < end; i++) {
        if (s->p[i] == '\\')
            i++;
        if (s->p[i] != '\r' && s->p[i] != '\n')
            to[n++] = s->p[i];
    }
    *s = str_from(*s, end + 1);
    mime_skip_comments(s);
    *value = (struct str){to, n};
    return true;
}

/* A quoted string without its quotes, or a token, or what programs write that forget the quotes, up
 * to ";" or a blank, as Dovecot takes it. False: the closing quote is missing. */
static bool parse_value(struct arena *mem, struct str *s, struct str *value)
{
    mime_skip_comments(s);
    if (s->n > 0 && *s->p == '=') { /* "name==?utf-8?B?...?=" and "boundary==_x" without quotes */
        size_t size = 0;
        while (size < s->n && s->p[size] != ';' && !is_blank(s->p[size]))
            size++;
        *value = arena_str(mem, str_upto(*s, size));
        *s = str_from(*s, size);
        mime_skip_comments(s);
        return true;
    }
    if (s->n == 0 || *s->p != '"') {
        *value = arena_str(mem, mime_token(s));
        return true;
    }
    return parse_quoted(mem, s, value);
}

struct piece {
    struct str name; /* without "*0*" */
    uint32_t number;
    bool encoded;
    struct mime_param *param;
};

/* "name*1*" is a piece, "name" and "name*" are not. */
static bool is_piece(struct mime_param *param, struct piece *out)
{
    ptrdiff_t star = str_find(param->name, '*');
    struct str digits;

    if (star < 0 || (size_t)star + 1 == param->name.n)
        return false;
    digits = str_from(param->name, (size_t)star + 1);
    out->encoded = str_ends(digits, STR("*"));
    if (out->encoded)
        digits.n--;
    out->name = str_upto(param->name, (size_t)star);
    out->param = param;
    return num_parse_u32(digits, 0, 1000000, &out->number);
}

static int compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int by_name = str_cmp(x->name, y->name);

    return by_name != 0 ? by_name : (x->number > y->number) - (x->number < y->number);
}

static void append(struct mime_param ***end, struct mime_param *param)
{
    param->next = NULL;
    **end = param;
    *end = &param->next;
}

/* RFC 2231 4.1: in an encoded value, the pieces that are not encoded stand for themselves. */
static struct mime_param *join(struct arena *mem, const struct piece *p, size_t n, bool encoded)
{
    struct mime_param *param = arena_alloc(mem, sizeof *param);
    size_t room = 2;

    for (size_t i = 0; i < n; i++)
        room += p[i].param->value.n * 3;
    char *to = arena_alloc(mem, room);
    size_t at = 0;
    if (encoded && !p[0].encoded) {
        to[at++] = '\'';
        to[at++] = '\'';
    }
    for (size_t i = 0; i < n; i++) {
        struct str v = p[i].param->value;
        for (size_t k = 0; k < v.n; k++) {
            to[at++] = v.p[k];
            if (v.p[k] == '%' && encoded && !p[i].encoded) {
                to[at++] = '2';
                to[at++] = '5';
            }
        }
    }
    param->name =
        encoded ? strz(arena_printf(mem, "%.*s*", (int)p[0].name.n, p[0].name.p)) : p[0].name;
    param->value = (struct str){to, at};
    return param;
}

/* One name's pieces: joined if none is missing, else each for itself under its full name. */
static void put_pieces(struct arena *mem, const struct piece *p, size_t n, struct mime_param ***end)
{
    bool whole = true, encoded = false;

    for (size_t i = 0; i < n; i++) {
        whole = whole && p[i].number == i;
        encoded = encoded || p[i].encoded;
    }
    if (whole) {
        append(end, join(mem, p, n, encoded));
        return;
    }
    for (size_t i = 0; i < n; i++)
        append(end, p[i].param);
}

struct mime_param *mime_params_parse(struct arena *mem, struct str s)
{
    struct mime_param *first = NULL, **end = &first;
    struct piece *pieces = NULL;
    size_t npieces = 0;

    for (size_t count = 0; s.n > 0 && count < MIME_PARAMS_MAX;) {
        struct str name, value;
        bool starts = *s.p == ';';
        s = str_from(s, 1);
        if (!starts)
            continue;
        name = mime_token(&s);
        if (s.n == 0 || *s.p != '=') {
            s = str_from(s, 1);
            continue;
        }
        s = str_from(s, 1);
        if (!parse_value(mem, &s, &value))
            break;
        count++;
        struct mime_param *param = arena_alloc(mem, sizeof *param);
        struct piece piece;
        param->name = arena_str(mem, name);
        param->value = value;
        if (!is_piece(param, &piece)) {
            append(&end, param);
            continue;
        }
        if (pieces == NULL)
            pieces = arena_array(mem, MIME_PARAMS_MAX, sizeof *pieces);
        pieces[npieces++] = piece;
    }
    if (npieces > 1)
        qsort(pieces, npieces, sizeof *pieces, compare);
    for (size_t i = 0, n; i < npieces; i += n) {
        for (n = 1; i + n < npieces && str_eq(pieces[i].name, pieces[i + n].name); n++)
            ;
        put_pieces(mem, pieces + i, n, &end);
    }
    return first;
}

struct str mime_param_find(const struct mime_param *p, const char *name)
{
    for (; p != NULL; p = p->next)
        if (str_ieqz(p->name, name))
            return p->value;
    return (struct str){NULL, 0};
}
