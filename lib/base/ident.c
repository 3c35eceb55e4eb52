#include "base/ident.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/random.h"

enum { HOST_MAX = 100 };

void ident_maildir(struct buf *out, const char *hostname)
{
    static unsigned count; /* a sequence, not a result: tasks share it safely */
    int64_t now = clock_wall_us();

    buf_addf(out, "%" PRId64 ".M%06" PRId64 "P%dQ%u.", now / 1000000, now % 1000000, (int)getpid(),
             ++count);
    size_t end = out->n + HOST_MAX;
    for (const char *p = hostname; *p != 0 && out->n < end;
         p++) /* the Maildir rules: no slash, no colon in a host name */
        if (*p == '/')
            buf_addz(out, "\\057");
        else if (*p == ':')
            buf_addz(out, "\\072");
        else
            buf_addc(out, *p);
}

void ident_guid(struct buf *out)
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof bytes);
    encode_hex(out, (struct str){(const char *)bytes, sizeof bytes});
}
