/*
 * pcre:, rules of Perl-compatible patterns (PCRE2). They are compiled, with the JIT where the
 * system has it, before the jail.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "dict/dict_pcre.h"

#include <ctype.h>
#include <pcre2.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict_types.h"

enum { PATTERN_LIMIT = 64 * 1024, JIT_STACK = 4 << 20 /* (a|b)* in 100 KB */ };

/* What a lookup needs besides the pattern: one for all tables, since no lookup waits. */
static struct {
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
    unsigned users;
} work;

struct pcre {
    struct dict dict;
    struct rules *rules;
};

void pcre_get(void)
{
    if (work.users++ > 0)
        return;
    work.context = pcre2_match_context_create(NULL);
    work.data = pcre2_match_data_create(RULES_GROUPS, NULL);
    work.stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK, NULL);
    if (work.context == NULL || work.data == NULL)
        msg_fatal("no memory for PCRE");
    if (work.stack != NULL) /* a task's own stack is too small for it */
        pcre2_jit_stack_assign(work.context, NULL, work.stack);
    pcre2_set_match_limit(work.context, (uint32_t)conf.pcre_match_limit);
    pcre2_set_depth_limit(work.context, (uint32_t)conf.pcre_match_limit);
    pcre2_set_heap_limit(work.context, (uint32_t)(conf.pcre_heap_limit / 1024));
}

void pcre_put(void)
{
    if (--work.users > 0)
        return;
    pcre2_match_data_free(work.data);
    pcre2_match_context_free(work.context);
    pcre2_jit_stack_free(work.stack);
}

static uint32_t option(char letter)
{
    switch (letter) {
    case 'i':
        return PCRE2_CASELESS;
    case 'm':
        return PCRE2_MULTILINE;
    case 's':
        return PCRE2_DOTALL;
    case 'x':
        return PCRE2_EXTENDED;
    case 'A':
        return PCRE2_ANCHORED;
    case 'E':
        return PCRE2_DOLLAR_ENDONLY;
    case 'U':
        return PCRE2_UNGREEDY;
    default:
        return 0;
    }
}

/* "/pattern/flags": each letter turns its option around. */
static int split_pattern(struct str *rest, struct str *pattern, uint32_t *options, struct why *why)
{
    char delimiter = rest->p[0];
    size_t end = 1;

    if (isalnum((unsigned char)delimiter))
        return why_set(why, "4.3.5", "ignoring unrecognized request");
    while (end < rest->n && rest->p[end] != delimiter)
        end += rest->p[end] == '\\' ? 2 : 1;
    if (end >= rest->n)
        return why_set(why, "4.3.5", "no closing regexp delimiter \"%c\"", delimiter);
    *pattern = str_part(*rest, 1, end - 1);
    *options = PCRE2_CASELESS | PCRE2_DOTALL;
    for (end++; end < rest->n && !isspace((unsigned char)rest->p[end]); end++) {
        uint32_t bit = option(rest->p[end]);
        if (bit == 0 && rest->p[end] != 'X') /* X is always on in PCRE2 */
            return why_set(why, "4.3.5", "unknown regexp option \"%c\"", rest->p[end]);
        *options ^= bit;
    }
    *rest = str_from(*rest, end);
    return 0;
}

static void *compile_with(struct str pattern, uint32_t options, size_t *groups, struct why *why)
{
    uint32_t count = 0;
    int error;
    PCRE2_SIZE at;

    if (pattern.n > PATTERN_LIMIT) {
        why_set(why, "4.3.5", "pattern is too long");
        return NULL;
    }
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options, &error, &at, NULL);
    if (code == NULL) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(error, text, sizeof text);
        why_set(why, "4.3.5", "error in regex at offset %zu: %s", (size_t)at, (char *)text);
        return NULL;
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it, it only is slower */
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &count);
    *groups = count;
    return code;
}

void *pcre_compile(struct str pattern, unsigned flags, size_t *groups, struct why *why)
{
    uint32_t options = (flags & PCRE_ANY_CASE) != 0 ? PCRE2_CASELESS : 0;

    options |= (flags & PCRE_NO_GROUPS) != 0 ? PCRE2_NO_AUTO_CAPTURE : 0;
    options |= (flags & PCRE_LINES) != 0 ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX
                                         : PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
    return compile_with(pattern, options, groups, why);
}

static void *compile(struct str *rest, enum rules_place place __attribute__((unused)),
                     size_t *groups, struct why *why)
{
    struct str pattern;
    uint32_t options = 0;

    if (split_pattern(rest, &pattern, &options, why) < 0)
        return NULL;
    return compile_with(pattern, options, groups, why);
}

enum rules_answer pcre_match(void *pattern, struct str s, struct rules_hit *hit, struct why *why)
{
    int n = pcre2_match(pattern, (PCRE2_SPTR)s.p, s.n, 0, 0, work.data, work.context);

    if (n == PCRE2_ERROR_NOMATCH)
        return RULES_NO;
    if (n < 0) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(n, text, sizeof text);
        why_set(why, "4.3.0", "%s", (char *)text);
        return RULES_BROKEN;
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(work.data);
    hit->n = n == 0 ? RULES_GROUPS : (size_t)n; /* 0: more groups than there is room for */
    for (size_t i = 0; i < hit->n; i++)
        hit->at[i] = (struct rules_span){at[2 * i], at[2 * i + 1]};
    return RULES_YES;
}

static enum rules_answer match(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why)
{
    return pcre_match(pattern, *(const struct str *)subject, hit, why);
}

void pcre_free(void *pattern)
{
    pcre2_code_free(pattern);
}

static const struct rules_kind kind = {"pcre", true, compile, match, pcre_free};

static void pcre_close(struct dict *d)
{
    rules_free(&((struct pcre *)d)->rules);
    pcre_put();
}

static struct dict *pcre_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                              unsigned flags, struct why *why)
{
    struct pcre *p = (struct pcre *)dict_new(&dict_pcre, sizeof *p);
    struct dict *d = &p->dict;

    pcre_get();
    p->rules = rules_open(d, &kind, arg, flags, why);
    if (p->rules == NULL)
        dict_close(&d);
    return d;
}

static enum dict_answer pcre_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why)
{
    struct str subject = strz(key);

    return rules_find(((struct pcre *)d)->rules, subject, &subject, value, why);
}

static void pcre_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    rules_values(((struct pcre *)d)->rules, fn, arg);
}

const struct dict_type dict_pcre = {
    .name = "pcre",
    .can = DICT_MATCHES | DICT_SURVIVES_JAIL,
    .suffix = "",
    .open = pcre_open,
    .find = pcre_find,
    .values = pcre_values,
    .close = pcre_close,
};
