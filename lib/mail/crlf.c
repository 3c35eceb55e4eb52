/*
 * Line ends, LF to CR LF and back. memchr(3) finds the line ends, so that long runs are copied
 * whole.
 */
#include "mail/crlf.h"

#include <string.h>

void crlf_add(struct buf *out, struct str bytes, bool *cr)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;

    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf != NULL ? lf : end) - p);
        char *to = buf_room(out, n + 2);
        if (to == NULL)
            return;
        memcpy(to, p, n);
        if (n > 0)
            *cr = p[n - 1] == '\r';
        if (lf == NULL) {
            buf_grown(out, n);
            return;
        }
        if (!*cr)
            to[n++] = '\r';
        to[n++] = '\n';
        buf_grown(out, n);
        *cr = false;
        p = lf + 1;
    }
}

void crlf_drop(struct buf *out, struct str bytes, bool *cr)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;

    while (p < end) {
        if (*cr && *p != '\n')
            buf_addc(out, '\r');
        const char *at = memchr(p, '\r', (size_t)(end - p));
        *cr = at != NULL;
        size_t n = (size_t)((at != NULL ? at : end) - p);
        buf_add(out, (struct str){p, n});
        p += n + (at != NULL);
    }
}

uint64_t crlf_bare(struct str bytes, bool *cr)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;
    uint64_t bare = 0;

    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        const char *stop = lf != NULL ? lf : end;
        if (stop > p)
            *cr = stop[-1] == '\r';
        if (lf == NULL)
            break;
        bare += !*cr;
        *cr = false;
        p = lf + 1;
    }
    return bare;
}
