/*
 * Restrictions that look at the certificate which the client has shown (smtpd_tls_ask_ccert).
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "net/tls.h"

#include "smtpd_check.h"

static struct maps *relay_clientcerts;

void smtpd_open_certs(void)
{
    relay_clientcerts =
        maps_open("relay_clientcerts", conf.relay_clientcerts, DICT_FOLD | DICT_MAY_FAIL);
}

static const struct tls_info *shown(const struct check *k)
{
    const struct tls_info *tls = k->s->tls;

    return tls != NULL && tls->has_cert ? tls : NULL;
}

/* Who has made the certificate does not matter: its fingerprint is what is known. */
static enum dict_answer find_print(struct maps *m, const struct tls_info *tls,
                                   enum cert_print which, struct buf *value, struct why *why)
{
    const char *print = which == PRINT_OF_CERT ? tls->cert_fingerprint : tls->key_fingerprint;

    return print[0] == 0 ? DICT_NONE : maps_find(m, print, value, why);
}

enum verdict check_permit_tls_clientcerts(struct check *k, const struct restriction *r)
{
    const struct tls_info *tls = shown(k);
    struct buf value = BUF(DICT_VALUE_LIMIT); /* asked: by maps_find */
    struct why why = WHY;
    enum dict_answer answer = DICT_NONE;

    (void)r;
    if (tls != NULL)
        answer = find_print(relay_clientcerts, tls, PRINT_OF_CERT, &value, &why);
    if (tls != NULL && answer == DICT_NONE)
        answer = find_print(relay_clientcerts, tls, PRINT_OF_KEY, &value, &why);
    enum verdict v = answer == DICT_FAILED  ? check_failed(k, k->s->namaddr, &why)
                     : answer == DICT_FOUND ? VERDICT_PERMIT
                                            : VERDICT_DUNNO;
    buf_free(&value);
    why_free(&why);
    return v;
}

/* Those of relay_clientcerts, too, as in Postfix. */
enum verdict check_permit_tls_all_clientcerts(struct check *k, const struct restriction *r)
{
    const struct tls_info *tls = shown(k);

    return tls != NULL && tls->trusted ? VERDICT_PERMIT : check_permit_tls_clientcerts(k, r);
}

static enum verdict print_access(struct check *k, const struct restriction *r,
                                 const struct tls_info *tls, enum cert_print which)
{
    struct buf value = BUF(DICT_VALUE_LIMIT); /* asked: by maps_find */
    struct why why = WHY;
    enum dict_answer answer = find_print(r->table, tls, which, &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, tls->cert_name, "Client certificate", &why);

    buf_free(&value);
    why_free(&why);
    return v;
}

/* As in Postfix: DUNNO of the first leaves it to the second. */
static enum verdict check_ccert_access(struct check *k, const struct restriction *r)
{
    const struct tls_info *tls = shown(k);
    enum verdict v = VERDICT_DUNNO;

    for (size_t i = 0; tls != NULL && v == VERDICT_DUNNO && i < PRINTS && r->prints[i] != 0; i++)
        v = print_access(k, r, tls, r->prints[i]);
    return v;
}

/* "search_order = pubkey_fingerprint, cert_fingerprint" */
static int read_order(struct restriction *r, struct str setting, struct why *why)
{
    size_t n = 0;
    struct str word;

    str_unbrace(&setting);
    ptrdiff_t is = str_find(setting, '=');
    if (is < 0 || !str_eqz(str_trim(str_upto(setting, (size_t)is)), "search_order"))
        return why_set(why, "4.3.5",
                       "wants { type:table, { search_order = cert_fingerprint, "
                       "pubkey_fingerprint } }");
    struct str rest = str_from(setting, (size_t)is + 1);
    r->prints[0] = r->prints[1] = 0;
    while (str_word(&rest, ", \t\r\n", &word)) {
        bool cert = str_eqz(word, "cert_fingerprint");
        if ((!cert && !str_eqz(word, "pubkey_fingerprint")) || n == PRINTS)
            return why_set(why, "4.3.5",
                           "search_order: wants cert_fingerprint, pubkey_fingerprint or both, "
                           "and not \"%.*s\"",
                           (int)word.n, word.p);
        r->prints[n++] = cert ? PRINT_OF_CERT : PRINT_OF_KEY;
    }
    return n > 0 ? 0 : why_set(why, "4.3.5", "search_order is empty");
}

int smtpd_read_ccert(struct restriction *r, struct str *table, struct why *why)
{
    struct str rest = strz(r->arg), word;
    bool braces = str_unbrace(&rest);

    r->prints[0] = PRINT_OF_CERT;
    r->prints[1] = PRINT_OF_KEY;
    *table = rest;
    if (!braces)
        return 0;
    if (!str_word_braces(&rest, ", \t\r\n", table))
        return why_set(why, "4.3.5", "wants a table behind it");
    while (str_word_braces(&rest, ", \t\r\n", &word))
        if (read_order(r, word, why) < 0)
            return -1;
    return 0;
}

const struct restriction_def smtpd_cert_restrictions[] = {
    {"check_ccert_access", check_ccert_access, RESTRICTION_CCERT},
    {"permit_tls_all_clientcerts", check_permit_tls_all_clientcerts},
    {"permit_tls_clientcerts", check_permit_tls_clientcerts},
    {.name = NULL},
};
