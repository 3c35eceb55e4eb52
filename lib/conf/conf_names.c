/*
 * Values that are computed: the names of this host, its networks, the domain of local mail.
 */
#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_host.h"
#include "conf/conf_inside.h"

enum { ORIGIN_FILE_MAX = 64 * 1024, NETWORKS_MAX = 100000 };

/* myhostname and mydomain each give the other its default. */
int conf_compute_names(struct why *why)
{
    struct arena *mem = conf_memory();
    /* fits: the kernel gives 64 bytes at most */
    struct buf host = BUF(300);

    conf_host_name(&host);
    const char *dot = strchr(host.p, '.');
    const char *domain = dot == NULL ? "localdomain" : arena_strz(mem, strz(dot + 1));
    conf_set_default("mydomain", domain);
    const char *full = dot != NULL ? arena_strz(mem, buf_str(&host))
                                   : conf_expanded(arena_printf(mem, "%s.$mydomain", host.p), why);
    buf_free(&host);
    conf_set_default("myhostname", full == NULL ? "" : full);
    const char *name = full == NULL ? NULL : conf_expanded("$myhostname", why);
    if (name == NULL)
        return why_in(why, "%s/main.cf: myhostname", conf_dir());
    dot = strchr(name, '.');
    conf_set_default("mydomain", conf_is_set("myhostname") && dot != NULL ? dot + 1 : domain);
    return 0;
}

int conf_compute_networks(struct why *why)
{
    struct buf networks = BUF(NETWORKS_MAX);

    if (conf_is_set("mynetworks"))
        return 0;
    const char *style = conf_expanded("$mynetworks_style", why);
    const char *protocols = conf_expanded("$inet_protocols", why);
    if (style == NULL || protocols == NULL)
        return why_in(why, "%s/main.cf: mynetworks", conf_dir());
    bool all = str_listed(protocols, "all");
    conf_host_networks(style, all || str_listed(protocols, "ipv4"),
                       all || str_listed(protocols, "ipv6"), &networks);
    bool fits = buf_ok(&networks);
    if (fits)
        conf_set_default("mynetworks", arena_strz(conf_memory(), buf_str(&networks)));
    buf_free(&networks);
    return fits ? 0
                : why_set(why, "4.3.5",
                          "mynetworks: this host has more networks than fit; set mynetworks");
}

/* The first line, without the blanks around it. */
static int first_line(const char *path, const char **line, struct why *why)
{
    struct buf text = BUF(ORIGIN_FILE_MAX);
    struct str rest, first = STR("");

    if (file_read(path, &text, why) < 0) {
        buf_free(&text);
        return -1;
    }
    rest = buf_str(&text);
    str_split(&rest, '\n', &first);
    *line = arena_strz(conf_memory(), str_trim(first));
    buf_free(&text);
    return **line != '\0' ? 0 : why_set(why, "4.3.5", "the first line of the file is empty");
}

int conf_read_origin(struct why *why)
{
    const char *path = conf_expanded(conf_find_raw(STR("myorigin"), NULL), why), *line;

    if (path == NULL || (path[0] == '/' && first_line(path, &line, why) < 0))
        return conf_blame("myorigin", why);
    if (path[0] == '/')
        conf_replace("myorigin", line);
    return 0;
}
