/*
 * regexp:, rules of POSIX patterns. "/one/!/other/ text": the key matches the first and not the
 * second.
 *
 * The C library's matcher tries each place of the text anew, and may go through all that follows
 * from each: a header of 100 KB takes it seconds, and nothing can stop it. So PCRE2 decides, which
 * is quicker and knows limits, and the C library only says what the groups are, as they are the
 * longest from the left in POSIX: it need not look further than where PCRE2 has found the match.
 */
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "dict/dict_pcre.h"
#include "dict/dict_types.h"
#include "dict/posix_pattern.h"

enum {
    PATTERN_LIMIT = 64 * 1024,
    KEY_LIMIT = 256 * 1024,
    PLAIN_LIMIT = 8 * 1024, /* of a key, where the C library has to decide */
    SEEN_LIMIT = 64 * 1024,
};

struct half {
    regex_t re;
    char *text; /* what re is made of */
    int flags;
    size_t seen; /* bytes that re has looked at */
    void *pcre; /* null: PCRE2 has no words for it */
    bool has_reference; /* pcre finds the groups, too */
    bool is_odd; /* re may find more than pcre, and decides while the key is short */
};

struct pattern {
    struct half first, second;
    bool first_negated, second_negated;
    bool has_second;
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

/* h->pcre is null: why says what PCRE2 has no words for. */
static void compile_pcre(struct half *h, size_t *groups, struct why *why)
{
    bool newline = (h->flags & REG_NEWLINE) != 0, any_case = (h->flags & REG_ICASE) != 0;
    unsigned pcre_flags = (any_case ? PCRE_ANY_CASE : 0u) | (newline ? PCRE_LINES : 0u) |
                          (h->has_reference ? 0u : PCRE_NO_GROUPS);
    struct buf text = BUF(8 * PATTERN_LIMIT); /* asked: by posix_to_pcre */
    int said = -1;

    if ((h->flags & REG_EXTENDED) == 0)
        why_set(why, "4.3.5", "the option x");
    else
        said = posix_to_pcre(strz(h->text), newline, any_case, &text, why);
    if (said >= 0)
        h->pcre = pcre_compile(buf_str(&text), pcre_flags, groups, why);
    h->is_odd = said > 0;
    buf_free(&text);
}

/* With a back reference the C library may need hours for one line of mail: PCRE2 alone matches it,
 * and gives up after pcre_match_limit steps. Both find the same texts; if a group can match in
 * several ways, they may choose differently. */
static int compile_bounded(struct half *h, size_t *groups, struct why *why)
{
    struct why own = WHY;
    size_t unused;

    h->has_reference = posix_has_reference(strz(h->text));
    compile_pcre(h, h->has_reference ? groups : &unused, &own);
    bool bad = h->pcre == NULL && h->has_reference;
    if (bad)
        why_set(why, "4.3.5", "back reference together with %s: use a pcre: table", why_text(&own));
    why_free(&own);
    return bad ? -1 : 0;
}

static int compile_plain(struct half *h, struct why *why)
{
    int error = regcomp(&h->re, h->text, h->flags);
    char text[200];

    if (error == 0)
        return 0;
    regerror(error, &h->re, text, sizeof text);
    return why_set(why, "4.3.5", "error in regexp: %s", text);
}

static void free_half(struct half *h)
{
    regfree(&h->re);
    free(h->text);
    if (h->pcre != NULL)
        pcre_free(h->pcre);
}

/* What the C library refuses is refused, also where it does not match itself. */
static int compile_one(struct str *rest, int more_flags, struct half *out, size_t *groups,
                       struct why *why)
{
    /* asked: by split_pattern */
    struct buf pattern = BUF(PATTERN_LIMIT);
    int status = split_pattern(rest, &pattern, &out->flags, why);

    out->flags |= more_flags;
    out->text = buf_take(&pattern);
    if (status == 0)
        status = compile_plain(out, why);
    if (status < 0) {
        free(out->text);
        return -1;
    }
    *groups = out->re.re_nsub;
    status = compile_bounded(out, groups, why);
    if (status < 0)
        free_half(out);
    return status;
}

static void *compile(struct str *rest, enum rules_place place, size_t *groups, struct why *why)
{
    struct pattern *p = mem_new(sizeof *p);
    size_t unused;

    p->first_negated = place == RULES_NEGATED;
    if (compile_one(rest, 0, &p->first, groups, why) < 0) {
        free(p);
        return NULL;
    }
    p->has_second = place != RULES_IF && rest->n > 0 && rest->p[0] == '!';
    if (!p->has_second)
        return p;
    p->second_negated = rules_negation(rest);
    if (compile_one(rest, REG_NOSUB, &p->second, &unused, why) < 0) {
        free_half(&p->first);
        free(p);
        return NULL;
    }
    return p;
}

/* The library keeps each state that it has come to, and a text may bring new ones with each byte:
 * now and then it begins anew. */
static int forget_states(struct half *h, size_t more, struct why *why)
{
    int error = 0;

    h->seen += more;
    if (h->seen > SEEN_LIMIT) {
        regex_t fresh;
        error = regcomp(&fresh, h->text, h->flags);
        if (error == 0) {
            regfree(&h->re);
            h->re = fresh;
            h->seen = more;
        }
    }
    return error == 0 ? 0 : why_set(why, "4.3.0", "no memory for the pattern");
}

/* from: where the match starts, or where to begin to look for it. */
static enum rules_answer match_plain(struct half *h, struct str subject, size_t from, size_t groups,
                                     struct rules_hit *hit, struct why *why)
{
    regmatch_t at[RULES_GROUPS];
    size_t n = groups + 1 < RULES_GROUPS ? groups + 1 : RULES_GROUPS;
    char text[200];

    if (forget_states(h, subject.n - from, why) < 0)
        return RULES_BROKEN;
    at[0] = (regmatch_t){.rm_so = (regoff_t)from, .rm_eo = (regoff_t)subject.n};
    int error = regexec(&h->re, subject.p, n, at, REG_STARTEND);
    if (error == REG_NOMATCH)
        return RULES_NO;
    if (error != 0) {
        regerror(error, &h->re, text, sizeof text);
        why_set(why, "4.3.0", "%s", text);
        return RULES_BROKEN;
    }
    for (size_t i = 0; i < n; i++)
        hit->at[i] = at[i].rm_so < 0
                         ? (struct rules_span){subject.n + 1, 0}
                         : (struct rules_span){(size_t)at[i].rm_so, (size_t)at[i].rm_eo};
    hit->n = n;
    return RULES_YES;
}

/* In a short key the library decides as well where PCRE2 gives up. It is asked for no group that
 * nobody wants: what it does to find them may take long, or for ever: "((^|-)*)+" in "-_". */
static enum rules_answer match_half(struct half *h, struct str subject, size_t groups,
                                    struct rules_hit *hit, struct why *why)
{
    bool is_plain = !h->has_reference && subject.n <= PLAIN_LIMIT;

    if (is_plain && (h->pcre == NULL || h->is_odd))
        return match_plain(h, subject, 0, groups, hit, why);
    if (h->pcre == NULL) {
        why_set(why, "4.3.0", "key of over %d bytes, and the pattern is none that can be limited",
                PLAIN_LIMIT);
        return RULES_BROKEN;
    }
    enum rules_answer answer = pcre_match(h->pcre, subject, hit, why);
    if (is_plain && answer == RULES_BROKEN)
        return match_plain(h, subject, 0, groups, hit, why);
    if (!h->has_reference && answer == RULES_YES && groups > 0)
        return match_plain(h, subject, hit->at[0].start, groups, hit, why);
    return answer;
}

/* Each of the two patterns has a "!" of its own; the caller knows that of the first. */
static enum rules_answer match(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why)
{
    struct pattern *p = pattern;
    struct rules_hit unused;
    enum rules_answer answer = match_half(&p->first, strz(subject), hit->n, hit, why);

    if (!p->has_second || answer != (p->first_negated ? RULES_NO : RULES_YES))
        return answer;
    enum rules_answer second = match_half(&p->second, strz(subject), 0, &unused, why);
    if (second == RULES_BROKEN)
        return second;
    return second == (p->second_negated ? RULES_NO : RULES_YES) ? answer : RULES_OTHER;
}

static void free_pattern(void *pattern)
{
    struct pattern *p = pattern;

    free_half(&p->first);
    if (p->has_second)
        free_half(&p->second);
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
