/*
 * Keywords in the state of a folder. The first 64 are bits of each message, the others have a set
 * of uids each. A place without a name is free.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/folder_state.h"

bool state_keyword_ok(struct str name)
{
    return name.n > 0 && name.n <= 255 && memchr(name.p, '\0', name.n) == NULL &&
           memchr(name.p, '\n', name.n) == NULL;
}

int state_keyword(const struct state *s, struct str name)
{
    for (size_t i = 0; i < s->keywords.n && name.n > 0; i++)
        if (str_ieqz(name, s->keywords.at[i].name))
            return (int)i;
    return -1;
}

struct str state_keyword_name(const struct state *s, size_t i)
{
    return i < s->keywords.n ? strz(s->keywords.at[i].name) : STR("");
}

bool state_has_keyword(const struct state *s, const struct slot *slot, size_t i)
{
    if (i < MSG_KEYWORDS)
        return slot->m.keywords >> i & 1;
    return i < s->keywords.n && uidset_has(&s->keywords.at[i].uids, slot->m.uid);
}

/* Somebody may be putting the old name out: it lives as long as the state. */
bool state_name_keyword(struct state *s, size_t i, struct str name)
{
    if (i >= KEYWORD_PLACES || (name.n > 0 && !state_keyword_ok(name)))
        return false;
    while (s->keywords.n <= i)
        *VEC_ADD(&s->keywords) = (struct keyword){mem_dupz(""), UIDSET};
    struct keyword *k = &s->keywords.at[i];
    if (str_eqz(name, k->name))
        return true;
    *VEC_ADD(&s->old_names) = k->name;
    k->name = mem_dup(name.p, name.n);
    uidset_free(&k->uids);
    s->renamed += name.n > 0;
    return true;
}

void state_free_keywords(struct state *s)
{
    VEC_EACH (&s->keywords, k) {
        free(k->name);
        uidset_free(&k->uids);
    }
    VEC_EACH (&s->old_names, name)
        free(*name);
    VEC_FREE(&s->keywords);
    VEC_FREE(&s->old_names);
}

uint32_t state_unnamed(const struct state *s)
{
    uint32_t unnamed = (1u << KEYWORD_LETTERS) - 1;

    for (uint32_t i = 0; i < s->keywords.n && i < KEYWORD_LETTERS; i++)
        if (s->keywords.at[i].name[0] != '\0')
            unnamed &= ~(1u << i);
    return unnamed;
}
