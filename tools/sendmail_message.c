/*
 * One message from standard input into the maildrop.
 */
#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/addr_list.h"
#include "mail/header.h"
#include "mail/verp.h"
#include "queue/delivery.h"

#include "sendmail.h"

static struct passwd *account(void)
{
    return getpwuid(getuid()); /* a command, not a daemon: it may block */
}

const char *sendmail_login(const struct sendmail *m)
{
    struct passwd *pw = account();
    return pw != NULL ? arena_strz(m->mem, strz(pw->pw_name))
                      : arena_printf(m->mem, "unknown.uid.%ld", (long)getuid());
}

/* -F, else $NAME, else the account's: up to a comma, "&" stands for the login name. */
static const char *full_name(const struct sendmail *m)
{
    struct passwd *pw = account();
    const char *name = getenv("NAME");
    struct buf out = BUF_TEXT(1000);

    if (m->full_name != NULL)
        return m->full_name;
    if (name != NULL)
        return arena_strz(m->mem, sendmail_one_line(m, strz(name)));
    if (pw == NULL || pw->pw_gecos == NULL)
        return "";
    for (const char *p = pw->pw_gecos; *p != 0 && *p != ','; p++) {
        size_t from = out.n;
        if (*p != '&') {
            buf_addc(&out, *p);
            continue;
        }
        buf_addz(&out, pw->pw_name);
        if (out.n > from && out.p[from] >= 'a' && out.p[from] <= 'z')
            out.p[from] = (char)(out.p[from] - 'a' + 'A');
    }
    const char *result = arena_strz(m->mem, sendmail_one_line(m, buf_str(&out)));
    buf_free(&out);
    return result;
}

static void put_attr(const struct sendmail *m, struct maildrop *d, const char *name,
                     const char *value)
{
    struct str text = strz(arena_printf(m->mem, "%s=%s", name, value));
    maildrop_put(d, REC_ATTR, sendmail_one_line(m, text));
}

static void put_number(const struct sendmail *m, struct maildrop *d, const char *name,
                       unsigned value)
{
    put_attr(m, d, name, arena_printf(m->mem, "%u", value));
}

static struct str verp_delimiters(const struct sendmail *m)
{
    return strz(*m->verp != 0 ? m->verp : conf.default_verp_delimiters);
}

void sendmail_envelope(const struct sendmail *m, struct maildrop *d, const char *sender,
                       const struct sendmail_rcpt *rcpts, size_t n)
{
    const char *name = full_name(m);

    put_attr(m, d, "rewrite_context", m->gateway ? "remote" : "local");
    if (m->verify || m->verbose > 0) /* Postfix's numbers: see cleanup_envelope.c */
        put_number(m, d, "trace_flags", m->verify ? TRACE_USER_VERIFY : TRACE_RECORD);
    if (m->encoding != NULL)
        put_attr(m, d, "encoding", m->encoding);
    if (m->ret != DSN_RET_NONE)
        put_number(m, d, "ret_flags", (unsigned)m->ret);
    if (m->envid != NULL)
        put_attr(m, d, "envelope_id", m->envid);
    if (name[0] != 0)
        maildrop_put(d, REC_FULL, strz(name));
    maildrop_put(d, REC_FROM, strz(sender));
    if (m->verp != NULL)
        maildrop_put(d, REC_VERP, verp_delimiters(m));
    for (size_t i = 0; i < n; i++) {
        if (rcpts[i].notify != 0)
            put_number(m, d, "notify_flags", rcpts[i].notify);
        if (rcpts[i].orcpt != NULL)
            put_attr(m, d, "dsn_orig_rcpt", rcpts[i].orcpt);
        maildrop_put(d, REC_RCPT, strz(rcpts[i].address));
    }
    maildrop_put(d, REC_MESG, STR(""));
}

/* ---- recipients ---- */

/* The message that is read: its header, and who gets it. What somebody writes to his own command
 * has no ceiling here: postdrop knows message_size_limit. */
struct message {
    struct sendmail *m;
    VEC(struct str) header; /* whole fields, lines parted by LF */
    VEC(struct sendmail_rcpt) rcpts;
    bool resent;
    bool strip_cr; /* the first line ended in CR LF: so do the others */
    bool first_read;
    bool ended; /* a dot alone, or the end of input */
    bool failed; /* not all of it could be read */
    bool bad_address; /* one that is too long */
    char *raw; /* what getline has allocated */
    size_t room;
    struct str line; /* in raw, without its end */
};

enum { ADDRESS_MOST = 32 * 1024, HEADER_MOST = 1 << 30 };

static void add_addresses(struct message *g, struct str text)
{
    struct addr_list list;
    struct buf address = BUF(ADDRESS_MOST);

    addr_list_parse(g->m->mem, text, text.n + 1, &list); /* all of it */
    for (const struct addr *a = list.at; a < list.at + list.n; a++) {
        buf_clear(&address);
        if (a->kind == ADDR_MAILBOX)
            addr_internal(a, &address);
        if (!buf_ok(&address))
            g->bad_address = true;
        else if (address.n > 0)
            *VEC_ADD(&g->rcpts) = (struct sendmail_rcpt){arena_strz(g->m->mem, buf_str(&address)),
                                                         g->m->notify, NULL};
    }
    buf_free(&address);
}

/* Null: it is too long. */
static const char *sender_of(struct sendmail *m)
{
    struct addr_list list;
    struct buf address = BUF(ADDRESS_MOST);
    const char *sender = "";

    if (m->sender == NULL)
        return sendmail_login(m);
    addr_list_parse(m->mem, strz(m->sender), strlen(m->sender) + 1, &list);
    if (list.n > 0 && list.at[0].kind == ADDR_MAILBOX) {
        addr_internal(&list.at[0], &address);
        sender = buf_ok(&address) ? arena_strz(m->mem, buf_str(&address)) : NULL;
    }
    buf_free(&address);
    return sender;
}

/* -t: To, Cc and Bcc, or only their Resent- forms when there is one. */
static void extract(struct message *g)
{
    static const char *const names[] = {"To", "Cc", "Bcc"};
    struct str name, value;

    for (int pass = 0; pass < 2; pass++) {
        const char *prefix = pass == 0 ? "Resent-" : "";
        for (size_t i = 0; i < g->header.n; i++) {
            if (!header_split(g->header.at[i], &name, &value) || !str_istarts(name, strz(prefix)))
                continue;
            struct str plain = str_from(name, strlen(prefix));
            for (size_t k = 0; k < 3; k++)
                if (str_ieqz(plain, names[k])) {
                    add_addresses(g, value);
                    g->resent = g->resent || pass == 0;
                }
        }
        if (g->resent)
            break;
    }
}

/* ---- reading ---- */

static void fix_end(struct message *g)
{
    bool lf = g->line.n > 0 && g->line.p[g->line.n - 1] == '\n';
    g->line.n -= lf;
    bool cr = lf && g->line.n > 0 && g->line.p[g->line.n - 1] == '\r';

    if (!g->first_read) {
        g->first_read = true;
        g->strip_cr = cr || strcmp(conf.sendmail_fix_line_endings, "always") == 0;
    }
    if (!g->strip_cr || strcmp(conf.sendmail_fix_line_endings, "never") == 0)
        return;
    while (lf && g->line.n > 0 && g->line.p[g->line.n - 1] == '\r') /* CR CR LF is seen, too */
        g->line.n--;
}

static bool read_line(struct message *g)
{
    ssize_t n = g->ended ? -1 : getline(&g->raw, &g->room, stdin);

    /* getline leaves no mark on the stream when there is no memory for the line */
    g->failed = g->failed || ferror(stdin) || (n < 0 && !g->ended && !feof(stdin));
    g->line = (struct str){g->raw, n < 0 ? 0 : (size_t)n};
    if (n >= 0)
        fix_end(g);
    if (n < 0 || (!g->m->ignore_dots && str_eqz(g->line, ".")))
        g->ended = true;
    return !g->ended;
}

static struct str keep_field(const struct message *g, const struct buf *field)
{
    if (!buf_ok(field))
        msg_fatal("a header field is too long");
    return arena_str(g->m->mem, buf_str(field));
}

/* The header: up to the line that is none, which stays in g->line. False: there is no body. */
static bool read_header(struct message *g)
{
    /* asked: by keep_field */
    struct buf field = BUF(HEADER_MOST);
    struct str name, value;
    bool more;

    while ((more = read_line(g))) {
        struct str line = g->line;
        bool begins = header_split(line, &name, &value);
        if (field.n > 0 && header_continues(line)) {
            buf_addc(&field, '\n');
            buf_add(&field, line);
            continue;
        }
        if (field.n > 0)
            *VEC_ADD(&g->header) = keep_field(g, &field);
        buf_clear(&field);
        if (begins)
            buf_set(&field, line);
        else if (g->header.n > 0 ||
                 !(str_starts(line, STR("From ")) || str_starts(line, STR(">From "))))
            break; /* a "From " line of a mailbox file is no part of the message */
    }
    if (field.n > 0)
        *VEC_ADD(&g->header) = keep_field(g, &field);
    buf_free(&field);
    return more;
}

static void put_header(struct message *g, struct maildrop *d)
{
    struct str line;

    for (size_t i = 0; i < g->header.n; i++)
        for (struct str rest = g->header.at[i]; str_split(&rest, '\n', &line);)
            maildrop_line(d, line);
}

static int send_on(struct message *g, const char *sender, bool body)
{
    struct buf text = BUF_TEXT(4096);
    struct maildrop *d = maildrop_begin();

    sendmail_envelope(g->m, d, sender, g->rcpts.at, g->rcpts.n);
    put_header(g, d);
    if (body && g->line.n > 0)
        maildrop_line(d, STR(""));
    for (; body; body = read_line(g))
        maildrop_line(d, g->line);
    int status;
    if (g->failed) {
        maildrop_abort(&d);
        buf_addz(&text, "error reading input");
        status = EX_DATAERR;
    } else {
        status = maildrop_commit(&d, &text);
    }
    if (status != EX_OK)
        sendmail_wrong(g->m, "%s(%ld): %s", sender, (long)getuid(), text.p);
    else if (g->m->verify || g->m->verbose > 0)
        printf("Mail Delivery Status Report will be mailed to <%s>.\n", sender);
    buf_free(&text);
    return status;
}

/* -bv asks about addresses and reads no message: the report shows this one. */
static void make_probe(struct message *g, const char *sender)
{
    struct sendmail *m = g->m;
    struct buf to = BUF(HEADER_MOST); /* asked: by keep_field */

    buf_addz(&to, "To:");
    for (size_t i = 0; i < m->rcpts.n; i++) {
        buf_addz(&to, i > 0 ? ",\n\t" : "\t");
        buf_add(&to, sendmail_one_line(m, strz(m->rcpts.at[i])));
    }
    *VEC_ADD(&g->header) =
        strz(arena_printf(m->mem, "From: %s", sendmail_one_line(m, strz(sender)).p));
    *VEC_ADD(&g->header) = STR("Subject: probe");
    *VEC_ADD(&g->header) = keep_field(g, &to);
    buf_free(&to);
}

static int too_long(const struct sendmail *m, const char *whose)
{
    sendmail_wrong(m, "the %s address is longer than %d bytes", whose, ADDRESS_MOST);
    return EX_DATAERR;
}

/* Can what -XV asks for be done? EX_OK, or an exit status. */
static int check_verp(const struct sendmail *m, const char *sender)
{
    if (m->verp == NULL)
        return EX_OK;
    if (!verp_delimiters_ok(verp_delimiters(m), conf.verp_delimiter_filter))
        return sendmail_wrong(m, "-V requires two characters from %s", conf.verp_delimiter_filter);
    if (*sender == 0)
        return sendmail_wrong(m, "%s(%ld): -V option requires non-null sender address", sender,
                              (long)getuid());
    return EX_OK;
}

int sendmail_message(struct sendmail *m)
{
    struct message g = {.m = m};
    const char *sender = sender_of(m);
    int status;

    if (sender == NULL)
        return too_long(m, "sender");
    if ((status = check_verp(m, sender)) != EX_OK)
        return status;
    for (size_t i = 0; i < m->rcpts.n; i++)
        add_addresses(&g, strz(m->rcpts.at[i]));
    if (g.bad_address) {
        status = too_long(m, "recipient");
    } else if (g.rcpts.n == 0 && !m->extract) {
        status = sendmail_wrong(m,
                                "%s(%ld): Recipient addresses must be specified on the command "
                                "line or via the -t option",
                                sender, (long)getuid());
    } else if (m->verify) {
        make_probe(&g, sender);
        status = send_on(&g, sender, false);
    } else {
        bool body = read_header(&g);
        if (m->extract)
            extract(&g);
        status = g.bad_address ? too_long(m, "recipient")
                 : g.rcpts.n > 0
                     ? send_on(&g, sender, body)
                     : sendmail_wrong(m, "%s(%ld): No recipient addresses found in message header",
                                      sender, (long)getuid());
    }
    VEC_FREE(&g.header);
    VEC_FREE(&g.rcpts);
    free(g.raw);
    return status;
}
