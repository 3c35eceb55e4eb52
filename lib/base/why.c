#include "base/why.h"

#include <errno.h>

static void add_clean(struct why *w, const char *text, size_t n)
{
    size_t from = w->text.n;

    buf_add(&w->text, (struct str){text, n});
    for (size_t i = from; i < w->text.n; i++)
        if ((unsigned char)w->text.p[i] < ' ' || w->text.p[i] == 127)
            w->text.p[i] = '?';
}

static void set(struct why *w, const char *code, const char *fmt, va_list ap)
{
    struct buf text = BUF_TEXT(8192);

    buf_addv(&text, fmt, ap);
    snprintf(w->code, sizeof w->code, "%s", code);
    buf_clear(&w->text);
    add_clean(w, text.p, text.n);
    buf_free(&text);
}

int why_set(struct why *w, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (w != NULL)
        set(w, code, fmt, ap);
    va_end(ap);
    return -1;
}

int why_errno(struct why *w, const char *code, const char *fmt, ...)
{
    char reason[128];
    const char *text = strerror_r(errno, reason, sizeof reason);
    va_list ap;

    va_start(ap, fmt);
    if (w != NULL) {
        set(w, code, fmt, ap);
        add_clean(w, ": ", 2);
        add_clean(w, text, strlen(text));
    }
    va_end(ap);
    return -1;
}

int why_in(struct why *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (w != NULL) {
        struct buf was = BUF_TEXT(w->text.max);
        buf_add(&was, buf_str(&w->text));
        char code[sizeof w->code];
        memcpy(code, w->code, sizeof code);
        set(w, code, fmt, ap);
        add_clean(w, ": ", 2);
        add_clean(w, was.p, was.n);
        buf_free(&was);
    }
    va_end(ap);
    return -1;
}

bool why_later(const struct why *w)
{
    return w->code[0] == '4';
}

const char *why_text(const struct why *w)
{
    return w->text.p;
}

void why_copy(struct why *to, const struct why *from)
{
    if (to == NULL)
        return;
    memcpy(to->code, from->code, sizeof to->code);
    buf_set(&to->text, buf_str(&from->text));
}

void why_clear(struct why *w)
{
    if (w == NULL)
        return;
    w->code[0] = 0;
    buf_clear(&w->text);
}

void why_free(struct why *w)
{
    if (w == NULL)
        return;
    w->code[0] = 0;
    buf_free(&w->text);
}
