#include "imap_list.h"

#include "base/str.h"

/* One pass with a place to go back to, for each of both wildcards, so that no pattern takes long.
 */
static bool matches(struct str pattern, struct str name, char separator)
{
    size_t p = 0, n = 0;
    size_t star = SIZE_MAX, star_n = 0, percent = SIZE_MAX, percent_n = 0;

    while (n < name.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = ++p, star_n = n;
            percent = SIZE_MAX;
        } else if (p < pattern.n && pattern.p[p] == '%') {
            percent = ++p, percent_n = n;
        } else if (p < pattern.n && n < name.n && pattern.p[p] == name.p[n]) {
            p++, n++;
        } else if (percent != SIZE_MAX && percent_n < name.n && name.p[percent_n] != separator) {
            p = percent, n = ++percent_n;
        } else if (star != SIZE_MAX && star_n < name.n) {
            p = star, n = ++star_n;
            percent = SIZE_MAX;
        } else {
            return false;
        }
    }
    return true;
}

bool list_matches(const struct list_request *l, struct str name, char separator)
{
    for (size_t i = 0; i < l->n; i++)
        if (matches(l->patterns[i], name, separator))
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
    return error;
}
