/*
 * smtpd_command_filter: a table that turns a client's command into another one.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/dict.h"

#include "smtpd.h"

static struct {
    struct dict *table; /* null: there is none */
} filter;

void smtpd_open_command_filter(void)
{
    struct why why = WHY;

    if (conf.smtpd_command_filter[0] != 0) {
        filter.table = dict_open(conf.smtpd_command_filter, DICT_READ, DICT_MAY_FAIL, &why);
        if (filter.table == NULL)
            conf_fault("smtpd_command_filter", "%s", why_text(&why));
    }
    why_free(&why);
}

bool smtpd_filter_command(struct smtpd *s)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = DICT_NONE;

    if (filter.table == NULL)
        return true;
    if (buf_ok(&s->line) && str_find(buf_str(&s->line), 0) < 0)
        answer = dict_find(filter.table, str_trim(buf_str(&s->line)).p, &value, &why);
    if (answer == DICT_FOUND && value.n > (size_t)conf.line_length_limit)
        answer = why_set(&why, "4.3.5", "the new command is too long") < 0 ? DICT_FAILED : answer;
    if (answer == DICT_FOUND) {
        msg_info("%s: replacing command \"%.100s\" with \"%.100s\"", s->namaddr, s->line.p,
                 value.p);
        buf_set(&s->line, buf_str(&value));
    } else if (answer == DICT_FAILED) {
        msg_warn_each("%s lookup error for \"%.100s\": %s", conf.smtpd_command_filter, s->line.p,
                      why_text(&why));
        smtpd_data_error(s);
    }
    buf_free(&value);
    why_free(&why);
    return answer != DICT_FAILED;
}
