/*
 * NAME
 *   postlog - writes lines to the mail log
 *
 * SYNOPSIS
 *   postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]
 *
 * DESCRIPTION
 *   Logs the text, or each line of standard input. For scripts.
 *
 *   -i            accepted; the process id is always logged
 *   -p priority   info (the default), warn, error, fatal or panic
 *   -t tag        the name in the log, in place of "postlog"
 *   -v            debug lines
 *
 *   Exit status 0; 1 after fatal and panic, which log but do not abort.
 */
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/openlog.h"

#include "tool_conf.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

static void log_warn(const char *text)
{
    msg_warn("%s", text);
}
static void log_info(const char *text)
{
    msg_info("%s", text);
}
static void log_error(const char *text)
{
    msg_error("%s", text);
}
static void log_fatal(const char *text)
{
    msg_info("fatal: %s", text); /* the process goes on */
}
static void log_panic(const char *text)
{
    msg_info("panic: %s", text);
}

static const struct priority {
    const char *name;
    void (*log)(const char *text);
} priorities[] = {
    {"info", log_info},   {"warn", log_warn},   {"warning", log_warn},
    {"error", log_error}, {"fatal", log_fatal}, {"panic", log_panic},
};

static const struct priority *postlog_find(const char *name)
{
    for (size_t i = 0; i < sizeof priorities / sizeof *priorities; i++)
        if (strcmp(priorities[i].name, name) == 0)
            return &priorities[i];
    msg_fatal("unknown priority: %s", name);
}

static void log_arguments(const struct priority *p, char **words)
{
    struct buf text = BUF_TEXT(LINE_MAX_BYTES);

    for (; *words != NULL; words++)
        buf_addf(&text, "%s%s", text.n > 0 ? " " : "", *words);
    p->log(text.p);
    buf_free(&text);
}

static void log_input(const struct priority *p)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stdin)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = 0;
        p->log(line);
    }
    free(line);
}

int main(int argc, char **argv)
{
    const char *dir = NULL, *tag = NULL;
    const struct priority *p = &priorities[0];
    struct why why = WHY;
    bool debug = false;
    int option;

    msg_open("postlog");
    while ((option = getopt(argc, argv, "c:ip:t:v")) != -1)
        switch (option) {
        case 'c':
            dir = optarg;
            break;
        case 'i':
            break;
        case 'p':
            p = postlog_find(optarg);
            break;
        case 't':
            tag = optarg;
            break;
        case 'v':
            debug = true;
            break;
        default:
            msg_fatal("usage: postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]");
        }
    if (tool_conf_load(dir, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    service_open_log("postlog", LOG_TOOL, true);
    msg_to_stderr(isatty(STDERR_FILENO));
    if (tag != NULL)
        msg_open(tag);
    if (debug)
        msg_debug_topics("all");
    if (optind < argc)
        log_arguments(p, argv + optind);
    else
        log_input(p);
    return 0;
}
