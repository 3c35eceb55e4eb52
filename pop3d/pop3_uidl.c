/*
 * Unique ids of messages, in the form that the server before us gave them, so that clients download
 * nothing again: %u uid, %v uidvalidity, %f the file's name; in front of u and v a width and X for
 * hex, which is in small letters: Dovecot's pop3_uidl_format.
 */
#include "base/str.h"

#include "pop3.h"

struct item {
    char letter;
    int width;
    bool zeros, hex;
};

/* Behind a '%'. Moves *p to the last character of the item. */
static bool take_item(const char **p, struct item *it)
{
    *it = (struct item){.zeros = **p == '0'};
    while (**p >= '0' && **p <= '9' && it->width < 100)
        it->width = it->width * 10 + (*(*p)++ - '0');
    if (**p == 'X') {
        it->hex = true;
        ++*p;
    }
    it->letter = **p;
    return (it->letter != '\0' && strchr("uvf%", it->letter) != NULL) && it->width <= 20;
}

bool pop3_uidl_valid(const char *format)
{
    struct item it;

    for (const char *p = format; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return false;
        if (*p == '%') {
            p++;
            if (!take_item(&p, &it))
                return false;
        }
    }
    return *format != '\0';
}

static void put_number(struct buf *out, const struct item *it, uint32_t n)
{
    if (it->hex)
        buf_addf(out, it->zeros ? "%0*x" : "%*x", it->width, n);
    else
        buf_addf(out, it->zeros ? "%0*u" : "%*u", it->width, n);
}

void pop3_uidl(const char *format, uint32_t uid, uint32_t uidvalidity, struct str guid,
               struct buf *out)
{
    struct item it;

    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            buf_addc(out, *p);
            continue;
        }
        p++;
        if (!take_item(&p, &it))
            return;
        if (it.letter == 'u')
            put_number(out, &it, uid);
        else if (it.letter == 'v')
            put_number(out, &it, uidvalidity);
        else if (it.letter == 'f')
            buf_add(out, guid);
        else
            buf_addc(out, '%');
    }
}
