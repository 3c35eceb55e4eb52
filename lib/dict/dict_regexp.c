/*
 * regexp:, rules of POSIX patterns. "/yes/!/no/ text": the key matches the first and not the
 * second.
 */
#include <ctype.h>
#include <regex.h>

#include "base/mem.h"
#include "base/str.h"
#include "dict/dict_types.h"
#include "dict/rules.h"

enum { PATTERN_LIMIT = 64 * 1024, KEY_LIMIT = 256 * 1024 };

struct pattern {
    regex_t yes, no;
    bool has_no;
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

static int compile_one(struct str *rest, int more_flags, regex_t *out, struct why *why)
{
    /* asked: by split_pattern */
    struct buf pattern = BUF(PATTERN_LIMIT);
    int flags = 0;
    int status = split_pattern(rest, &pattern, &flags, why);

    if (status == 0) {
        int error = regcomp(out, pattern.p, flags | more_flags);
        if (error != 0) {
            char text[200];
            regerror(error, out, text, sizeof text);
            status = why_set(why, "4.3.5", "error in regexp: %s", text);
        }
    }
    buf_free(&pattern);
    return status;
}

static void *compile(struct str *rest, size_t *groups, struct why *why)
{
    struct pattern *p = mem_new(sizeof *p);

    if (compile_one(rest, 0, &p->yes, why) < 0) {
        free(p);
        return NULL;
    }
    if (rest->n > 0 && rest->p[0] == '!') {
        *rest = str_trim(str_from(*rest, 1));
        if (compile_one(rest, REG_NOSUB, &p->no, why) < 0) {
            regfree(&p->yes);
            free(p);
            return NULL;
        }
        p->has_no = true;
    }
    *groups = p->yes.re_nsub;
    return p;
}

static enum rules_answer dict_regexp_failed(int error, const regex_t *re, struct why *why)
{
    char text[200];

    regerror(error, re, text, sizeof text);
    why_set(why, "4.3.0", "%s", text);
    return RULES_BROKEN;
}

static enum rules_answer match(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why)
{
    struct pattern *p = pattern;
    regmatch_t at[RULES_GROUPS];
    size_t n = p->yes.re_nsub + 1 < RULES_GROUPS ? p->yes.re_nsub + 1 : RULES_GROUPS;
    int error = regexec(&p->yes, subject, n, at, 0);

    if (error == REG_NOMATCH)
        return RULES_NO;
    if (error != 0)
        return dict_regexp_failed(error, &p->yes, why);
    if (p->has_no) {
        error = regexec(&p->no, subject, 0, NULL, 0);
        if (error == 0)
            return RULES_NO;
        if (error != REG_NOMATCH)
            return dict_regexp_failed(error, &p->no, why);
    }
    for (size_t i = 0; i < n; i++)
        hit->at[i] = at[i].rm_so < 0
                         ? (struct rules_span){1, 0}
                         : (struct rules_span){(size_t)at[i].rm_so, (size_t)at[i].rm_eo};
    hit->n = n;
    return RULES_YES;
}

static void free_pattern(void *pattern)
{
    struct pattern *p = pattern;

    regfree(&p->yes);
    if (p->has_no)
        regfree(&p->no);
    free(p);
}

static const struct rules_kind kind = {"regexp", true, compile, match, free_pattern};

static void regexp_close(struct dict *d)
{
    rules_free(&((struct regexp *)d)->rules);
}

static struct dict *regexp_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                                unsigned flags, struct why *why)
{
    struct regexp *r = (struct regexp *)dict_new(&dict_regexp, sizeof *r);
    struct dict *d = &r->dict;

    r->rules = rules_open(d, &kind, arg, flags, why);
    if (r->rules == NULL)
        dict_close(&d);
    return d;
}

/* The C library's matcher knows no limit but the length of what it matches. */
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

const struct dict_type dict_regexp = {
    .name = "regexp",
    .can = DICT_MATCHES | DICT_SURVIVES_JAIL,
    .suffix = "",
    .open = regexp_open,
    .find = regexp_find,
    .close = regexp_close,
};
