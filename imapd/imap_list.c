#include "imap_list.h"

#include "base/str.h"

static bool is_wildcard(char c)
{
    return c == '*' || c == '%';
}

/* The part before the first wildcard is cut off both. False: they differ there. */
static bool take_plain(struct str *pattern, struct str *name)
{
    size_t n = 0;

    while (n < pattern->n && n < name->n && !is_wildcard(pattern->p[n]) &&
           pattern->p[n] == name->p[n])
        n++;
    *pattern = str_from(*pattern, n);
    *name = str_from(*name, n);
    return pattern->n == 0 ? name->n == 0 : is_wildcard(*pattern->p);
}

/* What a wildcard at an end may stand for: nothing. */
static void pass_wildcards(bool *row, struct str pattern)
{
    for (size_t i = 0; i < pattern.n; i++)
        if (row[i] && is_wildcard(pattern.p[i]))
            row[i + 1] = true;
}

/* row[i]: the first i bytes of the pattern match what was taken of the name. One more is taken. */
static void take_byte(bool *row, struct str pattern, char c, char separator)
{
    for (size_t i = pattern.n + 1; i-- > 0;) {
        char here = i < pattern.n ? pattern.p[i] : 0, before = i > 0 ? pattern.p[i - 1] : '*';
        bool stays = row[i] && (here == '*' || (here == '%' && c != separator));
        row[i] = stays || (!is_wildcard(before) && row[i - 1] && before == c);
    }
    pass_wildcards(row, pattern);
}

static bool matches(struct list_request *l, struct str pattern, struct str name, char separator)
{
    if (!take_plain(&pattern, &name))
        return false;
    if (pattern.n == 0 || str_eq(pattern, STR("*")))
        return true;
    memset(l->row, 0, (pattern.n + 1) * sizeof *l->row);
    l->row[0] = true;
    pass_wildcards(l->row, pattern);
    for (size_t i = 0; i < name.n; i++)
        take_byte(l->row, pattern, name.p[i], separator);
    l->steps += 2 * (name.n + 1) * (pattern.n + 1);
    return l->row[pattern.n];
}

bool list_matches(struct list_request *l, struct str name, char separator)
{
    for (size_t i = 0; i < l->n; i++)
        if (matches(l, l->patterns[i], name, separator))
            return true;
    return false;
}

/* ---- STATUS items ---- */

const char *const imap_status_names[] = {"MESSAGES",    "RECENT", "UIDNEXT",
                                         "UIDVALIDITY", "UNSEEN", NULL};

unsigned imap_take_status_items(struct imap_args *a)
{
    unsigned items = 0;

    if (!imap_take(a, '('))
        return 0;
    for (size_t n = 0; imap_list_more(a, n); n++) {
        size_t i = 0;
        while (imap_status_names[i] != NULL && !imap_take_word(a, imap_status_names[i]))
            i++;
        if (imap_status_names[i] == NULL)
            return 0;
        items |= 1u << i;
    }
    return imap_take(a, ')') ? items : 0;
}

/* ---- options ---- */

struct option {
    const char *name;
    unsigned bit;
};
static const struct option selections[] = {{"SUBSCRIBED", LIST_SUBSCRIBED},
                                           {"SPECIAL-USE", LIST_SPECIAL_USE},
                                           {"REMOTE", LIST_REMOTE},
                                           {"RECURSIVEMATCH", LIST_RECURSIVE},
                                           {NULL, 0}};
static const struct option returns[] = {{"SUBSCRIBED", LIST_GIVE_SUBSCRIBED},
                                        {"CHILDREN", LIST_GIVE_CHILDREN},
                                        {"SPECIAL-USE", LIST_GIVE_SPECIAL_USE},
                                        {"STATUS", LIST_GIVE_STATUS},
                                        {NULL, 0}};

static unsigned take_option(struct imap_args *a, const struct option *options)
{
    while (options->name != NULL && !imap_take_word(a, options->name))
        options++;
    return options->bit;
}

/* "(SUBSCRIBED RECURSIVEMATCH) " before the reference. */
static const char *take_selection(struct imap_args *a, struct list_request *l)
{
    if (!imap_take(a, '('))
        return NULL;
    l->extended = true;
    for (size_t n = 0; imap_list_more(a, n); n++) {
        unsigned bit = take_option(a, selections);
        if (bit == 0)
            return "Unknown select options";
        l->select |= bit;
    }
    if (!imap_take(a, ')') || !imap_take_space(a))
        return "Invalid arguments.";
    if ((l->select & (LIST_RECURSIVE | LIST_SUBSCRIBED | LIST_SPECIAL_USE)) == LIST_RECURSIVE)
        return "RECURSIVEMATCH must not be the only selection"; /* RFC 5258 3.1 */
    /* What is selected by a property is told with it: RFC 5258 3.1, RFC 6154 4. */
    l->give |= (l->select & LIST_SUBSCRIBED) != 0 ? LIST_GIVE_SUBSCRIBED : 0;
    l->give |= (l->select & LIST_SPECIAL_USE) != 0 ? LIST_GIVE_SPECIAL_USE : 0;
    return NULL;
}

/* " RETURN (CHILDREN STATUS (MESSAGES))" behind the patterns. */
static const char *take_return(struct imap_args *a, struct list_request *l)
{
    if (!imap_take_space(a) || imap_is_end(a))
        return NULL;
    if (!imap_take_word(a, "RETURN") || !imap_take_space(a) || !imap_take(a, '('))
        return "Extra arguments";
    l->extended = true;
    for (size_t n = 0; imap_list_more(a, n); n++) {
        unsigned bit = take_option(a, returns);
        if (bit == 0)
            return "Unknown return options";
        if (bit == LIST_GIVE_STATUS &&
            (!imap_take_space(a) || (l->status = imap_take_status_items(a)) == 0))
            return "Invalid status items.";
        l->give |= bit;
    }
    return imap_take(a, ')') ? NULL : "Invalid arguments.";
}

/* ---- patterns ---- */

/* INBOX is the same in any case: RFC 3501 5.1. */
static struct str with_inbox(struct imap_args *a, struct str pattern, char separator)
{
    char next = pattern.n > 5 ? pattern.p[5] : separator;

    if (!str_istarts(pattern, STR("INBOX")) || (next != separator && next != '*' && next != '%'))
        return pattern;
    struct str changed = arena_str(a->mem, pattern);
    memcpy((char *)changed.p, "INBOX", 5);
    return changed;
}

static struct str joined(struct imap_args *a, struct str reference, struct str name)
{
    char *p = arena_alloc(a->mem, reference.n + name.n + 1);

    memcpy(p, reference.p, reference.n);
    memcpy(p + reference.n, name.p, name.n);
    return (struct str){p, reference.n + name.n};
}

static bool take_pattern(struct imap_args *a, char separator, struct list_request *l)
{
    struct str name;

    if (l->n == LIST_PATTERNS_MAX || !imap_take_list_mailbox(a, &name))
        return false;
    if (name.n > 0 || !l->extended) /* an empty one asks for the separator, in a plain LIST only */
        l->patterns[l->n++] =
            name.n == 0 ? name : with_inbox(a, joined(a, l->reference, name), separator);
    return true;
}

static const char *take_patterns(struct imap_args *a, char separator, bool extended,
                                 struct list_request *l)
{
    if (!extended || !imap_take(a, '(')) {
        l->patterns = arena_array(a->mem, 1, sizeof *l->patterns);
        return take_pattern(a, separator, l) ? NULL : "Invalid arguments.";
    }
    l->extended = true;
    l->patterns = arena_array(a->mem, LIST_PATTERNS_MAX, sizeof *l->patterns);
    for (size_t n = 0; imap_list_more(a, n); n++)
        if (!take_pattern(a, separator, l))
            return "Invalid pattern list.";
    return imap_take(a, ')') ? NULL : "Invalid pattern list.";
}

static void make_row(struct imap_args *a, struct list_request *l)
{
    size_t longest = 0;

    for (size_t i = 0; i < l->n; i++)
        longest = l->patterns[i].n > longest ? l->patterns[i].n : longest;
    l->row = arena_array(a->mem, longest + 1, sizeof *l->row);
}

const char *list_parse(struct imap_args *a, char separator, bool extended, struct list_request *l)
{
    const char *error;

    *l = (struct list_request){0};
    if (!imap_take_space(a))
        return "Invalid arguments.";
    if (extended && (error = take_selection(a, l)) != NULL)
        return error;
    if (!imap_take_astring(a, &l->reference) || !imap_take_space(a))
        return "Invalid arguments.";
    error = take_patterns(a, separator, extended, l);
    if (error == NULL && extended)
        error = take_return(a, l);
    if (error == NULL && !imap_is_end(a))
        error = "Extra arguments";
    if (l->extended && l->n == 1 && l->patterns[0].n == 0)
        l->n = 0;
    if (!l->extended)
        l->give = LIST_GIVE_CHILDREN | LIST_GIVE_SPECIAL_USE;
    make_row(a, l);
    return error;
}
