/* The cache file: any bytes behind a good head, with sums that are right unless the first byte says
 * otherwise; what is found lies inside the file. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/cache.h"
#include "store/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record begins with its size, the sum of what follows, and a uid. */
static void mend(char *p, size_t left)
{
    while (left >= 40) {
        uint32_t size, sum;
        memcpy(&size, p, sizeof size);
        size = size % 1024 < 40 ? 40 : size % 1024 & ~7u;
        size = size > left ? (uint32_t)left & ~7u : size;
        memcpy(p, &size, sizeof size);
        p[8] = (char)(1 + (p[8] & 3));
        memset(p + 9, 0, 3);
        sum = journal_sum(p + 8, size - 8, size);
        memcpy(p + 4, &sum, sizeof sum);
        p += size;
        left -= size;
    }
}

static bool keep_odd(const void *arg, uint32_t uid)
{
    (void)arg;
    return uid % 2 == 1;
}

static uint32_t read_all(struct cache *c, size_t size)
{
    struct cache_entry e;
    uint32_t sum = 0;

    for (uint32_t uid = 1; uid < 5; uid++) {
        if (!cache_find(c, uid, &e))
            continue;
        assert(e.envelope.n + e.structure.n + e.fields.n <= size);
        sum ^= journal_sum(e.envelope.p, e.envelope.n, 0) ^
               journal_sum(e.structure.p, e.structure.n, 0);
        if (e.fields.p != NULL)
            sum ^= journal_sum(e.fields.p, e.fields.n, 0);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[16] = "pombalC1\x04\x03\x02\x01\x07";
    char dir[] = "/tmp/pombal-fuzz.XXXXXX", *bytes = mem_dup((const char *)data, size);
    struct cache c;

    if (size > 0 && data[0] % 8 != 0)
        mend(bytes, size);
    if (mkdtemp(dir) == NULL)
        return 0;
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    int fd = openat(at, "pombal.cache", O_RDWR | O_CREAT, 0600);
    bool written =
        write(fd, head, sizeof head) == sizeof head && write(fd, bytes, size) == (ssize_t)size;
    close(fd);
    cache_init(&c, at, 7);
    if (written)
        read_all(&c, size);
    cache_append(&c, STR("12345678"));
    cache_trim(&c, keep_odd, NULL);
    read_all(&c, size + 8);
    cache_close(&c);
    unlinkat(at, "pombal.cache", 0);
    close(at);
    rmdir(dir);
    free(bytes);
    return 0;
}
