/* The cache file: any bytes behind a good head; what is found lies inside. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "store/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[16] = "pombalC1\x04\x03\x02\x01\x07";
    char dir[] = "/tmp/pombal-fuzz.XXXXXX";
    struct cache c;
    struct cache_entry e;

    if (mkdtemp(dir) == NULL)
        return 0;
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    int fd = openat(at, "pombal.cache", O_RDWR | O_CREAT, 0600);
    bool written =
        write(fd, head, sizeof head) == sizeof head && write(fd, data, size) == (ssize_t)size;
    close(fd);
    cache_init(&c, at, 7);
    for (uint32_t uid = 1; written && uid < 5; uid++)
        if (cache_find(&c, uid, &e))
            assert(e.envelope.n + e.structure.n + e.fields.n <= size);
    cache_append(&c, STR("12345678"));
    cache_close(&c);
    unlinkat(at, "pombal.cache", 0);
    close(at);
    rmdir(dir);
    return 0;
}
