/*
 * What an address becomes: canonical maps, masquerading, virtual aliases, and the copies that the
 * bcc maps ask for.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "mail/addr_list.h"
#include "route/classes.h"
#include "task/task.h"

#include "cleanup.h"

static struct {
    struct maps *sender_canonical, *rcpt_canonical, *canonical, *virtual, *sender_bcc, *rcpt_bcc;
    unsigned sender_classes, rcpt_classes, canonical_classes, masquerade_classes;
    bool canonical_extension, virtual_extension;
} maps;

static unsigned classes_of(const char *parameter, const char *text)
{
    static const struct str_flag names[] = {{"envelope_sender", MAP_ENVELOPE_SENDER},
                                            {"envelope_recipient", MAP_ENVELOPE_RCPT},
                                            {"header_sender", MAP_HEADER_SENDER},
                                            {"header_recipient", MAP_HEADER_RCPT},
                                            {0}};
    unsigned classes;
    struct str unknown;

    if (!str_flags(text, names, &classes, &unknown))
        msg_fatal("%s: unknown class \"%.*s\"", parameter, (int)unknown.n, unknown.p);
    return classes;
}

void cleanup_open_maps(void)
{
    maps.sender_canonical =
        maps_open("sender_canonical_maps", conf.sender_canonical_maps, DICT_FOLD | DICT_MAY_FAIL);
    maps.rcpt_canonical = maps_open("recipient_canonical_maps", conf.recipient_canonical_maps,
                                    DICT_FOLD | DICT_MAY_FAIL);
    maps.canonical = maps_open("canonical_maps", conf.canonical_maps, DICT_FOLD | DICT_MAY_FAIL);
    maps.virtual = maps_open("virtual_alias_maps", conf.virtual_alias_maps,
                             DICT_FOLD | DICT_MAY_FAIL);
    maps.sender_bcc = maps_open("sender_bcc_maps", conf.sender_bcc_maps, DICT_FOLD | DICT_MAY_FAIL);
    maps.rcpt_bcc =
        maps_open("recipient_bcc_maps", conf.recipient_bcc_maps, DICT_FOLD | DICT_MAY_FAIL);
    maps.sender_classes = classes_of("sender_canonical_classes", conf.sender_canonical_classes);
    maps.rcpt_classes = classes_of("recipient_canonical_classes", conf.recipient_canonical_classes);
    maps.canonical_classes = classes_of("canonical_classes", conf.canonical_classes);
    maps.masquerade_classes = classes_of("masquerade_classes", conf.masquerade_classes);
    maps.canonical_extension = str_ilisted(conf.propagate_unmatched_extensions, STR("canonical"));
    maps.virtual_extension = str_ilisted(conf.propagate_unmatched_extensions, STR("virtual"));
}

bool cleanup_one_address(struct cleanup *c, struct str text, struct buf *address)
{
    struct arena *mem = arena_new(c->mem);
    struct addr_list list;
    size_t n = 0;

    addr_list_parse(mem, text, (size_t)conf.header_address_token_limit, &list);
    for (const struct addr *a = list.at; a < list.at + list.n; a++)
        if (a->kind == ADDR_MAILBOX && n++ == 0)
            addr_internal(a, address);
    if (n > 1)
        msg_warn("%s: more than one address from a milter: \"%.*s\"", cleanup_id(c),
                 (int)str_upto(text, 200).n, text.p);
    arena_free(&mem);
    return buf_ok(address);
}

static void cleanup_map_failed(struct cleanup *c, const struct why *why)
{
    cleanup_fail(c, "4.3.0", "%s", why_text(why));
    msg_warn("%s: %s", cleanup_id(c), why_text(why));
}

static void too_long(struct cleanup *c, const struct buf *result)
{
    msg_warn("%s: unreasonable %s result %.300s... -- message not accepted, try again later",
             cleanup_id(c), maps_parameter(maps.virtual), result->p);
    cleanup_fail(c, "4.6.0", "Alias expansion error");
}

/*
 * The addresses that a table gives for this one, in canonical form: a value that is only "@domain"
 * keeps the local part, and ext goes to each that has none of its own.
 */
static size_t results(struct cleanup *c, const char *address, struct str value, struct str ext,
                      const char ***out)
{
    struct addr_list list;
    struct buf one = BUF(16384), canonical = BUF(16384);
    size_t n = 0;

    /* All of it: an address that is passed over is a recipient that gets nothing. */
    addr_list_parse(c->mem, value, value.n + 1, &list);
    *out = arena_array(c->mem, list.n + 1, sizeof **out);
    for (const struct addr *a = list.at; a < list.at + list.n; a++) {
        if (a->kind != ADDR_MAILBOX)
            continue;
        buf_clear(&one);
        buf_clear(&canonical);
        ptrdiff_t at = str_rfind(strz(address), '@');
        if (a->local.n == 0 && a->domain.n > 0)
            buf_add(&one, at < 0 ? strz(address) : str_upto(strz(address), (size_t)at));
        else
            buf_add(&one, a->local);
        if (a->local.n > 0)
            buf_add(&one, ext);
        if (a->domain.n > 0) {
            buf_addc(&one, '@');
            buf_add(&one, a->domain);
        }
        rewrite_address(REWRITE_LOCAL, one.p, &canonical);
        if (!buf_ok(&one) || !buf_ok(&canonical) ||
            canonical.n > (size_t)conf.virtual_alias_address_length_limit)
            too_long(c, &canonical);
        else if (canonical.n > 0)
            (*out)[n++] = arena_strz(c->mem, buf_str(&canonical));
    }
    buf_free(&one);
    buf_free(&canonical);
    return n;
}

/* (waits) when lookups have taken long. How many addresses it gives, 0 for none, -1 for a failed
 * table. */
static ptrdiff_t look_up(struct cleanup *c, struct maps *m, bool keep_ext, const char *address,
                         const char ***out)
{
    struct buf value = BUF(DICT_VALUE_LIMIT), ext = BUF(REC_MAX); /* ext: a part of address */
    struct why why = WHY;
    ptrdiff_t n = 0;

    task_yield_if_long();
    enum dict_answer answer = route_find(m, address, &value, &ext, &why);
    if (answer == DICT_FAILED) {
        cleanup_map_failed(c, &why);
        n = -1;
    } else if (answer == DICT_FOUND) {
        n = (ptrdiff_t)results(c, address, buf_str(&value), keep_ext ? buf_str(&ext) : STR(""),
                               out);
        if (n == 0)
            msg_warn("%s: no address in the entry for %s", maps_parameter(m), address);
    }
    buf_free(&value);
    buf_free(&ext);
    why_free(&why);
    return n;
}

/* A canonical map is followed until nothing changes any more. One that goes round is told of, but
 * stops no mail, as in Postfix. */
static int map_once(struct cleanup *c, struct maps *m, struct buf *address)
{
    enum { NESTING = 10 };
    const char **found;

    for (int i = 0; i < NESTING; i++) {
        ptrdiff_t n = look_up(c, m, maps.canonical_extension, address->p, &found);
        if (n < 0)
            return -1;
        if (n == 0 || str_ieqz(buf_str(address), found[0]))
            return 0;
        if (n > 1)
            msg_warn("%s: %s has several results, only the first is used", maps_parameter(m),
                     address->p);
        buf_setz(address, found[0]);
    }
    msg_warn("%s: unreasonable %s map nesting for %s", cleanup_id(c), maps_parameter(m),
             address->p);
    return 0;
}

/* Masquerading: a host below one of masquerade_domains becomes that domain. "!host" is left as it
 * is. */
static void masquerade(struct buf *address)
{
    struct str rest = strz(conf.masquerade_domains), word;
    ptrdiff_t at = str_rfind(buf_str(address), '@');

    if (at < 0 || conf.masquerade_domains[0] == 0)
        return;
    struct str local = str_upto(buf_str(address), (size_t)at);
    struct str domain = str_from(buf_str(address), (size_t)at + 1);
    if (str_ilisted(conf.masquerade_exceptions, local))
        return;
    while (str_word(&rest, ", \t\r\n", &word)) {
        bool leave = word.p[0] == '!';
        if (leave)
            word = str_from(word, 1);
        bool below =
            word.n < domain.n && str_iends(domain, word) && domain.p[domain.n - word.n - 1] == '.';
        if (!below && !str_ieq(domain, word))
            continue;
        if (!leave && below) {
            buf_cut(address, (size_t)at + 1);
            buf_add(address, word);
        }
        return;
    }
}

int cleanup_map_address(struct cleanup *c, enum cleanup_class class, struct buf *address)
{
    const struct {
        struct maps *m;
        unsigned classes;
    } steps[] = {{maps.sender_canonical, maps.sender_classes},
                 {maps.rcpt_canonical, maps.rcpt_classes},
                 {maps.canonical, maps.canonical_classes}};

    if (address->n == 0)
        return 0;
    for (size_t i = 0; i < 3; i++)
        if ((steps[i].classes & class) != 0 && !maps_empty(steps[i].m) &&
            map_once(c, steps[i].m, address) < 0)
            return -1;
    if ((maps.masquerade_classes & class) != 0)
        masquerade(address);
    return 0;
}

/* The warnings are in Postfix's words, since people look for them. */
static void not_expanded(struct cleanup *c, const char *what, const char *address)
{
    msg_warn("%s: unreasonable %s map %s for %s -- message not accepted, try again later",
             cleanup_id(c), maps_parameter(maps.virtual), what, address);
    cleanup_fail(c, "4.6.0", "Alias expansion error");
}

/* One expansion: Postfix's order, the first result in the place of what it was found for, the
 * others at the end. */
struct expansion {
    struct cleanup *c;
    const char *original;
    VEC(const char *) at; /* the addresses, done and to do */
    struct hash *selves; /* those that gave themselves: a mailbox, not looked up again */
};

/* Puts the results in the place of what they were found for, and at the end. */
static void replace(struct expansion *e, size_t i, const char **found, size_t n)
{
    const char *from = e->at.at[i];

    for (size_t k = 0; k < n; k++) {
        if (k == 0)
            e->at.at[i] = found[0];
        else
            *VEC_ADD(&e->at) = found[k];
        if (strcasecmp(found[k], from) == 0)
            hash_put(e->selves, strz(from), e);
    }
}

/* Follows the address at i until a table says no more of it. -1: c has failed. */
static int follow(struct expansion *e, size_t i)
{
    const char **found;

    for (int64_t depth = 0; hash_find(e->selves, strz(e->at.at[i])) == NULL; depth++) {
        if (depth >= conf.virtual_alias_recursion_limit) {
            not_expanded(e->c, "nesting", e->original);
            return -1;
        }
        ptrdiff_t n = look_up(e->c, maps.virtual, maps.virtual_extension, e->at.at[i], &found);
        if (n <= 0)
            return (int)n;
        replace(e, i, found, (size_t)n);
    }
    return 0;
}

/* Breadth is bounded by virtual_alias_expansion_limit, depth by virtual_alias_recursion_limit. */
int cleanup_expand(struct cleanup *c, const char *address, struct cleanup_addresses *out)
{
    struct expansion e = {.c = c, .original = address, .selves = hash_new()};
    int result = 0;

    *VEC_ADD(&e.at) = address;
    for (size_t i = 0; !maps_empty(maps.virtual) && i < e.at.n && result == 0; i++) {
        result = follow(&e, i);
        if (result == 0 && e.at.n > (size_t)conf.virtual_alias_expansion_limit) {
            not_expanded(c, "expansion size", address);
            result = -1;
        }
    }
    out->n = e.at.n;
    out->at = arena_array(c->mem, e.at.n, sizeof *out->at);
    memcpy(out->at, e.at.at, e.at.n * sizeof *out->at);
    VEC_FREE(&e.at);
    hash_free(&e.selves, NULL);
    return result;
}

int cleanup_find_bcc(struct cleanup *c, enum cleanup_bcc which, const char *address,
                     struct buf *bcc)
{
    struct maps *m = which == BCC_SENDER ? maps.sender_bcc : maps.rcpt_bcc;
    struct why why = WHY;
    int result = 0;

    if (maps_empty(m))
        return 0;
    task_yield_if_long();
    if (route_find(m, address, bcc, NULL, &why) == DICT_FAILED) {
        cleanup_map_failed(c, &why);
        result = -1;
    }
    why_free(&why);
    return result;
}
