/*
 * Who needs no test, and who is not wanted: postscreen_access_list. On which of our addresses
 * clients can pass: postscreen_allowlist_interfaces.
 */
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "dict/maps.h"
#include "dict/match.h"
#include "service/service.h"

#include "postscreen.h"

static const char parameter[] = "postscreen_access_list";
static const char separators[] = ", \t\r\n";

enum word { WORD_DUNNO, WORD_PERMIT, WORD_REJECT, WORD_MYNETWORKS, WORD_TABLE, WORD_NONE };

static struct {
    VEC(struct item {
        enum word word;
        struct maps *table;
    })
    items;
    struct match *mynetworks, *interfaces;
} lists;

static enum word word_of(struct str text)
{
    static const char *const names[] = {"dunno", "permit", "reject", "permit_mynetworks"};

    for (int i = 0; i < WORD_TABLE; i++)
        if (str_ieqz(text, names[i]))
            return (enum word)i;
    return str_find(text, ':') > 0 ? WORD_TABLE : WORD_NONE;
}

/* A maps_value_fn. */
static void check_value(void *arg, const char *table, const char *where, const char *value)
{
    struct str rest = strz(value), word;

    (void)arg;
    while (str_word(&rest, separators, &word))
        if (word_of(word) >= WORD_TABLE) {
            conf_unknown_action(parameter, table, where,
                                "permit, permit_mynetworks, reject or dunno is wanted");
            return;
        }
}

static void open_table(struct item *item, struct str text)
{
    char *spec = mem_dup(text.p, text.n);

    item->table = maps_open(parameter, spec, DICT_FOLD | DICT_MAY_FAIL);
    if (service_trying())
        maps_values(item->table, check_value, NULL);
    free(spec);
}

void screen_open_access(void)
{
    struct str rest = strz(conf.postscreen_access_list), text;

    while (str_word_braces(&rest, separators, &text)) {
        struct item *item = VEC_ADD(&lists.items);
        str_unbrace(&text);
        item->word = word_of(text);
        if (item->word == WORD_TABLE)
            open_table(item, text);
        else if (item->word == WORD_NONE)
            conf_fault(parameter,
                       "\"%.*s\": permit, permit_mynetworks, reject, dunno or type:table is wanted",
                       (int)text.n, text.p);
    }
    lists.mynetworks = match_open_hosts("mynetworks", conf.mynetworks);
    lists.interfaces =
        match_open_hosts("postscreen_allowlist_interfaces", conf.postscreen_allowlist_interfaces);
}

/* WORD_TABLE: it does not decide, go on. */
static enum screen_access decide(struct screen *s, enum word word, bool *decided, struct why *why)
{
    *decided = true;
    if (word == WORD_PERMIT)
        return ACCESS_PERMIT;
    if (word == WORD_REJECT)
        return ACCESS_REJECT;
    if (word == WORD_MYNETWORKS)
        switch (match_host(lists.mynetworks, s->peer.addr_text, s->peer.addr_text, why)) {
        case DICT_FOUND:
            return ACCESS_PERMIT;
        case DICT_FAILED:
            return ACCESS_FAILED;
        case DICT_NONE:
            *decided = false;
        }
    return ACCESS_DUNNO;
}

/* The words of a value: dunno ends it, and the list goes on. */
static enum screen_access ask_table(struct screen *s, struct maps *table, bool *decided,
                                    struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct str rest, word;
    enum screen_access result = ACCESS_DUNNO;

    *decided = false;
    switch (maps_find(table, s->peer.addr_text, &value, why)) {
    case DICT_FAILED:
        *decided = true;
        result = ACCESS_FAILED;
        break;
    case DICT_FOUND:
        rest = buf_str(&value);
        while (!*decided && str_word(&rest, separators, &word)) {
            enum word w = word_of(word);
            if (w == WORD_DUNNO)
                break;
            if (w >= WORD_TABLE)
                msg_warn("%s: \"%.*s\" is no word of an access list", parameter, (int)word.n,
                         word.p);
            else
                result = decide(s, w, decided, why);
        }
        break;
    case DICT_NONE:
        break;
    }
    buf_free(&value);
    return result;
}

enum screen_access screen_access(struct screen *s)
{
    struct why why = WHY;
    enum screen_access result = ACCESS_DUNNO;
    bool decided = false;

    for (size_t i = 0; i < lists.items.n && !decided; i++) {
        struct item *item = &lists.items.at[i];
        result = item->word == WORD_TABLE ? ask_table(s, item->table, &decided, &why)
                                          : decide(s, item->word, &decided, &why);
    }
    if (result == ACCESS_FAILED)
        msg_warn("%s: %s", parameter, why_text(&why));
    why_free(&why);
    return decided ? result : ACCESS_DUNNO;
}

bool screen_may_pass_here(struct screen *s)
{
    char text[ADDR_TEXT];
    struct why why = WHY;
    const char *here = addr_text(&s->peer.local, text);
    enum dict_answer answer = match_host(lists.interfaces, here, here, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}
