#include "imap_criteria.h"

#include "base/str.h"
#include "mail/date.h"

enum argument {
    ARG_NONE,
    ARG_TEXT, /* astring, in the charset */
    ARG_KEYWORD, /* atom; a string is forgiven */
    ARG_DAY,
    ARG_NUMBER,
    ARG_UIDS,
    ARG_HEADER, /* field name and text */
};

struct key_name {
    const char *name;
    enum search_what what;
    enum argument argument;
    bool negated;
    uint32_t flags;
    const char *field;
    bool addresses;
};

static const struct key_name key_names[] = {
    {"ALL", SEARCH_ALL, ARG_NONE, false, 0, NULL},
    {"ANSWERED", SEARCH_FLAGS, ARG_NONE, false, MSG_ANSWERED, NULL},
    {"BCC", SEARCH_HEADER, ARG_TEXT, false, 0, "Bcc", true},
    {"BEFORE", SEARCH_BEFORE, ARG_DAY, false, 0, NULL},
    {"BODY", SEARCH_BODY, ARG_TEXT, false, 0, NULL},
    {"CC", SEARCH_HEADER, ARG_TEXT, false, 0, "Cc", true},
    {"DELETED", SEARCH_FLAGS, ARG_NONE, false, MSG_DELETED, NULL},
    {"DRAFT", SEARCH_FLAGS, ARG_NONE, false, MSG_DRAFT, NULL},
    {"FLAGGED", SEARCH_FLAGS, ARG_NONE, false, MSG_FLAGGED, NULL},
    {"FROM", SEARCH_HEADER, ARG_TEXT, false, 0, "From", true},
    {"HEADER", SEARCH_HEADER, ARG_HEADER, false, 0, NULL},
    {"KEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, false, 0, NULL},
    {"LARGER", SEARCH_LARGER, ARG_NUMBER, false, 0, NULL},
    {"OLD", SEARCH_RECENT, ARG_NONE, true, 0, NULL},
    {"ON", SEARCH_ON, ARG_DAY, false, 0, NULL},
    {"RECENT", SEARCH_RECENT, ARG_NONE, false, 0, NULL},
    {"SEEN", SEARCH_FLAGS, ARG_NONE, false, MSG_SEEN, NULL},
    {"SENTBEFORE", SEARCH_SENTBEFORE, ARG_DAY, false, 0, NULL},
    {"SENTON", SEARCH_SENTON, ARG_DAY, false, 0, NULL},
    {"SENTSINCE", SEARCH_SENTSINCE, ARG_DAY, false, 0, NULL},
    {"SINCE", SEARCH_SINCE, ARG_DAY, false, 0, NULL},
    {"SMALLER", SEARCH_SMALLER, ARG_NUMBER, false, 0, NULL},
    {"SUBJECT", SEARCH_HEADER, ARG_TEXT, false, 0, "Subject"},
    {"TEXT", SEARCH_TEXT, ARG_TEXT, false, 0, NULL},
    {"TO", SEARCH_HEADER, ARG_TEXT, false, 0, "To", true},
    {"UID", SEARCH_UIDS, ARG_UIDS, false, 0, NULL},
    {"UNANSWERED", SEARCH_FLAGS, ARG_NONE, true, MSG_ANSWERED, NULL},
    {"UNDELETED", SEARCH_FLAGS, ARG_NONE, true, MSG_DELETED, NULL},
    {"UNDRAFT", SEARCH_FLAGS, ARG_NONE, true, MSG_DRAFT, NULL},
    {"UNFLAGGED", SEARCH_FLAGS, ARG_NONE, true, MSG_FLAGGED, NULL},
    {"UNKEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, true, 0, NULL},
    {"UNSEEN", SEARCH_FLAGS, ARG_NONE, true, MSG_SEEN, NULL},
};

struct parser {
    struct imap_args *a;
    const struct criteria_context *context;
    struct str charset; /* empty: US-ASCII or UTF-8 */
    size_t keys;
    enum criteria result;
    const char *error;
};

static struct search_key *parse_key(struct parser *p, size_t depth);

static struct search_key *bad(struct parser *p, const char *error)
{
    if (p->result == CRITERIA_OK) {
        p->result = CRITERIA_BAD;
        p->error = error;
    }
    return NULL;
}

static struct search_key *new_key(struct parser *p, enum search_what what)
{
    if (++p->keys > p->context->key_limit)
        return bad(p, "Too many search keys.");
    struct search_key *key = arena_alloc(p->a->mem, sizeof *key);
    key->what = what;
    return key;
}

static struct search_key *negate(struct parser *p, struct search_key *key)
{
    struct search_key *outer = key == NULL ? NULL : new_key(p, SEARCH_NOT);
    if (outer != NULL)
        outer->child = key;
    else
        criteria_free(key);
    return outer;
}

static bool take_text(struct parser *p, struct str *out)
{
    struct buf utf8 = BUF(1 << 20);
    struct str text;

    if (!imap_take_space(p->a) || !imap_take_astring(p->a, &text))
        return false;
    bool good =
        search_charset(p->charset.n > 0 ? p->charset : STR("UTF-8"), text, &utf8) && buf_ok(&utf8);
    *out = arena_str(p->a->mem, buf_str(&utf8));
    buf_free(&utf8);
    return good;
}

/* date = date-text / DQUOTE date-text DQUOTE */
static bool take_day(struct parser *p, int64_t *day)
{
    struct str text;
    int64_t midnight;

    if (!imap_take_space(p->a) || !imap_take_astring(p->a, &text) ||
        !date_imap_day(text, &midnight))
        return false;
    *day = midnight / 86400 - (midnight % 86400 < 0);
    return true;
}

static bool take_argument(struct parser *p, enum argument argument, struct search_key *key)
{
    struct str set;

    switch (argument) {
    case ARG_NONE:
        return true;
    case ARG_TEXT:
        return take_text(p, &key->text);
    case ARG_KEYWORD:
        return imap_take_space(p->a) && imap_take_astring(p->a, &key->text);
    case ARG_DAY:
        return take_day(p, &key->day);
    case ARG_NUMBER:
        return imap_take_space(p->a) && imap_take_number64(p->a, &key->number);
    case ARG_UIDS:
        return imap_take_space(p->a) && imap_take_set(p->a, &set) &&
               uidset_parse(set, p->context->star_uid, p->context->set_limit, &key->set);
    case ARG_HEADER:
        return imap_take_space(p->a) && imap_take_astring(p->a, &key->name) &&
               take_text(p, &key->text);
    }
    return false;
}

static struct search_key *named_key(struct parser *p, const struct key_name *k)
{
    struct search_key *key = new_key(p, k->what);

    if (key == NULL)
        return NULL;
    key->flags = k->flags;
    key->name = strz(k->field);
    key->addresses = k->addresses;
    if (!take_argument(p, k->argument, key)) {
        criteria_free(key);
        return bad(p, "Invalid argument of a search key.");
    }
    if ((k->what == SEARCH_BODY || k->what == SEARCH_TEXT) && key->text.n == 0)
        key->what = SEARCH_ALL; /* nothing is part of any text */
    return k->negated ? negate(p, key) : key;
}

static struct search_key *number_set(struct parser *p)
{
    struct search_key *key = new_key(p, SEARCH_NUMBERS);
    struct str set;

    if (key == NULL)
        return NULL;
    if (!imap_take_set(p->a, &set)) {
        criteria_free(key);
        return bad(p, "Invalid messageset");
    }
    /* Numbers above the count match nothing, as in Dovecot: a client may not know of an EXPUNGE. */
    if ((p->context->star_number == 0 && str_find(set, '*') >= 0) ||
        uidset_parse(set, p->context->star_number, p->context->set_limit, &key->set))
        return key;
    criteria_free(key);
    return bad(p, "Invalid messageset");
}

/* Behind a key: takes the blank before the next one. Programs that put lists together leave it out
 * behind one: "OR (SEEN)(DRAFT)". */
static bool key_follows(struct parser *p)
{
    bool behind_list = p->a->rest.p[-1] == ')';

    return (imap_take_space(p->a) || behind_list) && p->a->rest.n > 0 && p->a->rest.p[0] != ')';
}

/* One or more keys between blanks, all of which must match, up to ")" or the end. */
static struct search_key *parse_all(struct parser *p, size_t depth)
{
    struct search_key *all = new_key(p, SEARCH_AND);
    struct search_key **tail = all == NULL ? NULL : &all->child;

    imap_take_space(p->a);
    for (size_t n = 0; all != NULL && (n == 0 || key_follows(p)); n++) {
        struct search_key *key = parse_key(p, depth);
        if (key == NULL) {
            criteria_free(all);
            return NULL;
        }
        *tail = key;
        tail = &key->next;
    }
    return all;
}

static bool take_key_word(struct parser *p, const char *word)
{
    struct imap_args was = *p->a;

    if (imap_take_word(p->a, word) && imap_take_space(p->a))
        return true;
    *p->a = was;
    return false;
}

/*
 * Behind "OR ". Programs chain it by the hundred, "OR a OR b OR c d" or "OR OR OR a b c d": all of
 * a chain become children of one key, so its length is no depth.
 */
static struct search_key *parse_or(struct parser *p, size_t depth)
{
    struct search_key * or = new_key(p, SEARCH_OR), **tail = or == NULL ? NULL : & or->child;

    for (size_t wanted = 2; or != NULL && wanted > 0;) {
        if (take_key_word(p, "OR")) {
            wanted++;
            continue;
        }
        struct search_key *key = parse_key(p, depth);
        if (key != NULL) {
            *tail = key;
            tail = &key->next;
            wanted--;
        }
        if (key == NULL || (wanted > 0 && !key_follows(p))) {
            criteria_free(or);
            return bad(p, "Missing argument of OR.");
        }
    }
    return or ;
}

/* Behind "NOT ": of a chain only whether it is odd matters. */
static struct search_key *parse_not(struct parser *p, size_t depth)
{
    bool negated = true;

    while (take_key_word(p, "NOT"))
        negated = !negated;
    struct search_key *key = parse_key(p, depth);
    return negated ? negate(p, key) : key;
}

static struct search_key *parse_list(struct parser *p, size_t depth)
{
    struct search_key *all = parse_all(p, depth);

    if (all == NULL || imap_take(p->a, ')'))
        return all;
    criteria_free(all);
    return bad(p, "Missing ')'.");
}

/* NEW is RECENT UNSEEN. */
static struct search_key *new_messages(struct parser *p)
{
    struct search_key *all = new_key(p, SEARCH_AND);
    struct search_key *recent = new_key(p, SEARCH_RECENT), *seen = new_key(p, SEARCH_FLAGS);

    if (all == NULL || recent == NULL || seen == NULL)
        return NULL;
    seen->flags = MSG_SEEN;
    all->child = recent;
    recent->next = negate(p, seen);
    return recent->next == NULL ? NULL : all;
}

static struct search_key *word_key(struct parser *p)
{
    struct str atom;

    if (!imap_take_atom(p->a, &atom))
        return bad(p, "Missing search key.");
    if (str_ieqz(atom, "NEW"))
        return new_messages(p);
    for (size_t i = 0; i < sizeof key_names / sizeof *key_names; i++)
        if (str_ieqz(atom, key_names[i].name))
            return named_key(p, &key_names[i]);
    return bad(p, "Unknown search key.");
}

static struct search_key *parse_key(struct parser *p, size_t depth)
{
    char first = p->a->rest.n > 0 ? p->a->rest.p[0] : 0;

    if (depth > CRITERIA_DEPTH)
        return bad(p, "Search keys are nested too deeply.");
    if (imap_take(p->a, '('))
        return parse_list(p, depth + 1);
    if (take_key_word(p, "NOT"))
        return parse_not(p, depth + 1);
    if (take_key_word(p, "OR"))
        return parse_or(p, depth + 1);
    if (first == '*' || (first >= '0' && first <= '9'))
        return number_set(p);
    return word_key(p);
}

static void take_charset(struct parser *p)
{
    struct buf probe = BUF(16); /* fits: one letter */

    if (!imap_take_word(p->a, "CHARSET"))
        return;
    if (!imap_take_space(p->a) || !imap_take_astring(p->a, &p->charset) || !imap_take_space(p->a)) {
        bad(p, "Invalid CHARSET.");
    } else if (!search_charset(p->charset, STR("a"), &probe)) {
        p->result = CRITERIA_BADCHARSET;
        p->error = "Unknown charset";
    }
    buf_free(&probe);
}

enum criteria criteria_parse(struct imap_args *a, const struct criteria_context *context,
                             struct search_key **out, const char **error)
{
    struct parser p = {.a = a, .context = context};

    *out = NULL;
    take_charset(&p);
    if (p.result == CRITERIA_OK)
        *out = parse_all(&p, 0);
    if (p.result == CRITERIA_OK && !imap_is_end(a))
        bad(&p, "Unexpected text after the search keys.");
    if (p.result != CRITERIA_OK) {
        criteria_free(*out);
        *out = NULL;
    }
    *error = p.error;
    return p.result;
}

void criteria_free(struct search_key *key)
{
    for (; key != NULL; key = key->next) {
        uidset_free(&key->set);
        criteria_free(key->child);
    }
}
