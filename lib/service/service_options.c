/*
 * The command line of a daemon.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "service/service_process.h"

static void __attribute__((noreturn)) usage(const struct process *p)
{
    msg_fatal(
        "usage: %s [-c DIR] [-n NAME] [-o NAME=VALUE] [-t TYPE] [-l ADDRESS] [-v] [-u] [-z] [-T]",
        p->program);
}

/* "name = value" of -o { name = value } and "name=value" are the same. */
static const char * override(const struct process *p, const char *text)
{
    struct str all = strz(text);
    ptrdiff_t equals = str_find(all, '=');
    struct buf out = BUF(64 * 1024);

    if (equals <= 0)
        msg_fatal("%s: -o %s: name=value is wanted", p->program, text);
    buf_add(&out, str_trim(str_upto(all, (size_t)equals)));
    buf_addc(&out, '=');
    buf_add(&out, str_trim(str_from(all, (size_t)equals + 1)));
    if (!buf_ok(&out))
        msg_fatal("%s: -o %.100s...: the value is too long", p->program, text);
    return buf_take(&out);
}

static enum conf_service_type type_of(const struct process *p, const char *text)
{
    for (enum conf_service_type t = SERVICE_INET; t <= SERVICE_UNIX_DGRAM; t++)
        if (strcmp(text, conf_service_type_name(t)) == 0)
            return t;
    msg_fatal("%s: -t %s: no such type of service", p->program, text);
}

static int number(const struct process *p, int option, const char *text)
{
    int64_t n;
    if (!num_parse(strz(text), 0, 1000000, &n))
        msg_fatal("%s: -%c %s: a number is wanted", p->program, option, text);
    return (int)n;
}

static int64_t id_number(const struct process *p, int option, const char *text)
{
    int64_t n;
    if (!num_parse(strz(text), 1, UINT32_MAX - 1, &n))
        msg_fatal("%s: -%c %s: a user or group number is wanted", p->program, option, text);
    return n;
}

static void service_options_take(struct process *p, int option)
{
    switch (option) {
    case 'c':
        p->conf_dir = optarg;
        break;
    case 'n':
        p->name = optarg;
        break;
    case 'o':
        *VEC_ADD(&p->overrides) = override(p, optarg);
        break;
    case 't':
        p->type = type_of(p, optarg);
        break;
    case 'l':
        *VEC_ADD(&p->listen_at) = optarg;
        break;
    case 's':
        p->inherited = number(p, option, optarg);
        p->spawned = true;
        break;
    case 'k':
        p->metrics_page = number(p, option, optarg);
        break;
    case 'i':
        p->clients_part = number(p, option, optarg);
        break;
    case 'm':
        p->limit = number(p, option, optarg);
        break;
    case 'q':
        p->datagrams_kept = number(p, option, optarg);
        break;
    case 'v':
        p->debug = true;
        break;
    case 'C':
        p->chroot = true;
        break;
    case 'u':
        p->chroot = false;
        break;
    case 'U':
        p->unprivileged = true;
        break;
    case 'G':
        p->group_base = (unsigned)id_number(p, option, optarg);
        break;
    case 'N':
        p->network_uid = (unsigned)id_number(p, option, optarg);
        break;
    case 'f':
        p->snapshot = true;
        break;
    case 'T':
        p->only_try = true;
        break;
    case 'z':
        p->free_of_jail = true;
        break;
    default:
        usage(p);
    }
}

void service_options(struct process *p, int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    int option;

    p->program = slash != NULL ? slash + 1 : argv[0];
    p->name = p->service->name;
    p->type = SERVICE_UNIX;
    p->metrics_page = p->clients_part = -1;
    msg_open(p->program);
    while ((option = getopt(argc, argv, "+c:n:o:t:l:s:k:i:m:q:G:N:vfTCuUz")) != -1)
        service_options_take(p, option);
    *VEC_ADD(&p->overrides) = NULL;
    p->argc = argc - optind;
    p->argv = argv + optind;
}
