/*
 * Aliases: whose rights their commands run with, and who is told of failures.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "route/rewrite.h"

#include "local.h"

enum { DEPTH_LIMIT = 100, ADDRESS_LIMIT = 64 * 1024 };

static void local_alias_fail(struct local *l, const struct address *a, const char *code,
                             const char *text)
{
    struct why why = WHY;

    why_set(&why, code, "%s", text);
    local_failed(l, a, &why);
    why_free(&why);
}

/* The table's owner, or with a table of root's nobody's yet. */
static bool take_rights(struct local *l, struct address *a, const struct dict *table)
{
    struct why why = WHY;
    int found;

    a->rights = (struct rights){.user = "", .home = "", .shell = ""};
    if (table->owner == 0)
        return true;
    found = local_user_by_id(l->mem, table->owner, &a->rights, &why);
    if (found <= 0) {
        msg_warn("cannot find alias database owner for %s", table->spec);
        local_alias_fail(l, a, "4.3.0", "cannot find alias database owner");
    }
    why_free(&why);
    return found > 0;
}

/* owner-NAME gets the error reports, and is the sender of what goes on to others. A report keeps
 * the null sender: what is told of its failure would come back here again, for ever, if the owner
 * is the list itself. RFC 5321 4.5.5, 6.1 */
static enum dict_answer take_owner(struct local *l, struct address *a, const char *name,
                                   struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT), canonical = BUF(ADDRESS_LIMIT);
    const char *owner = arena_printf(l->mem, "owner-%s", name);
    enum dict_answer answer = DICT_NONE;

    if (conf.owner_request_special)
        answer = maps_find_part(local_tables.aliases, owner, &value, why);
    if (answer == DICT_FOUND) {
        rewrite_address(REWRITE_LOCAL, conf.expand_owner_alias ? value.p : owner, &canonical);
        if (!buf_ok(&canonical)) {
            why_set(why, "4.3.0", "the owner of %s is too long for an address", name);
            answer = DICT_FAILED;
        }
        a->from_list = true;
        a->owner = arena_strz(l->mem, buf_str(&canonical));
        if (*a->sender != 0)
            a->sender = a->owner;
    } else if (answer == DICT_NONE && conf.reset_owner_alias)
        a->owner = "";
    buf_free(&value);
    buf_free(&canonical);
    return answer;
}

static void expand(struct local *l, struct address *a, const char *name, const struct dict *table,
                   const char *value)
{
    struct why why = WHY;
    struct buf text = BUF_TEXT(DICT_VALUE_LIMIT);

    if (local_trace_only(l)) {
        buf_addf(&text, "aliased to %s", value);
        local_sent(l, a, "2.0.0", text.p);
    } else if (take_rights(l, a, table)) {
        a->origin = FROM_ALIAS;
        if (take_owner(l, a, name, &why) == DICT_FAILED)
            local_alias_fail(l, a, "4.3.0", "alias database unavailable");
        else {
            if (!conf.frozen_delivered_to)
                a->delivered = a->address;
            a->expanded = name;
            if (local_targets(l, a, strz(value)) == 0) {
                msg_warn("no recipient in alias lookup result for %s", name);
                local_alias_fail(l, a, "4.3.0", "alias database unavailable"); /* Postfix's words */
            }
        }
    }
    buf_free(&text);
    why_free(&why);
}

bool local_alias(struct local *l, struct address *a, const char *name)
{
    struct maps *tables = local_tables.aliases;
    enum dict_answer answer = DICT_NONE;
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    /* An alias that names itself means the user. */
    if (strcasecmp(a->expanded, name) == 0)
        return false;
    for (size_t i = 0; i < maps_count(tables) && answer == DICT_NONE; i++) {
        answer = dict_find(maps_at(tables, i), name, &value, &why);
        if (answer == DICT_FOUND && a->level > DEPTH_LIMIT) {
            msg_warn("alias database loop for %s", name);
            buf_clear(&value);
            buf_addf(&value, "alias database loop for %s", name);
            local_alias_fail(l, a, "5.4.6", value.p);
        } else if (answer == DICT_FOUND)
            expand(l, a, name, maps_at(tables, i), value.p);
        else if (answer == DICT_FAILED) {
            msg_warn("%s: lookup of '%s' failed: %s", maps_at(tables, i)->spec, name,
                     why_text(&why));
            local_alias_fail(l, a, "4.3.0", "alias database unavailable");
        }
    }
    buf_free(&value);
    why_free(&why);
    return answer != DICT_NONE;
}
