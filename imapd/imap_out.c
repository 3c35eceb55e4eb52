/*
 * What is sent: tagged responses, and the untagged ones that tell what has changed. RFC 3501 7.
 */
#include "base/str.h"
#include "mail/imap_text.h"

#include "imap.h"

static void tagged(struct imap *c, const char *kind, const char *fmt, va_list ap)
{
    struct buf text = BUF(8192);

    if (c->answered)
        return;
    c->answered = true;
    buf_addv(&text, fmt, ap);
    stream_put(c->client, c->tag);
    stream_putf(c->client, " %s %s\r\n", kind, text.p);
    buf_free(&text);
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
    stream_put(c->client, buf_str(&text));
    buf_free(&text);
}

void imap_put_folder(struct imap *c, struct str name)
{
    struct imap_args probe = {name, c->mem};
    struct str atom;

    if (imap_take_atom(&probe, &atom) && imap_is_end(&probe) && !str_ieqz(name, "NIL"))
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

static void put_flags(struct imap *c, uint32_t flags, uint64_t keywords)
{
    const char *gap = "";

    for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++) {
        if (flags & system_flags[i].flag) {
            stream_putz(c->client, gap);
            stream_putz(c->client, system_flags[i].name);
            gap = " ";
        }
    }
    for (uint32_t k = 0; keywords != 0 && k < mailbox_keyword_count(c->box); k++) {
        if (keywords >> k & 1) {
            stream_putz(c->client, gap);
            stream_put(c->client, mailbox_keyword(c->box, k));
            gap = " ";
        }
    }
}

void imap_put_flags(struct imap *c, uint32_t flags, uint64_t keywords, bool recent)
{
    stream_putc(c->client, '(');
    put_flags(c, flags, keywords);
    if (recent)
        stream_putz(c->client, (flags & MSG_FLAGS) || keywords ? " \\Recent" : "\\Recent");
    stream_putc(c->client, ')');
}

void imap_put_flag_list(struct imap *c)
{
    stream_putz(c->client, "* FLAGS (");
    put_flags(c, MSG_FLAGS, UINT64_MAX);
    stream_putz(c->client, ")\r\n* OK [PERMANENTFLAGS (");
    if (mailbox_read_only(c->box)) {
        stream_putz(c->client, ")] Read-only mailbox.\r\n");
        return;
    }
    put_flags(c, MSG_FLAGS, UINT64_MAX);
    stream_putz(c->client, mailbox_keyword_count(c->box) < MAILBOX_KEYWORDS ? " \\*)" : ")");
    stream_putz(c->client, "] Flags permitted.\r\n");
}

static void put_flags_of(struct imap *c, uint32_t number)
{
    struct msg m = *mailbox_msg(c->box, number); /* putting waits */

    stream_putf(c->client, "* %u FETCH (", number);
    if (c->uid)
        stream_putf(c->client, "UID %u ", m.uid);
    stream_putz(c->client, "FLAGS ");
    imap_put_flags(c, m.flags, m.keywords, mailbox_recent(c->box, number));
    stream_putz(c->client, ")\r\n");
}

void imap_updates(struct imap *c, bool may_expunge)
{
    struct why why = WHY;
    uint32_t number;
    enum mail_event event = MAIL_NONE;
    bool added = false, keywords = false;

    if (c->box == NULL)
        return;
    uint32_t recent = mailbox_recent_count(c->box);
    if (mailbox_check(c->box, &why) < 0)
        event = MAIL_FAILED;
    while (event != MAIL_FAILED &&
           (event = mailbox_pull(c->box, may_expunge, &number, &why)) != MAIL_NONE) {
        if (event == MAIL_ADDED)
            added = true;
        else if (event == MAIL_KEYWORD)
            keywords = true;
        else if (event == MAIL_EXPUNGED)
            stream_putf(c->client, "* %u EXPUNGE\r\n", number);
        else if (event == MAIL_FLAGS) {
            if (keywords)
                imap_put_flag_list(c);
            keywords = false;
            put_flags_of(c, number);
        }
    }
    if (event == MAIL_FAILED) { /* the folder is gone: RFC 2180 3.3 */
        stream_putz(c->client, "* BYE Mailbox was removed or cannot be read.\r\n");
        c->logout = true;
    } else {
        if (keywords)
            imap_put_flag_list(c);
        if (added)
            stream_putf(c->client, "* %u EXISTS\r\n", mailbox_count(c->box));
        if (added || mailbox_recent_count(c->box) != recent)
            stream_putf(c->client, "* %u RECENT\r\n", mailbox_recent_count(c->box));
    }
    why_free(&why);
}
