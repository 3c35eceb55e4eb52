/* queue_test.h - for tests of lib/queue: an empty queue of their own is the working directory */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qdir.h"

#include "test.h"

static char dir[] = "/tmp/pombal-queue-XXXXXX";

static int enter_queue(void **state)
{
    (void)state;
    conf.hash_queue_names = "deferred, defer";
    conf.hash_queue_depth = 2;
    if (mkdtemp(dir) == NULL || chdir(dir) < 0)
        return -1;
    for (enum queue q = Q_MAILDROP; q < Q_COUNT; q++)
        if (mkdir(queue_name(q), 0700) < 0)
            return -1;
    return 0;
}

static int leave_queue(void **state)
{
    (void)state;
    return chdir("/") < 0 ? -1 : file_remove_all(dir);
}
