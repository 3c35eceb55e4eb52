/*
 * What is sent: tagged responses, and the untagged ones that tell what has changed. RFC 3501 7.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "mail/imap_text.h"

#include "imap.h"

enum { TURN_MS = 20 }; /* then the user's other sessions have theirs */

/* As long as it is: COPYUID may name thousands of uids. */
static void put_format(struct imap *c, const char *fmt, va_list ap)
{
    va_list again;

    va_copy(again, ap);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    struct buf text = BUF(length > 0 ? (size_t)length : 0);
    buf_addv(&text, fmt, ap);
    if (length < 0 || !buf_ok(&text))
        stream_fail(c->client, "a response cannot be made");
    stream_put(c->client, buf_str(&text));
    buf_free(&text);
}

static void tagged(struct imap *c, const char *kind, const char *fmt, va_list ap)
{
    if (c->answered)
        return;
    c->answered = true;
    stream_put(c->client, c->tag);
    stream_putf(c->client, " %s ", kind);
    put_format(c, fmt, ap);
    stream_putz(c->client, "\r\n");
}

void imap_ok(struct imap *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tagged(c, "OK", fmt, ap);
    va_end(ap);
    c->bad = 0;
}

void imap_no(struct imap *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tagged(c, "NO", fmt, ap);
    va_end(ap);
    c->bad = 0;
}

void imap_bad(struct imap *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tagged(c, "BAD", fmt, ap);
    va_end(ap);
    c->bad++;
}

/* RFC 5530 codes for the store's errors. */
void imap_no_why(struct imap *c, const struct why *why)
{
    static const struct {
        const char *status, *code;
    } codes[] = {
        {"5.2.0", "[NONEXISTENT] "}, {"5.2.1", "[ALREADYEXISTS] "}, {"5.1.3", "[CANNOT] "},
        {"5.1.1", "[TRYCREATE] "},   {"5.2.2", "[LIMIT] "},         {"4.2.2", "[OVERQUOTA] "},
        {"4.3.1", "[UNAVAILABLE] "}, {"4.2.0", "[INUSE] "},         {"5.7.1", "[NOPERM] "}};
    const char *code = why->code[0] == '4' ? "[SERVERBUG] " : "";

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(why->code, codes[i].status) == 0)
            code = codes[i].code;
    imap_no(c, "%s%s", code, why_text(why));
}

void imap_put_number(struct imap *c, uint64_t number)
{
    char text[20], *p = text + sizeof text;

    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    stream_put(c->client, (struct str){p, (size_t)(text + sizeof text - p)});
}

void imap_put_string(struct imap *c, struct str s)
{
    struct buf text = BUF(s.n * 2 + 64);
    imap_text_nstring(s, &text);
    if (!buf_ok(&text)) /* never: each byte may be escaped */
        stream_fail(c->client, "a response cannot be made");
    stream_put(c->client, buf_str(&text));
    buf_free(&text);
}

void imap_put_folder(struct imap *c, struct str name)
{
    struct imap_args probe = {name, c->mem};
    struct str atom;

    /* The whole name: the end of a command may have blanks, a name in an answer may not. */
    if (imap_take_atom(&probe, &atom) && atom.n == name.n && !str_ieqz(name, "NIL"))
        stream_put(c->client, name);
    else
        imap_put_string(c, name);
}

static const struct {
    uint32_t flag;
    const char *name;
} system_flags[] = {{MSG_ANSWERED, "\\Answered"},
                    {MSG_FLAGGED, "\\Flagged"},
                    {MSG_DELETED, "\\Deleted"},
                    {MSG_SEEN, "\\Seen"},
                    {MSG_DRAFT, "\\Draft"}};

/* The flags and, with number 0, all keywords; else those that the message has. False: none. */
static bool put_flags(struct imap *c, uint32_t flags, uint32_t number)
{
    const char *gap = "";

    for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++) {
        if (flags & system_flags[i].flag) {
            stream_putz(c->client, gap);
            stream_putz(c->client, system_flags[i].name);
            gap = " ";
        }
    }
    for (uint32_t k = 0; k < mailbox_keyword_count(c->box); k++) {
        struct str name = mailbox_keyword(c->box, k);
        if (name.n > 0 && (number == 0 || mailbox_has_keyword(c->box, number, k))) {
            stream_putz(c->client, gap);
            stream_put(c->client, name);
            gap = " ";
        }
    }
    return *gap != '\0';
}

void imap_put_flags(struct imap *c, uint32_t number)
{
    uint32_t flags = mailbox_msg(c->box, number)->flags; /* putting waits */
    bool recent = mailbox_recent(c->box, number);

    stream_putc(c->client, '(');
    bool any = put_flags(c, flags, number);
    if (recent)
        stream_putz(c->client, any ? " \\Recent" : "\\Recent");
    stream_putc(c->client, ')');
}

void imap_put_flag_list(struct imap *c)
{
    stream_putz(c->client, "* FLAGS (");
    put_flags(c, MSG_FLAGS, 0);
    stream_putz(c->client, ")\r\n* OK [PERMANENTFLAGS (");
    if (mailbox_read_only(c->box)) {
        stream_putz(c->client, ")] Read-only mailbox.\r\n");
        return;
    }
    put_flags(c, MSG_FLAGS, 0);
    stream_putz(c->client, mailbox_may_define(c->box) ? " \\*)" : ")");
    stream_putz(c->client, "] Flags permitted.\r\n");
}

static void tell_flags(struct imap *c, uint32_t number)
{
    uint32_t uid = mailbox_msg(c->box, number)->uid;

    stream_putf(c->client, "* %u FETCH (", number);
    if (c->uid)
        stream_putf(c->client, "UID %u ", uid);
    stream_putz(c->client, "FLAGS ");
    imap_put_flags(c, number);
    stream_putz(c->client, ")\r\n");
}

void imap_tell(struct imap *c, enum imap_event event, uint32_t number)
{
    switch (event) {
    case IMAP_EXPUNGE:
        stream_putf(c->client, "* %u EXPUNGE\r\n", number);
        break;
    case IMAP_FETCH:
        tell_flags(c, number);
        break;
    case IMAP_FLAGS:
        imap_put_flag_list(c);
        break;
    case IMAP_EXISTS:
        stream_putf(c->client, "* %u EXISTS\r\n", number);
        break;
    case IMAP_RECENT:
        stream_putf(c->client, "* %u RECENT\r\n", number);
        break;
    case IMAP_GONE: /* RFC 2180 3.3 */
        stream_putz(c->client, "* BYE Mailbox was removed or cannot be read.\r\n");
        break;
    }
}

/* What is told at the end, once, however often it happened. */
struct news {
    bool added, keywords;
    uint32_t known; /* messages that the client has been told of */
};

static void tell_keywords(struct imap *c, struct news *news)
{
    if (news->keywords)
        imap_tell(c, IMAP_FLAGS, 0);
    news->keywords = false;
}

/* One that came, and went again while this waited for the client, is told first: a number that the
 * client does not know must not be removed (RFC 3501 7.4.1). */
static void tell_expunged(struct imap *c, uint32_t number, struct news *news)
{
    if (number > news->known) {
        news->known = mailbox_count(c->box) + 1;
        imap_tell(c, IMAP_EXISTS, news->known);
    }
    news->known--;
    imap_tell(c, IMAP_EXPUNGE, number);
}

static void take_event(struct imap *c, enum mail_event event, uint32_t number, struct news *news)
{
    switch (event) {
    case MAIL_ADDED:
        news->added = true;
        break;
    case MAIL_KEYWORD:
        news->keywords = true;
        break;
    case MAIL_EXPUNGED:
        tell_expunged(c, number, news);
        break;
    case MAIL_FLAGS: /* its keywords must be known */
        tell_keywords(c, news);
        imap_tell(c, IMAP_FETCH, number);
        break;
    case MAIL_NONE:
    case MAIL_FAILED:
        break;
    }
}

/* Hundreds of thousands may have changed at once. */
static void yield_if_due(int64_t *turn)
{
    if (clock_ms() - *turn <= TURN_MS)
        return;
    task_yield();
    *turn = clock_ms();
}

void imap_updates(struct imap *c, bool may_expunge)
{
    struct why why = WHY;
    uint32_t number;
    enum mail_event event;
    struct news news = {false, false, 0};
    int64_t turn = clock_ms();

    if (c->box == NULL)
        return;
    news.known = mailbox_count(c->box);
    uint32_t recent = mailbox_recent_count(c->box);
    bool looked = mailbox_check(c->box, &why) == 0;
    while ((event = mailbox_pull(c->box, may_expunge, &number, &why)) != MAIL_NONE &&
           event != MAIL_FAILED) {
        take_event(c, event, number, &news);
        yield_if_due(&turn);
    }
    if (event == MAIL_FAILED) {
        imap_tell(c, IMAP_GONE, 0);
        c->logout = true;
    } else {
        /* Busy, or out of descriptors: the news wait (RFC 3501 7 asks for none at once). */
        if (!looked)
            msg_warn("mailbox %s: news cannot be told yet: %s", store_path(c->store),
                     why_text(&why));
        tell_keywords(c, &news);
        if (news.added)
            imap_tell(c, IMAP_EXISTS, mailbox_count(c->box));
        if (news.added || mailbox_recent_count(c->box) != recent)
            imap_tell(c, IMAP_RECENT, mailbox_recent_count(c->box));
    }
    why_free(&why);
}
