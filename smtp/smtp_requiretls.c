/*
 * REQUIRETLS: what the sender's wish means for a destination (smtp_requiretls_policy), and whether
 * a server is good enough. RFC 8689
 */
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "mail/idna.h"
#include "service/jail.h"
#include "service/service.h"

#include "smtp.h"

struct item {
    struct maps *table; /* null: level is for all destinations */
    enum smtp_requiretls level;
};
static VEC(struct item) policy;

static const struct {
    const char *name;
    enum smtp_requiretls level;
} levels[] = {
    {"enforce", SMTP_REQUIRETLS_ENFORCE},
    {"opportunistic+starttls", SMTP_REQUIRETLS_STARTTLS},
    {"opportunistic", SMTP_REQUIRETLS_MAY},
    {"disable", SMTP_REQUIRETLS_OFF},
};

static const char *parameter(void)
{
    return smtp_is_lmtp() ? "lmtp_requiretls_policy" : "smtp_requiretls_policy";
}

static bool find_level(struct str word, enum smtp_requiretls *level)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (str_ieqz(word, levels[i].name)) {
            *level = levels[i].level;
            return true;
        }
    return false;
}

static const char not_a_level[] = "enforce, opportunistic+starttls, opportunistic or disable";

/* For check: such a value puts off the mail that it is for. */
static void check_level(void *arg, const char *table, const char *where, const char *value)
{
    enum smtp_requiretls level;

    (void)arg;
    if (!find_level(str_trim(strz(value)), &level))
        conf_fault(parameter(), "%s: %s: \"%s\" is not %s", table, where, value, not_a_level);
}

static void add_item(struct str word)
{
    struct item item = {0};
    struct buf spec = BUF(word.n); /* fits: it */

    buf_add(&spec, word);
    if (str_find(word, ':') >= 0)
        item.table = maps_open(parameter(), spec.p, DICT_FOLD | DICT_MAY_FAIL);
    else if (!find_level(word, &item.level))
        conf_fault(parameter(), "\"%s\" is neither a table nor %s", spec.p, not_a_level);
    if (item.table != NULL && service_trying())
        maps_values(item.table, check_level, NULL);
    *VEC_ADD(&policy) = item;
    buf_free(&spec);
}

void smtp_open_requiretls(void)
{
    struct str rest = strz(conf.smtp_requiretls_policy), word;

    while (str_word_braces(&rest, ", \t\r\n", &word))
        add_item(word);
}

void smtp_requiretls_paths(void)
{
    struct str rest = strz(conf.smtp_requiretls_policy), word;

    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        struct buf spec = BUF(word.n); /* fits: it */
        buf_add(&spec, word);
        if (str_find(word, ':') >= 0)
            jail_read_tables(spec.p);
        buf_free(&spec);
    }
}

/* The first item that says something. Postfix: nothing that fits means enforce. */
static int find_policy(const char *host, enum smtp_requiretls *level, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer a = DICT_NONE;

    *level = SMTP_REQUIRETLS_ENFORCE;
    for (size_t i = 0; i < policy.n && a == DICT_NONE; i++) {
        if (policy.at[i].table != NULL) {
            a = maps_find_host(policy.at[i].table, host, &value, why);
        } else {
            *level = policy.at[i].level;
            break;
        }
    }
    if (a == DICT_FOUND && (!buf_ok(&value) || !find_level(str_trim(buf_str(&value)), level))) {
        why_set(why, "4.7.5", "client TLS configuration problem");
        a = DICT_FAILED;
    }
    buf_free(&value);
    return a == DICT_FAILED ? -1 : 0;
}

bool smtp_asks_requiretls(const struct smtp_job *job)
{
    return conf.requiretls_enable && (job->d->sendopts & SENDOPT_REQUIRETLS) != 0;
}

int smtp_find_requiretls(struct smtp_job *job, const struct smtp_dest *dest, struct why *why)
{
    struct buf host = BUF(4096); /* asked: by idna_to_ascii */
    int result = 0;

    job->requiretls = SMTP_REQUIRETLS_OFF;
    if (smtp_asks_requiretls(job)) {
        bool ascii = idna_to_ascii(strz(dest->host), &host);
        result = find_policy(ascii ? host.p : dest->host, &job->requiretls, why);
    }
    buf_free(&host);
    return result;
}

/* The next server may be better, or one that is out of order for now. When there is neither,
 * waiting makes it no better: RFC 8689 4.2.1. */
static const char *lack(const struct smtp_job *job)
{
    return job->last_server && !job->try_again ? "5.7.30" : SMTP_LACKS_REQUIRETLS;
}

bool smtp_lacks_requiretls(const struct smtp_job *job, const struct smtp_session *s,
                           struct why *why)
{
    const char *what = NULL;

    if (job->requiretls >= SMTP_REQUIRETLS_STARTTLS && !s->tls)
        what = "TLS is not used with";
    else if (job->requiretls == SMTP_REQUIRETLS_ENFORCE && !s->verified)
        what = "there is no verified certificate of";
    else if (job->requiretls == SMTP_REQUIRETLS_ENFORCE && (s->ehlo.ext & ESMTP_REQUIRETLS) == 0)
        what = "it was not offered by";
    if (what == NULL)
        return false;
    why_set(why, lack(job), "REQUIRETLS is required, but %s host %s", what, s->namaddr);
    return true;
}

/* One that has it, but not for now, has said 4yz. */
void smtp_lacks_starttls(const struct smtp_job *job, const struct smtp_session *s, struct why *why)
{
    if (job->requiretls >= SMTP_REQUIRETLS_STARTTLS && s->reply.code / 100 != 4 &&
        strcmp(why->code, "4.7.4") == 0)
        snprintf(why->code, sizeof why->code, "%s", lack(job));
}

bool smtp_says_requiretls(const struct smtp_job *job, const struct smtp_session *s)
{
    return job->requiretls != SMTP_REQUIRETLS_OFF && s->tls &&
           (s->ehlo.ext & ESMTP_REQUIRETLS) != 0;
}
