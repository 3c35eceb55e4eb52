#include "queue/report_words.h"

#include <string.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"

enum { FILE_MAX = 1 << 20, NUMBER_MAX = 24 };

int report_words_load(const char *path, struct arena *mem, struct dsn_words words[DSN_REPORT_KINDS],
                      struct why *why)
{
    struct buf file = BUF(FILE_MAX);
    int result = 0;

    dsn_words_builtin(words);
    if (*path != 0)
        result =
            file_read(path, &file, why) < 0 ? -1 : dsn_words_parse(mem, buf_str(&file), words, why);
    if (result < 0)
        why_in(why, "bounce_template_file = %s", path);
    buf_free(&file);
    return result;
}

/* "delay_warning_time_hours": the number, in text. */
static bool in_units(struct str name, char text[NUMBER_MAX])
{
    static const struct {
        const char *suffix;
        int64_t seconds;
    } units[] = {
        {"_seconds", 1}, {"_minutes", 60}, {"_hours", 3600}, {"_days", 86400}, {"_weeks", 604800}};
    static const struct {
        const char *name;
        const int64_t *value;
    } times[] = {{"delay_warning_time", &conf.delay_warning_time},
                 {"maximal_queue_lifetime", &conf.maximal_queue_lifetime},
                 {"bounce_queue_lifetime", &conf.bounce_queue_lifetime}};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (size_t u = 0; u < sizeof units / sizeof *units; u++)
            if (str_starts(name, strz(times[i].name)) &&
                str_eqz(str_from(name, strlen(times[i].name)), units[u].suffix)) {
                snprintf(text, NUMBER_MAX, "%lld", (long long)(*times[i].value / units[u].seconds));
                return true;
            }
    return false;
}

static const char *report_words_find(struct str name, void *arg)
{
    return in_units(name, arg) ? arg : conf_find_raw(name, NULL);
}

void report_words_expand(const char *text, struct buf *out)
{
    char number[NUMBER_MAX];
    struct why why = WHY;
    size_t before = out->n;

    if (conf_expand_text(strz(text), EXPAND_RECURSE, report_words_find, number, out, &why) < 0) {
        msg_warn("words of a delivery report: %s", why_text(&why));
        buf_cut(out, before);
        buf_addz(out, text);
    }
    why_free(&why);
}

void report_double_bounce(const char *host, struct buf *out)
{
    buf_addz(out, conf.double_bounce_sender);
    if (strchr(conf.double_bounce_sender, '@') == NULL)
        buf_addf(out, "@%s", host);
}
