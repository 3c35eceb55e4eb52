#include "milter/milter_wire.h"

#include <string.h>

#include "base/num.h"
#include "base/str.h"

uint32_t milter_habits_of(uint32_t version)
{
    uint32_t habits = 0x7f;

    if (version >= 3)
        habits |= MILTER_NO_UNKNOWN;
    if (version >= 4)
        habits |= MILTER_NO_DATA;
    if (version >= 6)
        habits = 0x1fffff;
    return habits;
}

size_t milter_packet_begin(struct buf *out, enum milter_command command)
{
    size_t begin = out->n;

    milter_put_number(out, 0);
    buf_addc(out, (char)command);
    return begin;
}

static void number(char bytes[4], uint32_t n)
{
    for (int i = 3; i >= 0; i--, n >>= 8)
        bytes[i] = (char)(n & 0xff);
}

void milter_packet_end(struct buf *out, size_t begin)
{
    if (buf_ok(out))
        number(out->p + begin, (uint32_t)(out->n - begin - 4));
}

void milter_put_number(struct buf *out, uint32_t n)
{
    char bytes[4];

    number(bytes, n);
    buf_add(out, (struct str){bytes, 4});
}

void milter_put_text(struct buf *out, struct str text)
{
    /* what would be read as its end is left out, with all behind it */
    const char *end = text.n > 0 ? memchr(text.p, 0, text.n) : NULL;

    buf_add(out, end != NULL ? str_upto(text, (size_t)(end - text.p)) : text);
    buf_addc(out, 0);
}

uint32_t milter_length(const char bytes[4])
{
    uint32_t n = 0;

    for (int i = 0; i < 4; i++)
        n = n << 8 | (unsigned char)bytes[i];
    return n;
}

static bool cut_number(struct str *rest, uint32_t *n)
{
    if (rest->n < 4)
        return false;
    *n = milter_length(rest->p);
    *rest = str_from(*rest, 4);
    return true;
}

static bool cut_text(struct str *rest, struct str *text)
{
    const char *end = rest->n > 0 ? memchr(rest->p, 0, rest->n) : NULL;

    if (end == NULL)
        return false;
    *text = str_upto(*rest, (size_t)(end - rest->p));
    *rest = str_from(*rest, text->n + 1);
    return true;
}

int milter_said_parse(struct str packet, struct milter_said *said, struct why *why)
{
    struct str rest = str_from(packet, 1);
    bool good = packet.n > 0;

    *said = (struct milter_said){.word = good ? (enum milter_word)packet.p[0] : 0};
    switch (said->word) {
    case MILTER_SHUTDOWN:
    case MILTER_ACCEPT:
    case MILTER_CONTINUE:
    case MILTER_DISCARD:
    case MILTER_CONN_FAIL:
    case MILTER_PROGRESS:
    case MILTER_REJECT:
    case MILTER_SKIP:
    case MILTER_TEMPFAIL:
        break;
    case MILTER_INSERT_HEADER:
    case MILTER_CHANGE_HEADER:
        good = cut_number(&rest, &said->index) && cut_text(&rest, &said->text) &&
               cut_text(&rest, &said->more);
        break;
    case MILTER_ADD_HEADER:
        good = cut_text(&rest, &said->text) && cut_text(&rest, &said->more);
        break;
    case MILTER_CHANGE_SENDER:
    case MILTER_ADD_RCPT_ARGS:
        good = cut_text(&rest, &said->text) && (rest.n == 0 || cut_text(&rest, &said->more));
        break;
    case MILTER_ADD_RCPT:
    case MILTER_DROP_RCPT:
    case MILTER_QUARANTINE:
    case MILTER_REPLY:
        good = cut_text(&rest, &said->text);
        break;
    case MILTER_REPLACE_BODY:
        said->text = rest;
        rest.n = 0;
        break;
    default:
        return why_set(why, "4.7.1", "reply %u is not one of the protocol", (unsigned)said->word);
    }
    if (good && rest.n == 0)
        return 0;
    return why_set(why, "4.7.1", "malformed reply '%c' of %zu bytes", (char)said->word, packet.n);
}

/* RFC 3463 2: the class of the status is that of the code. */
static bool is_status_of(struct str status, char class)
{
    unsigned dots = 0;

    for (size_t i = 0; i < status.n; i++) {
        if (status.p[i] == '.' && i > 0 && status.p[i - 1] != '.')
            dots++;
        else if (status.p[i] < '0' || status.p[i] > '9')
            return false;
    }
    return dots == 2 && status.p[0] == class;
}

/* "550 5.7.1 text", "550-text". Something behind the code is wanted, as by Postfix. */
static bool is_reply_line(struct str line, struct str code)
{
    struct str rest = str_from(line, 4), status;

    if (!str_starts(line, code) || line.n < 5 || (line.p[3] != ' ' && line.p[3] != '-'))
        return false;
    /* a word that looks like a status of another class is a mistake */
    return !str_word(&rest, " ", &status) || status.n < 5 || !is_status_of(status, status.p[0]) ||
           is_status_of(status, code.p[0]);
}

/* What is not printable ASCII becomes '?', and "%%" one '%': filters write it so since Sendmail
 * takes the text for a format. */
static void add_clean(struct buf *reply, struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        if (c == '%' && i + 1 < line.n && line.p[i + 1] == '%')
            i++;
        buf_addc(reply, c >= 0x20 && c < 0x7f ? c : '?');
    }
}

int milter_reply_parse(struct str text, struct buf *reply, struct why *why)
{
    struct str code = str_upto(text, 3), given = text, line;
    uint32_t number;
    bool good = code.n == 3 && num_parse_u32(code, 400, 599, &number);

    for (bool first = true; good && str_split(&text, '\n', &line); first = false) {
        line = str_rtrim(line);
        if (line.n == 0 && text.n == 0)
            break;
        good = is_reply_line(line, code);
        if (!first)
            buf_addc(reply, '\n');
        add_clean(reply, line);
    }
    if (good)
        return 0;
    buf_clear(reply);
    return why_set(why, "4.3.5", "malformed reply: %.*s", (int)(given.n < 200 ? given.n : 200),
                   given.p);
}

static bool cut_list(struct str *rest, struct milter_terms *terms)
{
    uint32_t stage;
    struct str list;

    if (!cut_number(rest, &stage) || !cut_text(rest, &list))
        return false;
    if (stage < MILTER_AT_UNKNOWN && list.n > 0)
        terms->lists[stage] = list;
    return true;
}

int milter_terms_parse(struct str packet, const struct milter_terms *offered,
                       struct milter_terms *terms, struct why *why)
{
    struct str rest = str_from(packet, 1);

    *terms = (struct milter_terms){0};
    if (packet.n == 0 || packet.p[0] != MILTER_NEGOTIATE)
        return why_set(why, "4.7.1", "unexpected reply \"%c\" in initial handshake",
                       packet.n > 0 ? packet.p[0] : '?');
    if (!cut_number(&rest, &terms->version) || !cut_number(&rest, &terms->actions) ||
        !cut_number(&rest, &terms->habits))
        return why_set(why, "4.7.1", "malformed reply to the negotiation");
    while (rest.n > 0)
        if (!cut_list(&rest, terms))
            return why_set(why, "4.7.1", "malformed list of macros in the negotiation");
    if (terms->version < 2 || terms->version > offered->version)
        return why_set(why, "4.7.1", "protocol version %u conflict with MTA protocol version %u",
                       (unsigned)terms->version, (unsigned)offered->version);
    if ((terms->actions & ~offered->actions) != 0)
        return why_set(why, "4.7.1", "request mask 0x%x conflict with MTA request mask 0x%x",
                       (unsigned)terms->actions, (unsigned)offered->actions);
    terms->habits &= offered->habits;
    return 0;
}
