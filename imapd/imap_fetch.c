#include "imap_fetch.h"

#include "base/str.h"

static struct fetch_item *find_item(const struct fetch_items *items, enum fetch_what what)
{
    struct fetch_item *item = items->first;

    while (item != NULL && item->what != what)
        item = item->next;
    return item;
}

/* What a client asks for twice is answered once, but for sections: those are told apart by more
 * than their kind. */
static struct fetch_item *add_item(struct imap_args *a, struct fetch_items *out,
                                   struct fetch_item ***tail, enum fetch_what what)
{
    struct fetch_item *item = what == FETCH_SECTION ? NULL : find_item(out, what);

    if (item != NULL)
        return item;
    item = arena_alloc(a->mem, sizeof *item);
    item->what = what;
    **tail = item;
    *tail = &item->next;
    out->flags |= what == FETCH_FLAGS;
    out->uid |= what == FETCH_UID;
    return item;
}

/* section-part: 1*("." nz-number), with the dot that leads on to HEADER and the like. */
static bool take_path(struct imap_args *a, struct fetch_item *item, bool *more)
{
    uint32_t path[SECTION_DEPTH];

    *more = true;
    while (a->rest.n > 0 && a->rest.p[0] >= '0' && a->rest.p[0] <= '9') {
        if (item->depth == SECTION_DEPTH || !imap_take_number(a, &path[item->depth]) ||
            path[item->depth++] == 0)
            return false;
        *more = imap_take(a, '.');
        if (!*more)
            break;
    }
    item->path = arena_array(a->mem, item->depth + 1, sizeof *item->path);
    memcpy(item->path, path, item->depth * sizeof *path);
    return true;
}

static bool take_fields(struct imap_args *a, struct fetch_item *item)
{
    struct str fields[SECTION_FIELDS_MAX];

    if (!imap_take_space(a) || !imap_take(a, '('))
        return false;
    while (imap_list_more(a, item->nfields))
        if (item->nfields == SECTION_FIELDS_MAX || !imap_take_astring(a, &fields[item->nfields++]))
            return false;
    if (item->nfields == 0)
        return false;
    item->fields = arena_array(a->mem, item->nfields, sizeof *item->fields);
    memcpy(item->fields, fields, item->nfields * sizeof *fields);
    return imap_take(a, ')');
}

/* Of "HEADER.FIELDS (a b) ]": Dovecot takes a blank there. */
static bool take_section_end(struct imap_args *a, const struct fetch_item *item)
{
    if (item->nfields > 0)
        imap_take_space(a);
    return imap_take(a, ']');
}

static bool take_section_text(struct imap_args *a, struct fetch_item *item)
{
    if (imap_take(a, ']'))
        return item->depth == 0;
    struct str word;
    size_t n = 0;
    while (n < a->rest.n && a->rest.p[n] != ']' && a->rest.p[n] != ' ')
        n++;
    word = str_upto(a->rest, n);
    a->rest = str_from(a->rest, n);
    if (str_ieqz(word, "HEADER"))
        item->text = SECTION_HEADER;
    else if (str_ieqz(word, "TEXT"))
        item->text = SECTION_TEXT;
    else if (str_ieqz(word, "MIME") && item->depth > 0)
        item->text = SECTION_MIME;
    else if (str_ieqz(word, "HEADER.FIELDS"))
        item->text = SECTION_FIELDS;
    else if (str_ieqz(word, "HEADER.FIELDS.NOT"))
        item->text = SECTION_FIELDS_NOT;
    else
        return false;
    if ((item->text == SECTION_FIELDS || item->text == SECTION_FIELDS_NOT) && !take_fields(a, item))
        return false;
    return take_section_end(a, item);
}

/* "<" number "." nz-number ">"; of 64 bits, as in RFC 9051 9. */
static bool take_partial(struct imap_args *a, struct fetch_item *item)
{
    if (!imap_take(a, '<'))
        return true;
    item->partial = true;
    return imap_take_number64(a, &item->offset) && imap_take(a, '.') &&
           imap_take_number64(a, &item->length) && item->length > 0 && imap_take(a, '>');
}

static bool take_section(struct imap_args *a, struct fetch_item *item)
{
    bool more;

    if (!take_path(a, item, &more))
        return false;
    if (!more) {
        if (!imap_take(a, ']'))
            return false;
    } else if (!take_section_text(a, item)) {
        return false;
    }
    return take_partial(a, item);
}

static bool take_rfc822(struct imap_args *a, struct fetch_items *out, struct fetch_item ***tail,
                        struct str word)
{
    static const struct {
        const char *name;
        enum section_text text;
        bool peek;
    } old[] = {{"RFC822", SECTION_ALL, false},
               {"RFC822.HEADER", SECTION_HEADER, true},
               {"RFC822.TEXT", SECTION_TEXT, false}};

    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        if (!str_ieqz(word, old[i].name))
            continue;
        struct fetch_item *item = add_item(a, out, tail, FETCH_SECTION);
        item->name = old[i].name;
        item->text = old[i].text;
        item->peek = old[i].peek;
        out->sets_seen |= !item->peek;
        return true;
    }
    return false;
}

static bool take_item(struct imap_args *a, struct fetch_items *out, struct fetch_item ***tail)
{
    static const struct {
        const char *name;
        enum fetch_what what;
    } plain[] = {{"BODY", FETCH_BODY},
                 {"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
                 {"ENVELOPE", FETCH_ENVELOPE},
                 {"FLAGS", FETCH_FLAGS},
                 {"INTERNALDATE", FETCH_INTERNALDATE},
                 {"RFC822.SIZE", FETCH_SIZE},
                 {"UID", FETCH_UID}};
    struct str word;
    size_t n = 0;

    while (n < a->rest.n && strchr(" ()[", a->rest.p[n]) == NULL)
        n++;
    word = str_upto(a->rest, n);
    a->rest = str_from(a->rest, n);
    bool body = str_ieqz(word, "BODY"), peek = str_ieqz(word, "BODY.PEEK");
    if ((body || peek) && imap_take(a, '[')) {
        struct fetch_item *item = add_item(a, out, tail, FETCH_SECTION);
        item->peek = peek;
        out->sets_seen |= !peek;
        return take_section(a, item);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (str_ieqz(word, plain[i].name)) {
            add_item(a, out, tail, plain[i].what);
            return true;
        }
    }
    return take_rfc822(a, out, tail, word);
}

/* ALL, FAST and FULL stand alone. */
static bool take_macro(struct imap_args *a, struct fetch_items *out, struct fetch_item ***tail)
{
    static const struct {
        const char *name;
        enum fetch_what what[5];
        size_t n;
    } macros[] = {
        {"FAST", {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE}, 3},
        {"ALL", {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE}, 4},
        {"FULL", {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY}, 5}};

    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
        if (!imap_take_word(a, macros[i].name))
            continue;
        for (size_t k = 0; k < macros[i].n; k++)
            add_item(a, out, tail, macros[i].what[k]);
        return true;
    }
    return false;
}

bool fetch_parse(struct imap_args *a, struct fetch_items *out)
{
    struct fetch_item **tail = &out->first;

    *out = (struct fetch_items){0};
    if (take_macro(a, out, &tail))
        return true;
    if (!imap_take(a, '('))
        return take_item(a, out, &tail);
    for (size_t n = 0; imap_list_more(a, n); n++)
        if (n == FETCH_ITEMS_MAX || !take_item(a, out, &tail))
            return false;
    return out->first != NULL && imap_take(a, ')');
}
