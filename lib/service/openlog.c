#include "service/openlog.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

static int open_file(const char *path)
{
    uint32_t mode = 0600;

    if (!num_parse_octal(str_trim(strz(conf.maillog_file_permissions)), 0777, &mode))
        msg_warn("maillog_file_permissions: \"%s\" is not an octal number up to 0777",
                 conf.maillog_file_permissions);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, (mode_t)mode);
}

static int open_postlogd(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/public/%s", conf.queue_directory,
                     conf.postlog_service_name);
    if (n < 0 || (size_t)n >= sizeof to.sun_path)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void use_maillog(const char *path, bool may_relay)
{
    if (strcmp(path, "/dev/stdout") == 0) {
        msg_to_fd(STDOUT_FILENO);
        return;
    }
    int fd = open_file(path);
    if (fd < 0 && may_relay)
        fd = open_postlogd(); /* whole lines; postlogd writes them as they come */
    if (fd >= 0)
        msg_to_fd(fd);
    else if (!may_relay)
        msg_warn("open log file %s: %m", path);
}

void service_open_log(const char *program, bool also_stderr)
{
    struct buf name = BUF(200);
    int old = msg_fd();

    buf_addf(&name, "%s/%s", conf.syslog_name, program);
    msg_open(name.p);
    buf_free(&name);
    msg_debug_topics(conf.debug_topics);
    if (conf.maillog_file[0] != 0)
        use_maillog(conf.maillog_file, also_stderr);
    else
        msg_to_syslog();
    if (old > STDERR_FILENO && old != msg_fd())
        close(old); /* a reload after the log file was renamed */
    msg_to_stderr(also_stderr || msg_fd() < 0);
}
