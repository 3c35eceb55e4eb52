#include "route/recipient.h"

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

static struct {
    bool open;
    struct maps *canonical, *recipient_canonical, *virtual_alias;
    struct maps *local, *virtual_mailbox, *relay;
} tables;

void recipient_open(void)
{
    if (tables.open)
        return;
    tables.open = true;
    resolve_open();
    tables.canonical = maps_open("canonical_maps", conf.canonical_maps, DICT_FOLD);
    tables.recipient_canonical =
        maps_open("recipient_canonical_maps", conf.recipient_canonical_maps, DICT_FOLD);
    tables.virtual_alias = maps_open("virtual_alias_maps", conf.virtual_alias_maps, DICT_FOLD);
    tables.local = maps_open("local_recipient_maps", conf.local_recipient_maps, DICT_FOLD);
    tables.virtual_mailbox =
        maps_open("virtual_mailbox_maps", conf.virtual_mailbox_maps, DICT_FOLD);
    tables.relay = maps_open("relay_recipient_maps", conf.relay_recipient_maps, DICT_FOLD);
}

void recipient_close(void)
{
    maps_close(&tables.canonical);
    maps_close(&tables.recipient_canonical);
    maps_close(&tables.virtual_alias);
    maps_close(&tables.local);
    maps_close(&tables.virtual_mailbox);
    maps_close(&tables.relay);
    tables.open = false;
    resolve_close();
}

/* Is it rewritten to another address? Then that one counts, and cleanup finds it. */
static enum dict_answer is_rewritten(const char *recipient, struct why *why)
{
    struct maps *const lists[] = {tables.recipient_canonical, tables.canonical,
                                  tables.virtual_alias};
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = DICT_NONE;

    for (size_t i = 0; i < 3 && answer == DICT_NONE; i++)
        answer = route_find(lists[i], recipient, &value, NULL, why);
    buf_free(&value);
    return answer;
}

/* These are always there: somebody must get the mail that a mail system itself needs to send. */
static bool is_system_user(const char *recipient)
{
    const char *const names[] = {conf.double_bounce_sender, "postmaster", "MAILER-DAEMON"};
    const char *at = strrchr(recipient, '@');
    struct str localpart = {recipient, at == NULL ? strlen(recipient) : (size_t)(at - recipient)};

    for (size_t i = 0; i < 3; i++)
        if (str_ieqz(localpart, names[i]))
            return true;
    return false;
}

static enum dict_answer unknown(const char *table, int64_t code, int *reply, struct why *why)
{
    *reply = (int)code;
    why_set(why, code < 500 ? "4.1.1" : "5.1.1", "User unknown%s%s%s",
            conf.show_user_unknown_table_name ? " in " : "",
            conf.show_user_unknown_table_name ? table : "",
            conf.show_user_unknown_table_name ? " table" : "");
    return DICT_NONE;
}

static enum dict_answer in_class(const struct route *r, int *reply, struct why *why)
{
    struct maps *const lists[] = {[CLASS_LOCAL] = tables.local,
                                  [CLASS_VIRTUAL_MAILBOX] = tables.virtual_mailbox,
                                  [CLASS_RELAY] = tables.relay,
                                  [CLASS_DEFAULT] = NULL};
    struct maps *list = lists[r->class];
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer;

    if (maps_empty(list) || (r->class == CLASS_LOCAL && is_system_user(r->recipient.p)))
        return DICT_FOUND;
    answer = route_find(list, r->recipient.p, &value, NULL, why);
    buf_free(&value);
    if (answer != DICT_NONE)
        return answer;
    if (r->class == CLASS_LOCAL)
        return unknown("local recipient", conf.unknown_local_recipient_reject_code, reply, why);
    if (r->class == CLASS_RELAY)
        return unknown("relay recipient", conf.unknown_relay_recipient_reject_code, reply, why);
    return unknown("virtual mailbox", conf.unknown_virtual_mailbox_reject_code, reply, why);
}

/* The error transport: its next hop is "5.1.1 text" or a text alone. */
static enum dict_answer is_error(const struct route *r, bool later, int *reply, struct why *why)
{
    const char *text = r->nexthop.p;
    /* fits: 11 letters at most */
    struct buf code = BUF(16);
    size_t n = strcspn(text, " \t");

    buf_setz(&code, later ? "4.1.1" : "5.1.1");
    if (n >= 5 && n < 12 && strchr("245", text[0]) != NULL && text[1] == '.' &&
        strspn(text, "0123456789.") == n) {
        buf_set(&code, (struct str){text, n});
        code.p[0] = later ? '4' : '5';
        text += n + strspn(text + n, " \t");
    }
    *reply = later                             ? 450
             : r->class == CLASS_VIRTUAL_ALIAS ? (int)conf.unknown_virtual_alias_reject_code
                                               : 550;
    why_set(why, code.p, "%s", text);
    buf_free(&code);
    return DICT_NONE;
}

enum dict_answer recipient_find(const struct route *r, int *reply, struct why *why)
{
    enum dict_answer answer = is_rewritten(r->recipient.p, why);

    *reply = 451;
    if (answer != DICT_NONE)
        return answer;
    if (str_eqz(buf_str(&r->transport), "error") || str_eqz(buf_str(&r->transport), "retry"))
        return is_error(r, r->transport.p[0] == 'r', reply, why);
    return in_class(r, reply, why);
}
