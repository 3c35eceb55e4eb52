/* A queue file that somebody else wrote: reading its envelope and its records ends, and goes no
 * farther than the file. */
#include <sys/mman.h>
#include <unistd.h>

#include "queue/delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    int fd = memfd_create("queue_file", MFD_CLOEXEC);
    struct arena *mem = arena_new(NULL);
    struct envelope e;
    struct str body;
    off_t from = 0;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct qfile *f = qfile_open_path(path, NULL);
    /* As qmgr reads a long list: some recipients at a time. */
    for (int i = 0; i < 50 && envelope_read(f, from, 3, mem, &e, NULL) == 0; i++)
        if ((from = e.next) == 0)
            break;
    if (qfile_seek(f, 0, NULL) == 0)
        for (int i = 0; i < 1000 && qfile_next(f, &body) >= 0; i++)
            ;
    qfile_close(&f);
    close(fd);
    arena_free(&mem);
    return 0;
}
