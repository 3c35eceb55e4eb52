/*
 * regexp:, rules of POSIX patterns. "/yes/!/no/ text": the key matches the first and not the
 * second.
 */
#include <ctype.h>
#include <regex.h>

#include "base/mem.h"
#include "base/str.h"
#include "dict/dict_pcre.h"
#include "dict/dict_types.h"
#include "dict/posix_pattern.h"

enum { PATTERN_LIMIT = 64 * 1024, KEY_LIMIT = 256 * 1024 };

/* One pattern: compiled by the C library, or by PCRE2, which knows limits. */
struct half {
    regex_t re;
    void *bounded; /* null: re */
};

struct pattern {
    struct half yes, no;
    bool has_no;
    size_t groups; /* of yes */
};

struct regexp {
    struct dict dict;
    struct rules *rules;
};

/* "/pattern/flags": i, m and x turn their option around; the pattern may end at a "!". */
static int split_pattern(struct str *rest, struct buf *pattern, int *flags, struct why *why)
{
    char delimiter = rest->n > 0 ? rest->p[0] : 'a';
    size_t end = 1;

    if (isalnum((unsigned char)delimiter))
        return why_set(why, "4.3.5", "ignoring unrecognized request");
    while (end < rest->n && rest->p[end] != delimiter)
        end += rest->p[end] == '\\' ? 2 : 1;
    if (end >= rest->n)
        return why_set(why, "4.3.5", "no closing regexp delimiter \"%c\"", delimiter);
    buf_set(pattern, str_part(*rest, 1, end - 1));
    if (!buf_ok(pattern))
        return why_set(why, "4.3.5", "pattern is too long");
    *flags = REG_EXTENDED | REG_ICASE;
    for (end++; end < rest->n && !isspace((unsigned char)rest->p[end]) && rest->p[end] != '!';
         end++) {
        char c = rest->p[end];
        if (c != 'i' && c != 'm' && c != 'x')
            return why_set(why, "4.3.5", "unknown regexp option \"%c\"", c);
        *flags ^= c == 'i' ? REG_ICASE : c == 'm' ? REG_NEWLINE : REG_EXTENDED;
    }
    *rest = str_from(*rest, end);
    return 0;
}

/* With a back reference the C library may need hours for one line of mail, and nothing can stop it.
 * Such a pattern is said to PCRE2, which gives up after pcre_match_limit steps. Both find the same
 * texts; if a group can match in several ways, they may choose differently. */
static int compile_bounded(struct str pattern, int flags, struct half *out, size_t *groups,
                           struct why *why)
{
    bool newline = (flags & REG_NEWLINE) != 0;
    unsigned pcre_flags =
        ((flags & REG_ICASE) != 0 ? PCRE_ANY_CASE : 0u) | (newline ? PCRE_LINES : 0u);
    struct buf text = BUF(4 * PATTERN_LIMIT); /* asked: by posix_to_pcre */

    if ((flags & REG_EXTENDED) == 0)
        why_set(why, "4.3.5", "back reference together with the option x: use a pcre: table");
    else if (posix_to_pcre(pattern, newline, &text, why) == 0)
        out->bounded = pcre_compile(buf_str(&text), pcre_flags, groups, why);
    buf_free(&text);
    return out->bounded != NULL ? 0 : -1;
}

static int compile_plain(const char *pattern, int flags, struct half *out, size_t *groups,
                         struct why *why)
{
    int error = regcomp(&out->re, pattern, flags);
    char text[200];

    if (error != 0) {
        regerror(error, &out->re, text, sizeof text);
        return why_set(why, "4.3.5", "error in regexp: %s", text);
    }
    *groups = out->re.re_nsub;
    return 0;
}

static void free_half(struct half *h)
{
    regfree(&h->re);
    if (h->bounded != NULL)
        pcre_free(h->bounded);
}

/* What the C library refuses is refused, also where it does not match itself. */
static int compile_one(struct str *rest, int more_flags, struct half *out, size_t *groups,
                       struct why *why)
{
    /* asked: by split_pattern */
    struct buf pattern = BUF(PATTERN_LIMIT);
    int flags = 0;
    int status = split_pattern(rest, &pattern, &flags, why);

    if (status == 0)
        status = compile_plain(pattern.p, flags | more_flags, out, groups, why);
    if (status == 0 && posix_has_reference(buf_str(&pattern))) {
        status = compile_bounded(buf_str(&pattern), flags, out, groups, why);
        if (status < 0)
            free_half(out);
    }
    buf_free(&pattern);
    return status;
}

static void *compile(struct str *rest, size_t *groups, struct why *why)
{
    struct pattern *p = mem_new(sizeof *p);
    size_t unused;

    if (compile_one(rest, 0, &p->yes, &p->groups, why) < 0) {
        free(p);
        return NULL;
    }
    if (rest->n > 0 && rest->p[0] == '!') {
        *rest = str_trim(str_from(*rest, 1));
        if (compile_one(rest, REG_NOSUB, &p->no, &unused, why) < 0) {
            free_half(&p->yes);
            free(p);
            return NULL;
        }
        p->has_no = true;
    }
    *groups = p->groups;
    return p;
}

static enum rules_answer match_plain(const regex_t *re, const char *subject, size_t groups,
                                     struct rules_hit *hit, struct why *why)
{
    regmatch_t at[RULES_GROUPS];
    size_t n = groups + 1 < RULES_GROUPS ? groups + 1 : RULES_GROUPS;
    int error = regexec(re, subject, n, at, 0);
    char text[200];

    if (error == REG_NOMATCH)
        return RULES_NO;
    if (error != 0) {
        regerror(error, re, text, sizeof text);
        why_set(why, "4.3.0", "%s", text);
        return RULES_BROKEN;
    }
    for (size_t i = 0; i < n; i++)
        hit->at[i] = at[i].rm_so < 0
                         ? (struct rules_span){1, 0}
                         : (struct rules_span){(size_t)at[i].rm_so, (size_t)at[i].rm_eo};
    hit->n = n;
    return RULES_YES;
}

static enum rules_answer match_half(const struct half *h, const char *subject, size_t groups,
                                    struct rules_hit *hit, struct why *why)
{
    return h->bounded != NULL ? pcre_match(h->bounded, strz(subject), hit, why)
                              : match_plain(&h->re, subject, groups, hit, why);
}

static enum rules_answer match(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why)
{
    struct pattern *p = pattern;
    struct rules_hit unused;
    enum rules_answer answer = match_half(&p->yes, subject, p->groups, hit, why);

    if (answer != RULES_YES || !p->has_no)
        return answer;
    answer = match_half(&p->no, subject, 0, &unused, why);
    return answer == RULES_BROKEN ? answer : answer == RULES_YES ? RULES_NO : RULES_YES;
}

static void free_pattern(void *pattern)
{
    struct pattern *p = pattern;

    free_half(&p->yes);
    if (p->has_no)
        free_half(&p->no);
    free(p);
}

static const struct rules_kind kind = {"regexp", true, compile, match, free_pattern};

static void regexp_close(struct dict *d)
{
    rules_free(&((struct regexp *)d)->rules);
    pcre_put();
}

static struct dict *regexp_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                                unsigned flags, struct why *why)
{
    struct regexp *r = (struct regexp *)dict_new(&dict_regexp, sizeof *r);
    struct dict *d = &r->dict;

    pcre_get();
    r->rules = rules_open(d, &kind, arg, flags, why);
    if (r->rules == NULL)
        dict_close(&d);
    return d;
}

static enum dict_answer regexp_find(struct dict *d, const char *key, struct buf *value,
                                    struct why *why)
{
    struct str subject = strz(key);

    if (subject.n > KEY_LIMIT) {
        why_set(why, "4.3.0", "table %s: key is too long", d->spec);
        return DICT_FAILED;
    }
    return rules_find(((struct regexp *)d)->rules, subject, key, value, why);
}

static void regexp_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    rules_values(((struct regexp *)d)->rules, fn, arg);
}

const struct dict_type dict_regexp = {
    .name = "regexp",
    .can = DICT_MATCHES | DICT_SURVIVES_JAIL,
    .suffix = "",
    .open = regexp_open,
    .find = regexp_find,
    .values = regexp_values,
    .close = regexp_close,
};
