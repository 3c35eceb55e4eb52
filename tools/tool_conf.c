#include "tool_conf.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

/* Has the process rights that its user has not? */
static bool has_more_rights(void)
{
    return getegid() != getgid() || geteuid() != getuid();
}

static int check_directory(const char *dir, struct why *why)
{
    if (conf_load(NULL, NULL, NULL, why) < 0)
        return -1;
    const char *instances = conf_find("multi_instance_directories");
    if (strcmp(dir, conf_dir()) == 0 || str_listed(conf.alternate_config_directories, dir) ||
        (instances != NULL && str_listed(instances, dir)))
        return 0;
    msg_error("unauthorized configuration directory name: %s", dir);
    return why_set(why, "5.7.0",
                   "specify \"alternate_config_directories = %s\" or \"multi_instance_directories "
                   "= %s\" in %s/main.cf",
                   dir, dir, conf_dir());
}

int tool_conf_load(const char *dir, const char *service, struct why *why)
{
    const char *wanted = dir != NULL ? dir : getenv("MAIL_CONFIG");

    if (!has_more_rights())
        return conf_load(dir, service, NULL, why);
    char *copy = wanted != NULL ? mem_dupz(wanted) : NULL;
    unsetenv("MAIL_CONFIG");
    int result = copy != NULL && getuid() != 0 ? check_directory(copy, why) : 0;
    if (result == 0)
        result = conf_load(copy, service, NULL, why);
    if (result == 0)
        conf_clean_environment();
    free(copy);
    return result;
}

bool tool_is_administrator(void)
{
    const struct passwd *owner = getpwnam(conf.mail_owner);
    uid_t uid = getuid();

    return uid == 0 || (owner != NULL && uid == owner->pw_uid);
}
