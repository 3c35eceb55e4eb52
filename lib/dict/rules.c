#include "dict/rules.h"

#include <ctype.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "dict/dict_make.h"

enum rule_op { RULE_TEXT, RULE_IF, RULE_ENDIF };
enum { DEPTH_LIMIT = 1000, TEXT_LIMIT = 64 << 20 };

/* The result in pieces: text, or a group. */
struct piece {
    size_t at, n; /* in the rule's text */
    int group; /* -1: text */
};

struct rule {
    enum rule_op op;
    bool negated;
    int line;
    size_t skip_to; /* of an if that does not hold: the rule after its endif */
    void *pattern;
    char *text;
    size_t groups; /* the last $number in it */
    VEC(struct piece) pieces;
};

struct rules {
    const struct rules_kind *kind;
    char *path;
    unsigned flags;
    VEC(struct rule) list;
    VEC(size_t) open_ifs; /* while loading */
};

#define WARN(r, line, fmt, ...)                                                                    \
    msg_warn("%s map %s, line %d: " fmt, (r)->kind->name, (r)->path, line, ##__VA_ARGS__)

/* $1 ${1} $(1) and $$. The name is what follows $: letters and digits. */
static bool parse_group(struct str *rest, int *group, struct why *why)
{
    char close = rest->n == 0 ? 0 : rest->p[0] == '{' ? '}' : rest->p[0] == '(' ? ')' : 0;
    size_t n = 0;
    uint32_t value;

    if (close != 0)
        *rest = str_from(*rest, 1);
    while (n < rest->n && (isalnum((unsigned char)rest->p[n]) || rest->p[n] == '_'))
        n++;
    struct str name = str_upto(*rest, n);
    *rest = str_from(*rest, n);
    if (close != 0) {
        if (rest->n == 0 || rest->p[0] != close) {
            why_set(why, "4.3.5", "truncated macro reference: \"%.*s\"", (int)name.n, name.p);
            return false;
        }
        *rest = str_from(*rest, 1);
    }
    if (!num_parse_u32(name, 0, RULES_GROUPS - 1, &value)) {
        why_set(why, "4.3.5", "non-numeric replacement index \"%.*s\"", (int)name.n, name.p);
        return false;
    }
    *group = (int)value;
    return true;
}

static void add_piece(struct rule *rule, size_t at, size_t n, int group)
{
    if (n > 0 || group >= 0)
        *VEC_ADD(&rule->pieces) = (struct piece){at, n, group};
    if (group > 0 && (size_t)group > rule->groups)
        rule->groups = (size_t)group;
}

/* Splits the text at its $; false with a warning if it cannot mean anything. */
static bool parse_text(struct rules *r, struct rule *rule, size_t groups)
{
    struct str text = strz(rule->text), rest = text;
    size_t from = 0;
    struct why why = WHY;
    bool ok = true;

    for (ptrdiff_t at; ok && r->kind->groups && (at = str_find(rest, '$')) >= 0;) {
        size_t dollar = (size_t)(rest.p - text.p) + (size_t)at;
        int group = -1;
        add_piece(rule, from, dollar - from, -1);
        rest = str_from(text, dollar + 1);
        if (rest.n > 0 && rest.p[0] == '$') {
            rest = str_from(rest, 1);
            add_piece(rule, dollar, 1, -1);
        } else if (!parse_group(&rest, &group, &why)) {
            ok = false;
            WARN(r, rule->line, "%s: skipping this rule", why_text(&why));
        } else if (rule->negated || (r->flags & DICT_NO_GROUPS) != 0) {
            ok = false;
            WARN(r, rule->line, "$number found in %s: skipping this rule",
                 rule->negated ? "negative match replacement text"
                               : "replacement text: not allowed for this table");
        } else if (group == 0 || (size_t)group > groups) {
            ok = false;
            WARN(r, rule->line, "out of range replacement index \"%d\": skipping this rule", group);
        } else
            add_piece(rule, 0, 0, group);
        from = (size_t)(rest.p - text.p);
    }
    add_piece(rule, from, text.n - from, -1);
    why_free(&why);
    return ok;
}

static void drop_rule(struct rules *r, struct rule *rule)
{
    if (rule->pattern != NULL)
        r->kind->free(rule->pattern);
    free(rule->text);
    VEC_FREE(&rule->pieces);
}

bool rules_negation(struct str *rest)
{
    bool negated = false;

    for (*rest = str_trim(*rest); rest->n > 0 && rest->p[0] == '!';
         *rest = str_trim(str_from(*rest, 1)))
        negated = !negated;
    return negated;
}

static bool parse_pattern(struct rules *r, struct str *rest, struct rule *rule, size_t *groups)
{
    struct why why = WHY;

    rule->negated = rules_negation(rest);
    if (rest->n == 0)
        why_set(&why, "4.3.5", "no pattern");
    else
        rule->pattern = r->kind->compile(rest,
                                         rule->op == RULE_IF ? RULES_IF
                                         : rule->negated     ? RULES_NEGATED
                                                             : RULES_PLAIN,
                                         groups, &why);
    if (rule->pattern == NULL)
        WARN(r, rule->line, "%s: skipping this rule", why_text(&why));
    why_free(&why);
    return rule->pattern != NULL;
}

/* The result is a list of files: their contents take its place. */
static bool read_files(const struct rules *r, struct rule *rule)
{
    struct buf base64 = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    bool ok = dict_file_value(rule->text, &base64, &why) == 0;

    if (ok && !buf_ok(&base64)) {
        why_set(&why, "4.3.5", "the files %s are too long for a table", rule->text);
        ok = false;
    }
    if (!ok)
        WARN(r, rule->line, "%s: skipping this rule", why_text(&why));
    free(rule->text);
    rule->text = buf_take(&base64);
    why_free(&why);
    return ok;
}

static bool parse_result(struct rules *r, struct rule *rule, size_t groups)
{
    bool is_files = (r->flags & DICT_FILE_VALUES) != 0;

    return (!is_files || read_files(r, rule)) && parse_text(r, rule, groups);
}

static void load_rule(struct rules *r, struct str line, int number)
{
    struct rule rule = {.op = RULE_TEXT, .line = number};
    size_t groups = 0;

    if (!parse_pattern(r, &line, &rule, &groups))
        return;
    line = str_trim(line);
    if (line.n == 0 && !r->kind->groups) {
        WARN(r, number, "no lookup result: skipping this rule");
        drop_rule(r, &rule);
        return;
    }
    if (line.n == 0)
        WARN(r, number, "no replacement text: using empty string");
    rule.text = mem_dup(line.p, line.n);
    if (parse_result(r, &rule, groups))
        *VEC_ADD(&r->list) = rule;
    else
        drop_rule(r, &rule);
}

static void load_if(struct rules *r, struct str line, int number)
{
    struct rule rule = {.op = RULE_IF, .line = number};
    size_t groups;

    if (r->open_ifs.n >= DEPTH_LIMIT) {
        WARN(r, number, "IF statements are nested too deeply: skipping this rule");
        return;
    }
    if (!parse_pattern(r, &line, &rule, &groups))
        return;
    line = str_trim(line);
    if (line.n > 0) {
        WARN(r, number, "ignoring extra text after IF statement: \"%.*s\"", (int)line.n, line.p);
        WARN(r, number, "do not prepend whitespace to statements between IF and ENDIF");
    }
    *VEC_ADD(&r->open_ifs) = r->list.n;
    *VEC_ADD(&r->list) = rule;
}

static void load_endif(struct rules *r, struct str line, int number)
{
    if (line.n > 0)
        WARN(r, number, "ignoring extra text after ENDIF");
    if (r->open_ifs.n == 0) {
        WARN(r, number, "ignoring ENDIF without matching IF");
        return;
    }
    *VEC_ADD(&r->list) = (struct rule){.op = RULE_ENDIF, .line = number};
    r->list.at[r->open_ifs.at[--r->open_ifs.n]].skip_to = r->list.n;
}

static bool is_word(struct str line, const char *word)
{
    size_t n = strlen(word);
    return line.n >= n && str_ieqz(str_upto(line, n), word) &&
           (line.n == n || !isalnum((unsigned char)line.p[n]));
}

static void load_line(void *arg, struct str line, int number)
{
    struct rules *r = arg;

    line = str_trim(line);
    if (is_word(line, "if"))
        load_if(r, str_trim(str_from(line, 2)), number);
    else if (is_word(line, "endif"))
        load_endif(r, str_trim(str_from(line, 5)), number);
    else
        load_rule(r, line, number);
}

static int read_text(struct dict *d, const char *arg, struct buf *text, struct why *why)
{
    struct str rest = strz(arg), rule;

    if (arg[0] != '{')
        return dict_file_read(d, arg, text, why);
    if (!str_unbrace(&rest))
        return why_set(why, "4.3.5", "missing '}' in \"%s\"", arg);
    while (str_word_braces(&rest, ", \t\r\n", &rule)) {
        if (!str_unbrace(&rule))
            return why_set(why, "4.3.5", "no {braces} around \"%.*s\"", (int)rule.n, rule.p);
        buf_add(text, rule);
        buf_addc(text, '\n');
    }
    return buf_ok(text) ? 0 : why_set(why, "4.3.5", "the rules are too long");
}

static struct rules *load(const struct rules_kind *kind, const char *path, struct str text,
                          unsigned flags)
{
    struct rules *r = mem_new(sizeof *r);

    r->kind = kind;
    r->path = mem_dupz(path);
    r->flags = flags;
    logical_lines(text, load_line, r);
    /* An if that is never closed holds to the end. */
    while (r->open_ifs.n > 0) {
        struct rule *rule = &r->list.at[r->open_ifs.at[--r->open_ifs.n]];
        WARN(r, rule->line, "IF has no matching ENDIF");
        rule->skip_to = r->list.n;
    }
    VEC_FREE(&r->open_ifs);
    return r;
}

struct rules *rules_open(struct dict *d, const struct rules_kind *kind, const char *arg,
                         unsigned flags, struct why *why)
{
    /* asked: by read_text */
    struct buf text = BUF(TEXT_LIMIT);
    struct rules *r = NULL;

    if (read_text(d, arg, &text, why) == 0)
        r = load(kind, arg, buf_str(&text), flags);
    buf_free(&text);
    return r;
}

static void expand(struct rule *rule, struct str key, const struct rules_hit *hit,
                   struct buf *value)
{
    VEC_EACH (&rule->pieces, p) {
        if (p->group < 0) {
            buf_add(value, (struct str){rule->text + p->at, p->n});
            continue;
        }
        struct rules_span s =
            (size_t)p->group < hit->n ? hit->at[p->group] : (struct rules_span){key.n + 1, 0};
        if (s.start <= s.end && s.end <= key.n)
            buf_add(value, str_part(key, s.start, s.end - s.start));
    }
}

enum dict_answer rules_find(struct rules *r, struct str key, const void *subject, struct buf *value,
                            struct why *why)
{
    struct rules_hit hit;

    for (size_t i = 0; i < r->list.n; i++) {
        struct rule *rule = &r->list.at[i];
        if (rule->op == RULE_ENDIF)
            continue;
        hit.n = rule->groups;
        enum rules_answer answer = r->kind->match(rule->pattern, subject, &hit, why);
        if (answer == RULES_BROKEN) {
            why_in(why, "%s map %s, line %d", r->kind->name, r->path, rule->line);
            return DICT_FAILED;
        }
        bool holds = answer != RULES_OTHER && (answer == RULES_YES) != rule->negated;
        if (rule->op == RULE_IF && !holds)
            i = rule->skip_to - 1;
        if (rule->op == RULE_TEXT && holds) {
            expand(rule, key, &hit, value);
            return DICT_FOUND;
        }
    }
    return DICT_NONE;
}

void rules_values(const struct rules *r, dict_value_fn *fn, void *arg)
{
    char where[40];

    for (size_t i = 0; i < r->list.n; i++) {
        const struct rule *rule = &r->list.at[i];
        snprintf(where, sizeof where, "line %d", rule->line);
        if (rule->op == RULE_TEXT)
            fn(arg, where, rule->text);
    }
}

void rules_free(struct rules **rules)
{
    struct rules *r = *rules;

    *rules = NULL;
    if (r == NULL)
        return;
    VEC_EACH (&r->list, rule)
        drop_rule(r, rule);
    VEC_FREE(&r->list);
    free(r->path);
    free(r);
}
