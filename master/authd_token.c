/*
 * Tokens and tickets: a front gets a token for a login, the mailbox broker exchanges it for a
 * ticket, and the program that starts sessions redeems that. Each is random and good once, for
 * login_token_lifetime, for one service.
 */
#include "base/num.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"

#include "authd.h"

enum {
    TOKEN_LENGTH = 32,
    PLACE_LENGTH = 4,
    SERVICE_MAX = 15,
    SHORT_NAME_MAX = 63,
    SLOTS = 4096,
    GROUP = 16
};

struct slot {
    atomic_uint state; /* enum slot_state */
    enum token_kind kind;
    int64_t until;
    char text[PLACE_LENGTH + TOKEN_LENGTH + 1]; /* begins with the number of the slot */
    char service[SERVICE_MAX + 1];
    bool long_name; /* it is in tokens.long_names, at the same place */
    char name[SHORT_NAME_MAX + 1];
};

/*
 * Most tickets are never redeemed: their session was there already. So slots are looked at in
 * groups, in turn: a busy host, whose slots are all in use by tickets, searches one group, not all.
 * Long names have a place of their own, so that a slot for the usual ones touches little memory.
 */
static struct {
    struct slot *slots;
    char (*long_names)[SASL_FIELD_MAX + 1];
    size_t used; /* slots of groups that were needed so far */
    size_t at; /* the first slot of the group whose turn it is */
} tokens;

size_t tokens_size(void)
{
    return SLOTS * (sizeof *tokens.slots + sizeof *tokens.long_names);
}

void tokens_open(void *shared)
{
    tokens.slots = shared;
    tokens.long_names = (void *)(tokens.slots + SLOTS);
    tokens.used = GROUP;
    tokens.at = 0;
}

static bool is_over(struct slot *s, int64_t now)
{
    return atomic_load(&s->state) == SLOT_LIVE && s->until <= now;
}

static struct slot *take_free(int64_t now)
{
    struct slot *group = tokens.slots + tokens.at;

    for (struct slot *s = group; s < group + GROUP; s++)
        if (slot_hold(&s->state, SLOT_FREE) || (is_over(s, now) && slot_hold(&s->state, SLOT_LIVE)))
            return s;
    return NULL;
}

/* The ticket of the group that ends first. */
static struct slot *take_from_ticket(void)
{
    struct slot *group = tokens.slots + tokens.at, *first = NULL;

    for (struct slot *s = group; s < group + GROUP; s++)
        if (s->kind == TOKEN_OF_BROKER && (first == NULL || s->until < first->until))
            first = s;
    return first != NULL && slot_hold(&first->state, SLOT_LIVE) ? first : NULL;
}

static void next_group(void)
{
    tokens.at = (tokens.at + GROUP) % tokens.used;
}

static void new_group(void)
{
    tokens.at = tokens.used;
    tokens.used += GROUP;
}

/* In this group or the next one, whose slots were given longest ago; else one that nobody needed
 * yet; else a ticket must go. */
static struct slot *take_slot(int64_t now)
{
    struct slot *s = take_free(now);

    if (s == NULL) {
        next_group();
        s = take_free(now);
    }
    while (s == NULL && tokens.used < SLOTS) {
        new_group();
        s = take_free(now);
    }
    for (size_t i = 0; s == NULL && i < SLOTS / GROUP; i++) {
        s = take_from_ticket();
        if (s == NULL) {
            next_group();
            s = take_free(now);
        }
    }
    return s;
}

static char *name_of(struct slot *s)
{
    return s->long_name ? tokens.long_names[s - tokens.slots] : s->name;
}

bool token_make(enum token_kind kind, struct str name, const char *service, int64_t now,
                struct buf *text)
{
    struct slot *s = name.n <= SASL_FIELD_MAX ? take_slot(now) : NULL;

    if (s == NULL)
        return false;
    buf_addf(text, "%0*x", PLACE_LENGTH, (unsigned)(s - tokens.slots));
    random_token(text, TOKEN_LENGTH);
    snprintf(s->text, sizeof s->text, "%s", text->p);
    snprintf(s->service, sizeof s->service, "%s", service);
    s->long_name = name.n > SHORT_NAME_MAX;
    memcpy(name_of(s), name.p, name.n);
    name_of(s)[name.n] = 0;
    s->kind = kind;
    s->until = now + conf.login_token_lifetime * 1000;
    atomic_store(&s->state, SLOT_LIVE);
    return true;
}

static struct slot *authd_token_find(struct str text)
{
    uint64_t place;

    if (text.n != PLACE_LENGTH + TOKEN_LENGTH ||
        !num_parse_hex(str_upto(text, PLACE_LENGTH), &place) || place >= SLOTS)
        return NULL;
    struct slot *s = &tokens.slots[place];
    return atomic_load(&s->state) == SLOT_LIVE && str_eqz(text, s->text) ? s : NULL;
}

/* Null if it may be redeemed. */
static const char *problem_of(const struct slot *s, enum token_kind kind, struct str service,
                              int64_t now)
{
    if (s->kind != kind)
        return kind == TOKEN_OF_BROKER ? "the mailbox broker has not shown it" : "it is a ticket";
    if (s->until <= now)
        return "it is older than login_token_lifetime";
    return str_eqz(service, s->service) ? NULL : "it is for another service";
}

/* Ours alone until its state is set again. Null: it is not there. */
static struct slot *hold(struct str text)
{
    struct slot *s = authd_token_find(text);

    if (s == NULL || !slot_hold(&s->state, SLOT_LIVE))
        return NULL;
    if (str_eqz(text, s->text))
        return s;
    atomic_store(&s->state, SLOT_LIVE); /* another one has taken its place just now */
    return NULL;
}

bool token_peek(enum token_kind kind, struct str text, struct str service, int64_t now,
                struct buf *name)
{
    struct slot *s = hold(text);
    bool valid = s != NULL && problem_of(s, kind, service, now) == NULL;

    if (valid)
        buf_addz(name, name_of(s));
    if (s != NULL)
        atomic_store(&s->state, SLOT_LIVE);
    return valid;
}

const char *token_redeem(enum token_kind kind, struct str text, struct str service, int64_t now,
                         struct buf *name)
{
    struct slot *s = hold(text);

    if (s == NULL)
        return "unknown, or used already";
    const char *problem = problem_of(s, kind, service, now);
    if (problem == NULL)
        buf_addz(name, name_of(s));
    explicit_bzero(s->text, sizeof s->text);
    atomic_store(&s->state, SLOT_FREE);
    return problem;
}
