/*
 * Tokens: what a front gets for a login and the mailbox broker redeems. Random, good once, for
 * login_token_lifetime, for one service.
 */
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"

#include "authd.h"

enum { TOKEN_LENGTH = 32, TOKENS_MAX = 100000 };

struct token {
    struct list order; /* oldest first; all live equally long */
    char *text, *name, *service;
    int64_t until;
};

static struct {
    struct hash *table;
    struct list order;
} tokens;

static void forget(struct token *t)
{
    list_drop(&t->order);
    hash_drop(tokens.table, strz(t->text));
    free(t->text);
    free(t->name);
    free(t->service);
    free(t);
}

static void forget_old(int64_t now)
{
    while (!list_empty(&tokens.order)) {
        struct token *t = LIST_OF(tokens.order.next, struct token, order);
        if (t->until > now && hash_count(tokens.table) < TOKENS_MAX)
            return;
        forget(t);
    }
}

void token_make(struct str name, const char *service, int64_t now, struct buf *text)
{
    struct token *t = mem_new(sizeof *t);

    if (tokens.table == NULL) {
        tokens.table = hash_new();
        list_init(&tokens.order);
    }
    forget_old(now);
    random_token(text, TOKEN_LENGTH);
    t->text = mem_dup(text->p, text->n);
    t->name = mem_dup(name.p, name.n);
    t->service = mem_dupz(service);
    t->until = now + conf.login_token_lifetime * 1000;
    list_add(&tokens.order, &t->order);
    hash_put(tokens.table, strz(t->text), t);
}

bool token_redeem(struct str text, struct str service, int64_t now, struct buf *name)
{
    struct token *t = tokens.table != NULL ? hash_find(tokens.table, text) : NULL;

    if (t == NULL)
        return false;
    bool good = t->until > now && str_eqz(service, t->service);
    if (good)
        buf_addz(name, t->name);
    forget(t);
    return good;
}
