/*
 * NAME
 *   postkick - wakes a service
 *
 * SYNOPSIS
 *   postkick [-c config_dir] [-v] class service request
 *
 * DESCRIPTION
 *   Sends each character of request to the socket or fifo of the service: "postkick public qmgr ID"
 *   has the queue manager look into the incoming and the deferred queue. class is public or
 *   private. ipc/proto.h lists the letters. Exit status 0: sent; 1: nobody is there.
 */
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/trigger.h"
#include "service/openlog.h"

static void __attribute__((noreturn)) usage(void)
{
    msg_fatal("usage: postkick [-c config_dir] [-v] class service request");
}

int main(int argc, char **argv)
{
    const char *dir = NULL;
    struct why why = WHY;
    struct buf path = BUF(1000); /* fits: or is left out whole, and "" names no socket */
    int option;

    msg_open("postkick");
    while ((option = getopt(argc, argv, "c:v")) != -1) {
        if (option == 'c')
            dir = optarg;
        else if (option != 'v')
            usage();
    }
    if (optind != argc - 3)
        usage();
    if (conf_load(dir, NULL, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    service_open_log("postkick", LOG_TOOL, true);
    if (chdir(conf.queue_directory) < 0)
        msg_fatal("chdir %s: %m", conf.queue_directory);
    buf_addf(&path, "%s/%s", argv[optind], argv[optind + 1]);
    for (const char *c = argv[optind + 2]; *c != 0; c++)
        if (trigger_send(path.p, *c, &why) < 0)
            msg_fatal("%s", why_text(&why));
    buf_free(&path);
    return 0;
}
