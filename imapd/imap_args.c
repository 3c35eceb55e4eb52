/*
 * Arguments that many commands have: folders, sets, flags.
 */
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "store/uidset.h"

#include "imap.h"

bool imap_end(struct imap *c)
{
    if (imap_is_end(&c->args))
        return true;
    imap_bad(c, "Error in IMAP command %s: Unexpected arguments.", c->command->name);
    return false;
}

bool imap_arg_folder(struct imap *c, const char **folder)
{
    struct str name;

    if (!imap_take_space(&c->args) || !imap_take_astring(&c->args, &name)) {
        imap_bad(c, "Error in IMAP command %s: Missing mailbox name.", c->command->name);
        return false;
    }
    if (str_find(name, 0) >= 0) {
        imap_no(c, "[CANNOT] Invalid mailbox name.");
        return false;
    }
    *folder = arena_strz(c->mem, name);
    return true;
}

/* Numbers of the view into uids. RFC 3501 9: a number above the count is an error. */
static bool numbers_to_uids(struct imap *c, const struct uidset *numbers, struct uidset *uids)
{
    uint32_t count = mailbox_count(c->box);

    if (numbers->n > 0 && numbers->at[numbers->n - 1].high > count)
        return false;
    for (size_t i = 0; i < numbers->n; i++)
        for (uint32_t n = numbers->at[i].low; n <= numbers->at[i].high; n++) {
            uint32_t uid = mailbox_msg(c->box, n)->uid;
            uidset_add(uids, uid, uid);
        }
    return true;
}

bool imap_arg_set(struct imap *c, struct uidset *uids)
{
    struct uidset given = UIDSET;
    struct str text;
    uint32_t count = mailbox_count(c->box);
    uint32_t star = c->uid && count > 0 ? mailbox_msg(c->box, count)->uid : count;
    bool good = imap_take_space(&c->args) && imap_take_set(&c->args, &text) &&
                uidset_parse(text, star, (size_t)conf.imap_set_limit, &given);

    if (good && c->uid)
        uidset_merge(uids, &given);
    else if (good)
        good = numbers_to_uids(c, &given, uids);
    if (!good)
        imap_bad(c, "Error in IMAP command %s: Invalid messageset", c->command->name);
    uidset_free(&given);
    return good;
}

bool imap_may_define(struct str keyword)
{
    return keyword.n <= (size_t)conf.mail_max_keyword_length;
}

void imap_no_keyword(struct imap *c)
{
    imap_no(c, "[CANNOT] A keyword is longer than %lld bytes.",
            (long long)conf.mail_max_keyword_length);
}

/* Can it be set? If not, the client was told. */
static bool is_flag(struct imap *c, struct str name)
{
    bool system = name.p[0] == '\\';

    if (system && imap_flag(name) == 0)
        imap_bad(c, "Error in IMAP command %s: Invalid system flag %.*s", c->command->name,
                 (int)(name.n < 100 ? name.n : 100), name.p);
    else if (!system && mailbox_keyword_find(c->box, name) < 0 && !imap_may_define(name))
        imap_no_keyword(c);
    else
        return true;
    return false;
}

/* "(a b)" or "a b" up to the end: is another flag there? */
static bool more_flags(struct imap_args *a, bool list, size_t n, struct str *name)
{
    return (list ? imap_list_more(a, n) : n == 0 || imap_take_space(a)) && imap_take_flag(a, name);
}

/* Reads the whole list. Nothing is defined before all of it is known to be good. */
static bool is_flag_list(struct imap *c)
{
    struct imap_args a = c->args;
    struct str name;
    bool list = imap_take(&a, '(');

    for (size_t n = 0; more_flags(&a, list, n, &name); n++)
        if (!is_flag(c, name))
            return false;
    if ((!list || imap_take(&a, ')')) && imap_is_end(&a))
        return true;
    imap_bad(c, "Error in IMAP command %s: Invalid flag list", c->command->name);
    return false;
}

struct flag_names {
    uint32_t flags;
    VEC(struct str) keywords;
};

static bool take_flags(struct imap *c, struct flag_names *names)
{
    struct str name;
    bool list = imap_take(&c->args, '(');

    for (size_t n = 0; more_flags(&c->args, list, n, &name); n++) {
        if (name.p[0] == '\\')
            names->flags |= imap_flag(name);
        else
            *VEC_ADD(&names->keywords) = name;
    }
    return !list || imap_take(&c->args, ')');
}

bool imap_arg_flags(struct imap *c, struct flag_change *change)
{
    struct flag_names names = {0};

    if (!is_flag_list(c))
        return false;
    bool good = take_flags(c, &names);
    struct str *keywords = arena_array(c->mem, names.keywords.n, sizeof *keywords);
    for (size_t i = 0; i < names.keywords.n; i++)
        keywords[i] = names.keywords.at[i];
    change->flags = names.flags;
    change->keywords = keywords;
    change->nkeywords = names.keywords.n;
    VEC_FREE(&names.keywords);
    return good;
}
