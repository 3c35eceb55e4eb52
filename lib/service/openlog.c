#include "service/openlog.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static int open_postlogd(const char *directory)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/%s/%s", conf.queue_directory, directory,
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

int service_open_postlogd(void)
{
    return open_postlogd("private");
}

bool service_stderr_to_postlogd(void)
{
    struct timeval patience = {.tv_sec = 1};
    int fd = service_open_postlogd();

    if (fd < 0)
        return false;
    /* It blocks, for sanitizers write long texts at once; but not for ever. */
    fcntl(fd, F_SETFL, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    dup2(fd, STDERR_FILENO);
    close(fd);
    return true;
}

static void use_file(const char *path, bool warns)
{
    int fd = open_file(path);

    if (fd >= 0)
        msg_to_fd(fd);
    else if (warns)
        msg_warn("open log file %s: %m", path);
}

static bool use_postlogd(const char *directory)
{
    int fd = open_postlogd(directory);

    if (fd < 0)
        return false;
    shutdown(fd, SHUT_RD);
    msg_to_postlogd(fd);
    return true;
}

static void use_maillog(enum log_use use)
{
    const char *path = conf.maillog_file;

    if (strcmp(path, "/dev/stdout") == 0)
        msg_to_fd(STDOUT_FILENO);
    else if (use == LOG_WRITES)
        use_file(path, true);
    else if (use == LOG_TOOL && !use_postlogd("public"))
        use_file(path, false);
    else if (use == LOG_SENDS && use_postlogd("private"))
        service_stderr_to_postlogd();
    else if (use == LOG_SENDS)
        msg_warn("%s/private/%s: %m: nothing will be logged in %s", conf.queue_directory,
                 conf.postlog_service_name, path);
}

void service_take_syslog(int fd)
{
    int old = msg_fd();

    if (conf.maillog_file[0] != 0) {
        close(fd);
        return;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        msg_fatal("socket of the log %d: %m", fd);
    msg_to_syslog_by(fd);
    if (old > STDERR_FILENO)
        close(old);
}

void service_open_log(const char *program, enum log_use use, bool also_stderr)
{
    struct buf name = BUF_TEXT(200);
    int old = msg_fd();
    bool away = false;

    buf_addf(&name, "%s/%s", conf.syslog_name, program);
    msg_open(name.p);
    buf_free(&name);
    msg_debug_topics(conf.debug_topics);
    msg_facility(conf.syslog_facility);
    msg_utf8(conf.smtputf8_enable);
    msg_wait((int)conf.maillog_send_timeout * 1000);
    if (conf.maillog_file[0] != 0)
        use_maillog(use);
    else
        away = !msg_to_syslog();
    if (old > STDERR_FILENO && old != msg_fd())
        close(old); /* a reload after the log file was renamed */
    msg_to_stderr(also_stderr || away || msg_fd() < 0);
}
