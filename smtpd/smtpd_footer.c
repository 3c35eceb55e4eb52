/*
 * What the administrator makes of a refusal before the client reads it: another reply
 * (smtpd_reject_filter_maps), and a text behind it (smtpd_reject_footer). The log has what the
 * server itself said.
 */
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"
#include "dict/maps.h"
#include "mail/esmtp_reply.h"

#include "smtpd.h"
#include "smtpd_filter.h"

enum { FOOTER_MOST = 4096 };

static struct {
    struct maps *filter, *footer; /* null: none */
} refusals;

/* The attributes that a footer may name. */
struct footer {
    const struct smtpd *s; /* null: only looking whether the names are right */
    char time[SMTPD_FOOTER_TIME];
    char unknown[60]; /* a name that there is not */
};

static const char *find_attribute(struct str name, void *arg)
{
    struct footer *f = arg;

    if (str_eqz(name, "client_address"))
        return f->s != NULL ? f->s->peer.addr_text : "";
    if (str_eqz(name, "client_port"))
        return f->s != NULL ? f->s->port : "";
    if (str_eqz(name, "localtime"))
        return f->time;
    if (str_eqz(name, "server_name"))
        return conf.myhostname;
    snprintf(f->unknown, sizeof f->unknown, "%.*s", (int)name.n, name.p);
    return NULL;
}

/* "\n" is a line end. */
static void add_lines(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == 'n') {
            buf_addc(out, '\n');
            i++;
        } else {
            buf_addc(out, text.p[i]);
        }
}

/* -1: why says what is wrong with the template. */
static int expand_footer(const struct smtpd *s, const char *template, struct buf *out,
                         struct why *why)
{
    struct footer f = {.s = s};
    struct buf text = BUF(FOOTER_MOST); /* asked: by conf_expand_text */

    smtpd_filter_time(f.time);
    int result = conf_expand_text(strz(template), 0, find_attribute, &f, &text, why);
    if (result == 0 && f.unknown[0] != 0)
        result = why_set(why, "4.3.5",
                         "there is no $%s: client_address, client_port, localtime, server_name",
                         f.unknown);
    if (result == 0) {
        bool same_line = str_starts(buf_str(&text), STR("\\c"));
        if (!same_line)
            buf_addc(out, '\n');
        add_lines(str_from(buf_str(&text), same_line ? 2 : 0), out);
    }
    buf_free(&text);
    return result;
}

static struct maps *open_maps(const char *parameter, const char *specs)
{
    return *specs == 0 ? NULL : maps_open(parameter, specs, DICT_MAY_FAIL);
}

void smtpd_open_footer(void)
{
    struct buf unused = BUF(2 * FOOTER_MOST); /* fits: or expand_footer fails */
    struct why why = WHY;

    refusals.filter = open_maps("smtpd_reject_filter_maps", conf.smtpd_reject_filter_maps);
    refusals.footer = open_maps("smtpd_reject_footer_maps", conf.smtpd_reject_footer_maps);
    if (expand_footer(NULL, conf.smtpd_reject_footer, &unused, &why) < 0)
        conf_fault("smtpd_reject_footer", "%s", why_text(&why));
    buf_free(&unused);
    why_free(&why);
}

/* (waits) The whole reply is looked up. False: the table says nothing of it. */
static bool find_reply(struct maps *maps, int code, const char *dsn, const struct buf *text,
                       struct buf *value)
{
    struct buf key = BUF(SMTPD_REPLY_LIMIT + 20);
    struct why why = WHY;
    bool found = false;

    if (maps == NULL)
        return false;
    buf_addf(&key, "%d %s%s", code, dsn, dsn[0] != 0 ? " " : "");
    buf_add(&key, buf_str(text));
    if (buf_ok(&key)) {
        enum dict_answer answer = maps_find(maps, key.p, value, &why);
        found = answer == DICT_FOUND;
        if (answer == DICT_FAILED)
            msg_warn("%s", why_text(&why));
    }
    buf_free(&key);
    why_free(&why);
    return found;
}

/* "550 5.7.1 text" in the place of what would be said. */
static void replace(int *code, char dsn[10], struct buf *text, struct str with)
{
    struct esmtp_reply r = ESMTP_REPLY(SMTPD_REPLY_LIMIT);

    if (esmtp_reply_line(&r, str_trim(with)) == ESMTP_DONE && r.code >= 400 && r.code < 600) {
        *code = r.code;
        snprintf(dsn, 10, "%s", r.dsn);
        buf_set(text, buf_str(&r.text));
    } else {
        msg_warn("smtpd_reject_filter_maps: \"%.*s\" is no reply of 4yz or 5yz: ignored",
                 (int)(with.n < 100 ? with.n : 100), with.p);
    }
    esmtp_reply_free(&r);
}

void smtpd_edit_refusal(const struct smtpd *s, int *code, char dsn[10], struct buf *text)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    const char *template = conf.smtpd_reject_footer;

    if (find_reply(refusals.filter, *code, dsn, text, &value) && buf_ok(&value))
        replace(code, dsn, text, buf_str(&value));
    buf_clear(&value);
    if (find_reply(refusals.footer, *code, dsn, text, &value) && buf_ok(&value))
        template = value.p;
    if (*template != 0 && expand_footer(s, template, text, &why) < 0)
        msg_warn("smtpd_reject_footer: %s", why_text(&why));
    buf_free(&value);
    why_free(&why);
}
