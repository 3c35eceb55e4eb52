#include "dict/addr_find.h"

#include "base/str.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/path.h"

enum { KEY_LIMIT = 128 * 1024 };

size_t addr_user_length(struct str localpart)
{
    const char *delimiters = conf.recipient_delimiter;

    if (*delimiters == 0 || str_ieqz(localpart, "postmaster") ||
        str_ieqz(localpart, "mailer-daemon") || str_ieqz(localpart, conf.double_bounce_sender))
        return localpart.n;
    if (strchr(delimiters, '-') != NULL && conf.owner_request_special &&
        (str_istarts(localpart, STR("owner-")) ||
         (localpart.n > 8 && str_iends(localpart, STR("-request")))))
        return localpart.n;
    for (size_t i = 0; i < localpart.n; i++)
        if (localpart.p[i] != 0 && strchr(delimiters, localpart.p[i]) != NULL)
            return i == 0 ? localpart.n : i;
    return localpart.n;
}

/* One address on its way through one list. */
struct search {
    struct maps *maps;
    struct buf *value;
    struct why *why;
    struct buf key;
};

/* As it is written, quoted if need be, and then as it is. */
static enum dict_answer find_key(struct search *s, struct str localpart, struct str at_domain,
                                 bool part)
{
    struct buf internal = BUF(KEY_LIMIT);
    enum dict_answer answer;

    buf_add(&internal, localpart);
    buf_add(&internal, at_domain);
    buf_clear(&s->key);
    path_quote(buf_str(&internal), &s->key);
    if (!buf_ok(&internal) || !buf_ok(&s->key)) {
        buf_free(&internal);
        return DICT_NONE; /* no table has so long a key */
    }
    answer = part ? maps_find_part(s->maps, s->key.p, s->value, s->why)
                  : maps_find(s->maps, s->key.p, s->value, s->why);
    if (answer == DICT_NONE && !str_eq(buf_str(&s->key), buf_str(&internal)))
        answer = part ? maps_find_part(s->maps, internal.p, s->value, s->why)
                      : maps_find(s->maps, internal.p, s->value, s->why);
    buf_free(&internal);
    return answer;
}

static enum dict_answer find_part(struct search *s, struct str key)
{
    buf_set(&s->key, key);
    if (!buf_ok(&s->key))
        return DICT_NONE;
    return maps_find_part(s->maps, s->key.p, s->value, s->why);
}

static enum dict_answer find_parents(struct search *s, struct str domain, bool with_dot)
{
    enum dict_answer answer = DICT_NONE;
    size_t first = 1; /* a dot in front of a name has nothing before it that could be cut off */

    for (ptrdiff_t dot;
         answer == DICT_NONE && (dot = str_find(str_from(domain, first), '.')) >= 0;) {
        domain = str_from(domain, first + (size_t)dot + 1);
        first = with_dot ? 0 : 1; /* with_dot: this dot belongs to the name just looked up */
        if (domain.n > 0)
            answer = find_part(s, with_dot ? (struct str){domain.p - 1, domain.n + 1} : domain);
    }
    return answer;
}

/* user+ext and user, with tail ("", "@", "@domain") behind them. */
static enum dict_answer find_user(struct search *s, struct str localpart, size_t user,
                                  struct str tail, struct buf *ext)
{
    enum dict_answer answer = find_key(s, localpart, tail, true);

    if (answer == DICT_NONE && user < localpart.n) {
        answer = find_key(s, str_upto(localpart, user), tail, true);
        if (answer == DICT_FOUND && ext != NULL)
            buf_set(ext, str_from(localpart, user));
    }
    return answer;
}

static enum dict_answer find_if_local(struct search *s, unsigned parts, addr_local_fn *is_local,
                                      struct str localpart, size_t user, struct str domain,
                                      struct buf *ext)
{
    enum dict_answer answer;

    buf_set(&s->key, domain);
    answer = is_local == NULL ? DICT_NONE : is_local(s->key.p, s->why);
    if (answer != DICT_FOUND)
        return answer;
    answer = DICT_NONE;
    if ((parts & ADDR_LOCALPART_IF_LOCAL) != 0)
        answer = find_user(s, localpart, user, STR(""), ext);
    if (answer == DICT_NONE && (parts & ADDR_LOCALPART_AT_IF_LOCAL) != 0)
        answer = find_user(s, localpart, user, STR("@"), ext);
    return answer;
}

static enum dict_answer find_domain(struct search *s, unsigned parts, struct str at_domain)
{
    struct str domain = str_from(at_domain, 1);
    enum dict_answer answer = DICT_NONE;

    if (domain.n == 0)
        return DICT_NONE;
    if ((parts & ADDR_AT_DOMAIN) != 0)
        answer = find_part(s, at_domain);
    if (answer == DICT_NONE && (parts & ADDR_DOMAIN) != 0)
        answer = find_part(s, domain);
    if (answer == DICT_NONE && (parts & (ADDR_PARENTS | ADDR_DOT_PARENTS)) != 0)
        answer = find_parents(s, domain, (parts & ADDR_DOT_PARENTS) != 0);
    return answer;
}

static enum dict_answer search(struct search *s, struct str address, unsigned parts,
                               addr_local_fn *is_local, struct buf *ext)
{
    ptrdiff_t at = str_rfind(address, '@');
    struct str localpart = at < 0 ? address : str_upto(address, (size_t)at);
    struct str at_domain = at < 0 ? STR("") : str_from(address, (size_t)at);
    size_t user = addr_user_length(localpart);
    enum dict_answer answer = DICT_NONE;

    if ((parts & ADDR_FULL) != 0)
        answer = find_key(s, localpart, at_domain, false);
    if (answer == DICT_NONE && (parts & ADDR_NOEXT) != 0 && user < localpart.n) {
        answer = find_key(s, str_upto(localpart, user), at_domain, true);
        if (answer == DICT_FOUND && ext != NULL)
            buf_set(ext, str_from(localpart, user));
    }
    if (at < 0)
        return answer;
    if (answer == DICT_NONE && (parts & (ADDR_LOCALPART_IF_LOCAL | ADDR_LOCALPART_AT_IF_LOCAL)))
        answer = find_if_local(s, parts, is_local, localpart, user, str_from(at_domain, 1), ext);
    if (answer == DICT_NONE)
        answer = find_domain(s, parts, at_domain);
    if (answer == DICT_NONE && (parts & ADDR_LOCALPART_AT) != 0)
        answer = find_user(s, localpart, user, STR("@"), ext);
    return answer;
}

enum dict_answer addr_find(struct maps *m, const char *address, unsigned parts,
                           addr_local_fn *is_local, struct buf *value, struct buf *ext,
                           struct why *why)
{
    struct search s = {m, value, why, BUF(KEY_LIMIT)}; /* fits: find_key and find_part ask */
    enum dict_answer answer = DICT_NONE;

    buf_clear(value);
    if (ext != NULL)
        buf_clear(ext);
    if (!maps_empty(m) && *address != 0 && strlen(address) < KEY_LIMIT / 2)
        answer = search(&s, strz(address), parts, is_local, ext);
    buf_free(&s.key);
    return answer;
}

enum dict_answer domain_find(struct maps *m, const char *domain, bool parents_match,
                             struct buf *value, struct why *why)
{
    struct search s = {m, value, why, BUF(KEY_LIMIT)}; /* fits: find_key and find_part ask */
    enum dict_answer answer = DICT_NONE;

    buf_clear(value);
    if (!maps_empty(m) && *domain != 0) {
        bool number = domain_is_ipv4(strz(domain)) || domain_is_ipv6(strz(domain));
        answer = maps_find(m, domain, value, why);
        if (answer == DICT_NONE && !number)
            answer = find_parents(&s, strz(domain), !parents_match);
    }
    buf_free(&s.key);
    return answer;
}

enum dict_answer hostaddr_find(struct maps *m, const char *address, struct buf *value,
                               struct why *why)
{
    char separator = strchr(address, ':') != NULL ? ':' : '.';
    struct search s = {m, value, why, BUF(KEY_LIMIT)}; /* fits: find_key and find_part ask */
    struct str part = strz(address);
    enum dict_answer answer = DICT_NONE;

    buf_clear(value);
    if (!maps_empty(m) && part.n > 0) {
        answer = maps_find(m, address, value, why);
        for (ptrdiff_t at; answer == DICT_NONE && (at = str_rfind(part, separator)) > 0;) {
            part = str_upto(part, (size_t)at);
            answer = find_part(&s, part);
        }
    }
    buf_free(&s.key);
    return answer;
}

bool parent_matches(const char *parameter)
{
    return str_listed(conf.parent_domain_matches_subdomains, parameter);
}
