/*
 * $user, $home, $extension ... in forward_path, luser_relay and the like.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"

#include "local.h"

struct expansion {
    struct local *l;
    const struct address *a;
    const char *filter; /* null: none */
};

static const char *filtered(const struct expansion *x, const char *value)
{
    char *copy = arena_strz(x->l->mem, strz(value));

    for (char *p = copy; x->filter != NULL && *p != 0; p++)
        if (strchr(x->filter, *p) == NULL)
            *p = '_';
    return copy;
}

static const char *local_macro_find(struct str name, void *arg)
{
    const struct expansion *x = arg;
    const struct address *a = x->a;
    const struct {
        const char *name, *value;
        bool outside; /* chosen by who sends */
    } known[] = {
        {"user", a->user, true},
        {"local", a->local, true},
        {"domain", a->domain, true},
        {"recipient", a->address, true},
        {"mailbox", a->user, true},
        {"extension", a->ext, true},
        {"home", a->rights.home, false},
        {"shell", a->rights.shell, false},
        {"recipient_delimiter", *a->ext != 0 ? conf.recipient_delimiter : "", false},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eqz(name, known[i].name))
            return known[i].outside ? filtered(x, known[i].value) : known[i].value;
    return conf_find(arena_strz(x->l->mem, name));
}

bool local_expand(struct local *l, const struct address *a, const char *text, const char *filter,
                  struct buf *out)
{
    struct expansion x = {l, a, filter};
    struct why why = WHY;
    bool good = conf_expand_text(strz(text), 0, local_macro_find, &x, out, &why) == 0;

    if (!good)
        msg_warn("%s: %s", text, why_text(&why));
    why_free(&why);
    return good;
}
