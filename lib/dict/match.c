#include "dict/match.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/dict_make.h"
#include "net/addr.h"

enum { FILE_LIMIT = 64 * 1024 * 1024, FILE_DEPTH = 10, NAME_LIMIT = 64 * 1024 };

struct item {
    bool negated;
    char *text; /* as written, without "!"; lower case is up to the comparison */
    struct dict *table; /* type:table */
    bool is_prefix;
    struct prefix prefix;
    char *broken; /* what is wrong with it, or null */
    bool broken_for_hosts; /* only as an address: a list of names may have it */
};

struct match {
    char *parameter;
    bool parents;
    bool hosts; /* match_host will be asked */
    unsigned depth; /* of /file in /file, while opening */
    VEC(struct item) items;
};

static void add_items(struct match *m, struct str text, bool negated);

static void add_line(void *arg, struct str line, int number __attribute__((unused)))
{
    add_items(arg, line, false);
}

static void add_negated_line(void *arg, struct str line, int number __attribute__((unused)))
{
    add_items(arg, line, true);
}

static void add_broken(struct match *m, const char *text, const struct why *why)
{
    struct item *item = VEC_ADD(&m->items);

    conf_fault(m->parameter, "%s", why_text(why));
    item->text = mem_dupz(text);
    item->broken = mem_dupz(why_text(why));
}

static void add_file(struct match *m, const char *path, bool negated)
{
    struct buf text = BUF(FILE_LIMIT);
    struct why why = WHY;

    if (m->depth >= FILE_DEPTH)
        why_set(&why, "4.3.5", "%s: files are nested too deeply", path);
    else if (file_read(path, &text, &why) == 0) {
        m->depth++;
        logical_lines(buf_str(&text), negated ? add_negated_line : add_line, m);
        m->depth--;
    }
    if (why.code[0] != 0)
        add_broken(m, path, &why);
    buf_free(&text);
    why_free(&why);
}

/* Only what can be nothing but an address is taken to task for not being a good one: no host has a
 * name of digits alone. */
static bool looks_like_prefix(struct str s)
{
    bool digit = false, letter = false;

    for (size_t i = 0; i < s.n; i++) {
        if (strchr("0123456789./:abcdefABCDEF[];", s.p[i]) == NULL)
            return false;
        digit |= s.p[i] >= '0' && s.p[i] <= '9';
        letter |= strchr("0123456789.;", s.p[i]) == NULL;
    }
    return digit && (!letter || str_find(s, '/') > 0 || s.p[0] == '[');
}

/* "2001:db8::/32", which would be taken for a table of type 2001. */
static bool is_ipv6(struct str s)
{
    ptrdiff_t slash = str_find(s, '/');
    struct addr a;

    return addr_parse(slash < 0 ? s : str_upto(s, (size_t)slash), &a) && str_find(s, ':') >= 0;
}

static void add_item(struct match *m, struct str text, bool negated)
{
    struct why why = WHY;

    for (; text.n > 0 && text.p[0] == '!'; text = str_from(text, 1))
        negated = !negated;
    char *name = mem_dup(text.p, text.n);
    if (name[0] == '/') {
        add_file(m, name, negated);
        free(name);
        return;
    }
    struct item *item = VEC_ADD(&m->items);
    item->negated = negated;
    item->text = name;
    if (text.n == 0) {
        conf_fault(m->parameter, "\"!\" without a name");
        item->broken = mem_dupz("\"!\" without a name");
    } else if (name[0] != '[' && is_ipv6(text)) {
        why_set(&why, "4.3.5", "an IPv6 network is written with brackets: [2001:db8::]/32, not %s",
                name);
        conf_fault(m->parameter, "%s", why_text(&why));
        item->broken = mem_dupz(why_text(&why));
    } else if (name[0] != '[' && strchr(name, ':') != NULL) {
        if (dict_spec_check(name, &why) < 0)
            conf_fault(m->parameter, "%s", why_text(&why));
        item->table = dict_open(name, DICT_READ, DICT_FOLD | DICT_MAY_FAIL, NULL);
    } else if (prefix_parse(text, &item->prefix, &why) == 0) {
        item->is_prefix = true;
    } else if (looks_like_prefix(text)) {
        item->broken_for_hosts = true;
        item->broken = mem_dupz(why_text(&why));
        if (m->hosts)
            conf_fault(m->parameter, "%s", item->broken);
    }
    why_free(&why);
}

static void add_items(struct match *m, struct str text, bool negated)
{
    struct str word;

    while (str_word_braces(&text, ", \t\r\n", &word))
        add_item(m, word, negated);
}

static struct match *open_list(const char *parameter, const char *items, bool hosts)
{
    struct match *m = mem_new(sizeof *m);

    m->parameter = mem_dupz(parameter);
    m->hosts = hosts;
    m->parents = parent_matches(parameter);
    add_items(m, strz(items), false);
    return m;
}

struct match *match_open(const char *parameter, const char *items)
{
    return open_list(parameter, items, false);
}

struct match *match_open_hosts(const char *parameter, const char *items)
{
    return open_list(parameter, items, true);
}

bool match_empty(const struct match *m)
{
    return m == NULL || m->items.n == 0;
}

void match_close(struct match **match)
{
    struct match *m = *match;

    *match = NULL;
    if (m == NULL)
        return;
    VEC_EACH (&m->items, item) {
        dict_close(&item->table);
        free(item->text);
        free(item->broken);
    }
    VEC_FREE(&m->items);
    free(m->parameter);
    free(m);
}

static enum dict_answer broken(const struct match *m, const struct item *item, struct why *why)
{
    msg_warn("%s: %s: %s", m->parameter, item->text, item->broken);
    why_set(why, "4.3.5", "Temporary lookup failure");
    return DICT_FAILED;
}

static enum dict_answer in_table(const struct match *m, struct dict *table, const char *name,
                                 bool part, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why reason = WHY;
    enum dict_answer answer = part ? dict_find_part(table, name, &value, &reason)
                                   : dict_find(table, name, &value, &reason);

    if (answer == DICT_FAILED) {
        msg_warn("%s: %s: table lookup problem: %s", m->parameter, table->spec, why_text(&reason));
        why_set(why, "4.3.0", "Temporary lookup failure");
    }
    buf_free(&value);
    why_free(&reason);
    return answer;
}

static enum dict_answer domain_in_table(const struct match *m, struct dict *table, const char *name,
                                        struct why *why)
{
    enum dict_answer answer = in_table(m, table, name, false, why);

    for (const char *dot = name; answer == DICT_NONE && (dot = strchr(dot + 1, '.')) != NULL;)
        if (dot[1] != 0)
            answer = in_table(m, table, m->parents ? dot + 1 : dot, true, why);
    return answer;
}

static bool is_below(struct str name, struct str parent)
{
    return name.n > parent.n && str_iends(name, parent);
}

static bool is_or_below(const struct match *m, struct str n, struct str pattern)
{
    if (str_ieq(n, pattern))
        return true;
    return is_below(n, pattern) &&
           (m->parents ? n.p[n.n - pattern.n - 1] == '.' : pattern.p[0] == '.');
}

/* The same for a pattern in UTF-8. */
static bool is_or_below_folded(const struct match *m, struct str n, struct str pattern)
{
    struct buf name = BUF(NAME_LIMIT), parent = BUF(NAME_LIMIT);

    dict_fold(n, &name);
    dict_fold(pattern, &parent);
    bool is = buf_ok(&name) && buf_ok(&parent) && is_or_below(m, buf_str(&name), buf_str(&parent));
    buf_free(&name);
    buf_free(&parent);
    return is;
}

static enum dict_answer domain_matches(const struct match *m, const struct item *item,
                                       const char *name, struct why *why)
{
    struct str n = strz(name), pattern = strz(item->text);

    if (item->table != NULL)
        return domain_in_table(m, item->table, name, why);
    bool is =
        utf8_is_ascii(pattern) ? is_or_below(m, n, pattern) : is_or_below_folded(m, n, pattern);
    return is ? DICT_FOUND : DICT_NONE;
}

static enum dict_answer address_matches(const struct match *m, const struct item *item,
                                        const struct addr *addr, const char *text, struct why *why)
{
    if (item->table != NULL)
        return in_table(m, item->table, text, false, why);
    if (item->is_prefix && addr->family != 0)
        return prefix_has(&item->prefix, addr) ? DICT_FOUND : DICT_NONE;
    return str_ieq(strz(text), strz(item->text)) ? DICT_FOUND : DICT_NONE;
}

/* The first item that does not say "no" ends the search. */
static enum dict_answer verdict(const struct item *item, enum dict_answer answer)
{
    return answer == DICT_FOUND && item->negated ? DICT_NONE : answer;
}

static bool is_text(const char *name, const char *text)
{
    return conf.smtputf8_enable ? utf8_ieq(strz(name), strz(text))
                                : str_ieq(strz(name), strz(text));
}

enum dict_answer match_string(struct match *m, const char *name, struct why *why)
{
    for (size_t i = 0; m != NULL && i < m->items.n; i++) {
        const struct item *item = &m->items.at[i];
        if (item->broken != NULL && !item->broken_for_hosts)
            return broken(m, item, why);
        enum dict_answer answer = item->table != NULL ? in_table(m, item->table, name, false, why)
                                  : is_text(name, item->text) ? DICT_FOUND
                                                              : DICT_NONE;
        if (answer != DICT_NONE)
            return verdict(item, answer);
    }
    return DICT_NONE;
}

enum dict_answer match_domain(struct match *m, const char *domain, struct why *why)
{
    for (size_t i = 0; m != NULL && i < m->items.n; i++) {
        const struct item *item = &m->items.at[i];
        if (item->broken != NULL && !item->broken_for_hosts)
            return broken(m, item, why);
        enum dict_answer answer = domain_matches(m, item, domain, why);
        if (answer != DICT_NONE)
            return verdict(item, answer);
    }
    return DICT_NONE;
}

enum dict_answer match_host(struct match *m, const char *name, const char *address, struct why *why)
{
    struct addr addr;

    if (!addr_parse(strz(address), &addr))
        addr.family = 0;
    for (size_t i = 0; m != NULL && i < m->items.n; i++) {
        const struct item *item = &m->items.at[i];
        if (item->broken != NULL)
            return broken(m, item, why);
        enum dict_answer answer = address_matches(m, item, &addr, address, why);
        if (answer == DICT_NONE && *name != 0 && !item->is_prefix)
            answer = domain_matches(m, item, name, why);
        if (answer != DICT_NONE)
            return verdict(item, answer);
    }
    return DICT_NONE;
}

bool match_works(const struct match *m)
{
    for (size_t i = 0; m != NULL && i < m->items.n; i++) {
        const struct item *item = &m->items.at[i];
        if (item->broken != NULL || (item->table != NULL && dict_is_unavailable(item->table)))
            return false;
    }
    return true;
}

struct each_name {
    match_name_fn *fn;
    void *arg;
};

static void one_key(void *arg, const char *key, const char *value __attribute__((unused)))
{
    const struct each_name *e = arg;

    e->fn(e->arg, key);
}

void match_names(const struct match *m, match_name_fn *fn, void *arg)
{
    struct each_name e = {fn, arg};

    for (size_t i = 0; m != NULL && i < m->items.n; i++) {
        const struct item *item = &m->items.at[i];
        if (item->broken != NULL || item->negated || item->is_prefix)
            continue;
        if (item->table == NULL)
            fn(arg, item->text);
        else if ((item->table->can & DICT_WALKS) != 0)
            dict_values(item->table, one_key, &e);
    }
}
