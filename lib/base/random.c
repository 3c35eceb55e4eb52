#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/msg.h"

static struct {
    unsigned char bytes[256];
    size_t left;
} pool;

static void random_fill(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            msg_fatal("getrandom: no random bytes");
    }
}

void random_bytes(void *p, size_t n)
{
    if (n > sizeof pool.bytes / 4) {
        random_fill(p, n);
        return;
    }
    if (pool.left < n) {
        random_fill(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    pool.left -= n;
    memcpy(p, pool.bytes + pool.left, n);
    explicit_bzero(pool.bytes + pool.left, n);
}

uint32_t random_below(uint32_t bound)
{
    uint32_t unfair = UINT32_MAX - UINT32_MAX % bound, n;
    do
        random_bytes(&n, sizeof n);
    while (n >= unfair);
    return n % bound;
}

void random_token(struct buf *out, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LETTERS = sizeof letters - 1, FAIR = 256 / LETTERS * LETTERS };

    while (n > 0) {
        unsigned char byte;
        random_bytes(&byte, 1);
        if (byte >= FAIR)
            continue;
        buf_addc(out, letters[byte % LETTERS]);
        n--;
    }
}

void random_after_fork(void)
{
    pool.left = 0;
}
