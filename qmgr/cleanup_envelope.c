/*
 * Envelope records: who sends, who gets it, and what is known of where it came from.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "mail/path.h"
#include "service/log_line.h"

#include "cleanup.h"

enum { HASH_ENTRY = 64 }; /* about the bytes of an entry besides its key */

/* Bytes; as sendmail's. A longer one could be neither resolved nor reported. */
enum { ADDRESS_MOST = 32 * 1024 };

/* False: it did not fit in its buffer, and c has failed. */
static bool fits(struct cleanup *c, const struct buf *b)
{
    bool good = buf_ok(b);

    if (!good)
        cleanup_fail(c, "5.3.4", "an address or attribute of the envelope is too long");
    return good;
}

static void put_attr(struct cleanup *c, const char *name, struct str value)
{
    struct buf text = BUF(REC_MAX); /* asked: by fits() */

    buf_addz(&text, name);
    buf_addc(&text, '=');
    buf_add(&text, value);
    if (fits(c, &text))
        cleanup_put(c, REC_ATTR, buf_str(&text));
    buf_free(&text);
}

/* The address in its complete form. False: c has failed. */
static bool complete(struct cleanup *c, const char *address, struct buf *out)
{
    rewrite_address(REWRITE_LOCAL, address, out);
    return fits(c, out);
}

/* The records that begin every file. The size is filled in at the end. */
static void begin_file(struct cleanup *c, int64_t arrival_us)
{
    struct buf text = BUF(200); /* fits: six numbers at most */

    c->d.arrival_us = arrival_us;
    c->d.created_s = clock_wall();
    c->d.queue_id = arena_strz(c->mem, strz(qfile_id(c->file)));
    qsize_format(&c->size, &text);
    cleanup_put(c, REC_SIZE, buf_str(&text));
    buf_clear(&text);
    buf_addf(&text, "%" PRId64 " %" PRId64, arrival_us / 1000000, arrival_us % 1000000);
    cleanup_put(c, REC_TIME, buf_str(&text));
    buf_clear(&text);
    buf_addf(&text, "%" PRId64, c->d.created_s);
    put_attr(c, "create_time", buf_str(&text));
    put_attr(c, "log_ident", strz(c->d.queue_id));
    c->d.log_ident = c->d.queue_id;
    buf_free(&text);
}

/* When the sender is to be warned of a delay; 0: never. With by-mode N he has said it himself: RFC
 * 2852 4.1.3. A time that had passed when the message came is the client's to tell. */
static int64_t warning_time(const struct cleanup *c)
{
    int64_t from = c->d.arrival_us / 1000000;

    if (!c->d.by.returns && c->d.by.s > from)
        return c->d.by.s;
    if (from < c->d.release_s)
        from = c->d.release_s;
    return conf.delay_warning_time > 0 ? from + conf.delay_warning_time : 0;
}

static void put_warning_time(struct cleanup *c)
{
    char text[32];

    c->d.warn_at_s = warning_time(c);
    if (c->d.warn_at_s == 0)
        return;
    snprintf(text, sizeof text, "%15" PRId64, c->d.warn_at_s);
    c->d.warn_record = cleanup_put(c, REC_WARN, strz(text));
}

static void clear_dsn(struct cleanup_dsn *dsn)
{
    buf_clear(&dsn->original);
    buf_clear(&dsn->orcpt);
    dsn->notify = 0;
}

static void add_bcc(struct cleanup *c, const char *address)
{
    if (address[0] == 0)
        return;
    buf_setz(&c->dsn.original, address);
    buf_clear(&c->dsn.orcpt);
    c->dsn.notify = DSN_NEVER; /* the sender must not learn of it */
    cleanup_add_rcpt(c, strz(address));
    clear_dsn(&c->dsn);
}

static void add_found_bcc(struct cleanup *c, enum cleanup_bcc which, const char *address)
{
    struct buf bcc = BUF(DICT_VALUE_LIMIT); /* asked: by fits() */

    if ((c->flags & SUBMIT_BCC_OK) != 0 && cleanup_find_bcc(c, which, address, &bcc) == 0 &&
        fits(c, &bcc))
        add_bcc(c, bcc.p);
    buf_free(&bcc);
}

static void set_sender(struct cleanup *c, const char *address)
{
    struct buf sender = BUF(ADDRESS_MOST); /* asked: by complete() */

    if (complete(c, address, &sender) && sender.n > 0 && (c->flags & SUBMIT_MAP_OK) != 0)
        cleanup_map_address(c, MAP_ENVELOPE_SENDER, &sender);
    c->d.sender = arena_strz(c->mem, buf_str(&sender));
    buf_free(&sender);
}

void cleanup_note_utf8(struct cleanup *c, enum sendopt where, struct str text)
{
    if ((c->flags & (SUBMIT_UTF8 | SUBMIT_FIND_UTF8)) != 0 && !utf8_is_ascii(text))
        c->d.sendopts |= where;
}

static void take_sender(struct cleanup *c, struct str address)
{
    if (c->has_sender) {
        cleanup_fail(c, "4.3.0", "internal protocol error: two senders");
        return;
    }
    c->has_sender = true;
    put_warning_time(c);
    set_sender(c, arena_strz(c->mem, address));
    cleanup_put(c, REC_FROM, strz(c->d.sender));
    cleanup_note_utf8(c, SENDOPT_UTF8_SENDER, strz(c->d.sender));
    if (c->d.sender[0] != 0)
        add_found_bcc(c, BCC_SENDER, c->d.sender);
}

/* Is it what take_rcpt says in the place of a client who gave none? */
static bool is_made_up(const struct rcpt *r)
{
    struct buf own = BUF(REC_MAX);

    buf_addz(&own, "rfc822;");
    path_quote(strz(r->original), &own);
    bool made_up = buf_ok(&own) && str_eqz(buf_str(&own), r->dsn_orcpt);
    buf_free(&own);
    return made_up;
}

/* Postfix's key: with enable_original_recipient the same mailbox gets a copy for each address that
 * led to it, so that Delivered-To and the log tell. */
static void make_key(struct buf *key, const struct rcpt *r)
{
    bool tells = conf.enable_original_recipient;
    struct buf text = BUF(3 * REC_MAX);

    buf_addf(&text, "%s\n%u\n%s\n%s", tells || !is_made_up(r) ? r->dsn_orcpt : "", r->dsn_notify,
             tells ? r->original : "", r->address);
    if (buf_ok(&text))
        utf8_fold(buf_str(&text), key);
    else
        buf_spoil(key);
    buf_free(&text);
}

static bool is_duplicate(struct cleanup *c, const struct rcpt *r)
{
    struct buf key = BUF(9 * REC_MAX); /* folded it may be longer */

    if (hash_count(c->seen) >= (size_t)conf.duplicate_filter_limit &&
        conf.duplicate_filter_limit > 0)
        return false;
    make_key(&key, r);
    bool seen = buf_ok(&key) && hash_put(c->seen, buf_str(&key), c) != NULL;
    c->kept += seen ? 0 : key.n + HASH_ENTRY;
    buf_free(&key);
    return seen;
}

static void put_rcpt(struct cleanup *c, const char *address, const char *original)
{
    struct rcpt new = {.address = address,
                       .original = original,
                       .dsn_orcpt = arena_strz(c->mem, buf_str(&c->dsn.orcpt)),
                       .dsn_notify = c->dsn.notify};

    if (is_duplicate(c, &new) || c->stopped)
        return;
    if (c->dsn.orcpt.n > 0)
        put_attr(c, "dsn_orig_rcpt", buf_str(&c->dsn.orcpt));
    if (c->dsn.notify != 0) {
        char text[16];
        snprintf(text, sizeof text, "%u", c->dsn.notify);
        put_attr(c, "notify_flags", strz(text));
    }
    cleanup_put(c, REC_ORCP, strz(original));
    new.at = cleanup_put(c, REC_RCPT, strz(address));
    *VEC_ADD(&c->rcpts) = new;
    cleanup_note_utf8(c, SENDOPT_UTF8_RCPT, strz(address));
    c->size.rcpts++;
    c->size.flags |= (int64_t)c->dsn.notify << 1;
}

void cleanup_add_rcpt(struct cleanup *c, struct str address)
{
    struct buf rcpt = BUF(ADDRESS_MOST); /* asked: by complete() */
    struct cleanup_addresses all;

    if (!complete(c, address.n > 0 ? arena_strz(c->mem, address) : conf.empty_address_recipient,
                  &rcpt)) {
        buf_free(&rcpt);
        return;
    }
    if (c->dsn.original.n == 0)
        buf_add(&c->dsn.original, address.n > 0 ? address : buf_str(&rcpt));
    const char *original = arena_strz(c->mem, buf_str(&c->dsn.original));
    if ((c->flags & SUBMIT_MAP_OK) != 0)
        cleanup_map_address(c, MAP_ENVELOPE_RCPT, &rcpt);
    const char *mapped = arena_strz(c->mem, buf_str(&rcpt));
    buf_free(&rcpt);
    if ((c->flags & SUBMIT_MAP_OK) == 0)
        put_rcpt(c, mapped, original);
    else if (cleanup_expand(c, mapped, &all) == 0)
        for (size_t i = 0; i < all.n; i++)
            put_rcpt(c, all.at[i], original);
}

static void take_rcpt(struct cleanup *c, struct str address)
{
    if (!c->has_sender) {
        cleanup_fail(c, "4.3.0", "internal protocol error: recipient before sender");
        return;
    }
    if (c->dsn.orcpt.n == 0) { /* RFC 3461 4.2: what the first MTA was told */
        buf_addz(&c->dsn.orcpt, "rfc822;");
        path_quote(c->dsn.original.n > 0 ? buf_str(&c->dsn.original) : address, &c->dsn.orcpt);
    }
    if (fits(c, &c->dsn.orcpt) && fits(c, &c->dsn.original))
        cleanup_add_rcpt(c, address);
    c->last_rcpt = arena_strz(c->mem, address);
    if (cleanup_has_local_milters(c))
        *VEC_ADD(&c->asked) = c->last_rcpt;
    clear_dsn(&c->dsn);
    struct buf plain = BUF(ADDRESS_MOST); /* asked: by complete() */
    if (complete(c, arena_strz(c->mem, address), &plain))
        add_found_bcc(c, BCC_RCPT, plain.p);
    buf_free(&plain);
}

int cleanup_late_sender(struct cleanup *c, const char *address, const struct cleanup_late *late,
                        struct why *why)
{
    set_sender(c, address);
    if (c->stopped || qedit_set_sender(&c->edit, strz(c->d.sender), why) < 0)
        return -1;
    off_t begin = qedit_begin_rcpts(&c->edit, why);
    if (begin < 0)
        return -1;
    if (late->envid != NULL) {
        c->d.dsn_envid = late->envid;
        put_attr(c, "envelope_id", strz(late->envid));
    }
    if (late->ret != DSN_RET_NONE) {
        c->d.dsn_ret = late->ret;
        put_attr(c, "ret_flags", late->ret == DSN_RET_FULL ? STR("1") : STR("2"));
    }
    if (c->d.sender[0] != 0)
        add_found_bcc(c, BCC_SENDER, c->d.sender);
    return qedit_end_rcpts(&c->edit, begin, why);
}

int cleanup_late_rcpt(struct cleanup *c, const char *address, const struct cleanup_late *late,
                      struct why *why)
{
    struct buf mapped = BUF(ADDRESS_MOST); /* asked: by complete() */
    off_t begin = qedit_begin_rcpts(&c->edit, why);

    if (begin < 0)
        return -1;
    if (complete(c, address, &mapped) && (c->flags & SUBMIT_MAP_OK) != 0)
        cleanup_map_address(c, MAP_ENVELOPE_RCPT, &mapped);
    buf_setz(&c->dsn.orcpt, late->orcpt != NULL ? late->orcpt : "");
    c->dsn.notify = late->notify;
    if (!c->stopped && fits(c, &c->dsn.orcpt))
        cleanup_add_rcpt(c, buf_str(&mapped));
    clear_dsn(&c->dsn);
    buf_free(&mapped);
    return qedit_end_rcpts(&c->edit, begin, why);
}

static void put_found(struct cleanup *c)
{
    if (c->found_filter != NULL)
        cleanup_put(c, REC_FILT, strz(c->found_filter));
    if (c->found_redirect != NULL)
        cleanup_put(c, REC_RDIR, strz(c->found_redirect));
    VEC_EACH (&c->found_bcc, address)
        add_bcc(c, *address);
    c->found_filter = c->found_redirect = NULL;
    c->found_bcc.n = 0;
}

int cleanup_late_actions(struct cleanup *c, struct why *why)
{
    off_t begin = qedit_begin_rcpts(&c->edit, why);

    if (begin < 0)
        return -1;
    put_found(c);
    return qedit_end_rcpts(&c->edit, begin, why);
}

int cleanup_drop_rcpt(struct cleanup *c, const char *address, struct why *why)
{
    size_t kept = 0;
    int result = 0;

    for (size_t i = 0; i < c->rcpts.n; i++) {
        struct rcpt *r = &c->rcpts.at[i];
        struct buf key = BUF(9 * REC_MAX);
        if (strcmp(r->original, address) != 0) {
            c->rcpts.at[kept++] = *r;
            continue;
        }
        make_key(&key, r);
        if (buf_ok(&key))
            hash_drop(c->seen, buf_str(&key));
        buf_free(&key);
        if (qedit_drop_rcpt(&c->edit, r->at, strz(r->address), why) < 0)
            result = -1;
    }
    c->rcpts.n = kept;
    return result;
}

/* Attributes that cleanup keeps for qmgr's sake; they are written to the file too. */
static bool keep_attr(struct cleanup *c, struct str name, struct str value)
{
    struct delivery *d = &c->d;
    const struct {
        const char *name;
        const char **to;
    } kept[] = {
        {"log_client_name", &d->client_name},
        {"log_client_address", &d->client_addr},
        {"log_client_port", &d->client_port},
        {"log_protocol_name", &d->client_proto},
        {"log_helo_name", &d->client_helo},
        {"sasl_method", &d->sasl_method},
        {"sasl_username", &d->sasl_username},
        {"sasl_sender", &d->sasl_sender},
        {"rewrite_context", &d->rewrite_context},
        {"envelope_id", &d->dsn_envid},
        {"release_request", &d->release_request},
        {"reverse_client_name", &c->reverse_name},
        {"server_address", &c->server_addr},
        {"server_port", &c->server_port},
        {"log_ident", &d->log_ident}, /* after a filter: that before it */
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (str_eqz(name, kept[i].name)) {
            *kept[i].to = arena_strz(c->mem, value);
            return true;
        }
    return false;
}

/* A value that is told once for each message, so that no client makes us keep many. */
static void keep_once(struct cleanup *c, const char **kept, struct str value)
{
    if (*kept != NULL)
        cleanup_fail(c, "4.3.0", "internal protocol error: an attribute came twice");
    else
        *kept = arena_strz(c->mem, value);
}

/* Attributes that are for cleanup alone; each is kept and not written to the file. */
static const char **own_attr(struct cleanup *c, struct str name)
{
    return str_eqz(name, "received_before")  ? &c->received_before
           : str_eqz(name, "received_after") ? &c->received_after
           : str_eqz(name, "log_as")         ? &c->log_as
           : str_eqz(name, "log_text")       ? &c->log_text
                                             : NULL;
}

/* Attributes that need a look; true: not to be written now. */
static bool special_attr(struct cleanup *c, struct str name, struct str value)
{
    const char **own = own_attr(c, name);
    uint32_t n;

    if (own != NULL)
        keep_once(c, own, value);
    else if (str_eqz(name, "prepend"))
        *VEC_ADD(&c->prepend) = arena_strz(c->mem, value);
    else if (str_eqz(name, "dsn_orig_rcpt"))
        buf_set(&c->dsn.orcpt, value);
    else if (str_eqz(name, "notify_flags"))
        c->dsn.notify = num_parse_u32(value, 0, 15, &n) ? n : 0;
    else if (str_eqz(name, "encoding"))
        c->eight_bit = c->eight_bit || str_ieqz(value, "8bit");
    else
        return str_eqz(name, "create_time");
    return true;
}

static void take_attr(struct cleanup *c, struct str record)
{
    struct str name, value;
    int64_t priority;
    uint32_t n;

    if (!qrec_parse_attr(record, &name, &value)) {
        cleanup_fail(c, "4.3.0", "internal protocol error: malformed attribute");
        return;
    }
    if (special_attr(c, name, value))
        return;
    if (++c->attributes > (size_t)conf.queue_file_attribute_count_limit) {
        cleanup_fail(c, "4.3.0", "too many attributes");
        return;
    }
    if (str_eqz(name, "ret_flags") && num_parse_u32(value, 0, 3, &n))
        c->d.dsn_ret = n == 1 ? DSN_RET_FULL : n == 2 ? DSN_RET_HDRS : DSN_RET_NONE;
    else if (str_eqz(name, "trace_flags") && num_parse_u32(value, 0, 0xffff, &n))
        c->d.flags |= delivery_trace_flags(n);
    else if (str_eqz(name, "release_time"))
        num_parse(value, 0, INT64_MAX / 1000000, &c->d.release_s);
    else if (str_eqz(name, "deliver_by"))
        deliver_by_parse_time(value, &c->d.by);
    else if (str_eqz(name, "mt_priority") &&
             num_parse(value, -DELIVERY_PRIORITY_MOST, DELIVERY_PRIORITY_MOST, &priority))
        c->d.priority = (int)priority;
    keep_attr(c, name, value);
    cleanup_put(c, REC_ATTR, record);
}

/* Is it the client's own name? By hand all programs have one role. */
static bool may_log_as(const struct cleanup *c, struct str name)
{
    bool any = c->client == ROLE_SELF || c->client == ROLE_ROOT;

    return ((any || c->client == ROLE_SMTPD) && log_name_is(name, "smtpd", c->client_pid)) ||
           ((any || c->client == ROLE_PICKUP) && log_name_is(name, "pickup", c->client_pid));
}

static void log_for_client(const struct cleanup *c)
{
    if (c->log_as == NULL || c->log_text == NULL || c->d.queue_id == NULL)
        return;
    if (may_log_as(c, strz(c->log_as)))
        msg_info_as(c->log_as, "%s: %s", c->d.queue_id, c->log_text);
    else
        msg_warn("%s: process %d says as %s: %s", c->d.queue_id, (int)c->client_pid, c->log_as,
                 c->log_text);
}

static void begin_content(struct cleanup *c)
{
    log_for_client(c);
    if (!c->has_sender) {
        cleanup_fail(c, "4.3.0", "internal protocol error: no sender");
    } else {
        if ((c->flags & SUBMIT_BCC_OK) != 0)
            add_bcc(c, conf.always_bcc);
        if (c->rcpts.n == 0)
            cleanup_fail(c, "5.1.0", "no recipients specified");
    }
    cleanup_edit_rcpts(c);
    cleanup_convert_begin(c);
    c->encoding_at = c->stopped ? 0 : qfile_tell(c->file);
    put_attr(c, "encoding", c->eight_bit ? STR("8bit") : STR("7bit"));
    cleanup_put(c, REC_MESG, STR(""));
    c->size.data_offset = c->stopped ? 0 : qfile_tell(c->file);
    c->d.data_offset = c->size.data_offset;
    c->phase = CLEANUP_HEADER;
    if (!rewrite_by_name(c->d.rewrite_context, &c->rewrite))
        c->rewrite = REWRITE_REMOTE;
    cleanup_begin_headers(c);
}

/* Header fields of the client's: they have lines. No local user can set them. */
static bool has_lines(enum rec type, struct str body)
{
    struct str name, value;

    return type == REC_ATTR && qrec_parse_attr(body, &name, &value) &&
           (str_starts(name, STR("received_")) || str_eqz(name, "prepend"));
}

static bool is_control(char ch)
{
    return ((unsigned char)ch < ' ' && ch != '\t') || ch == 0x7f;
}

/* Any local user writes records as he likes, and what they say is put into commands for servers,
 * header fields and logs: no line end or other control character goes on. */
static struct str without_controls(struct cleanup *c, enum rec type, struct str body)
{
    size_t n = 0;

    while (n < body.n && !is_control(body.p[n]))
        n++;
    if (n == body.n || has_lines(type, body))
        return body;
    char *copy = arena_strz(c->mem, body);
    for (; n < body.n; n++)
        if (is_control(copy[n]))
            copy[n] = '?';
    return (struct str){copy, body.n};
}

/* What was asked for is asked for again; what was found is found anew. */
static void take_sendopts(struct cleanup *c, struct str body)
{
    struct qsize size;

    if (!qsize_parse(body, &size))
        return;
    c->flags |= (size.sendopts & SENDOPT_UTF8) != 0 ? SUBMIT_UTF8 : 0u;
    c->flags |= (size.sendopts & SENDOPT_REQUIRETLS) != 0 ? SUBMIT_REQUIRETLS : 0u;
}

/* Whoever takes it from outside has looked whether they are of verp_delimiter_filter. */
static void take_verp(struct cleanup *c, struct str delimiters)
{
    if (delimiters.n != 2) {
        cleanup_fail(c, "5.3.0", "bad VERP delimiters");
        return;
    }
    c->d.verp = arena_strz(c->mem, delimiters);
    cleanup_put(c, REC_VERP, delimiters);
}

void cleanup_envelope(struct cleanup *c, enum rec type, struct str body)
{
    int64_t arrival;

    if (type != REC_MILT)
        body = without_controls(c, type, body);
    if (c->d.queue_id == NULL && c->file != NULL) {
        bool given = type == REC_TIME && qrec_parse_time(body, &arrival);
        begin_file(c, given ? arrival : clock_wall_us());
    }
    switch (type) {
    case REC_TIME:
        break;
    case REC_SIZE: /* of a file that postsuper -r gives back */
        take_sendopts(c, body);
        break;
    case REC_FULL:
        c->full_name = arena_strz(c->mem, body);
        cleanup_put(c, type, body);
        break;
    case REC_FROM:
        take_sender(c, body);
        break;
    case REC_ORCP:
        buf_set(&c->dsn.original, body);
        break;
    case REC_RCPT:
        take_rcpt(c, body);
        break;
    case REC_ATTR:
        take_attr(c, body);
        break;
    case REC_FILT:
        c->d.filter = arena_strz(c->mem, body);
        cleanup_put(c, type, body);
        break;
    case REC_RDIR:
        c->d.redirect = arena_strz(c->mem, body);
        cleanup_put(c, type, body);
        break;
    case REC_MILT:
        cleanup_take_milters(c, body);
        break;
    case REC_VERP:
        take_verp(c, body);
        break;
    case REC_MESG:
        begin_content(c);
        break;
    default:
        cleanup_fail(c, "4.3.0", "internal protocol error: unexpected record in the envelope");
    }
}

/* smtpd's lists may order something at the end of the content, as checks may in it. Any client
 * could have asked for that at once. */
static bool take_order(struct cleanup *c, enum rec type, struct str body)
{
    uint32_t flags;

    if (type == REC_FLGS && num_parse_u32(body, 0, UINT32_MAX, &flags)) {
        c->flags |= flags & (SUBMIT_HOLD | SUBMIT_DISCARD);
        if ((flags & SUBMIT_HOLD) != 0 && c->file != NULL)
            qfile_set_queue(c->file, Q_HOLD);
    } else if (type == REC_FILT) {
        c->d.filter = c->found_filter = arena_strz(c->mem, body);
    } else if (type == REC_RDIR) {
        c->d.redirect = c->found_redirect = arena_strz(c->mem, body);
    } else if (type == REC_RCPT) {
        *VEC_ADD(&c->found_bcc) = arena_strz(c->mem, body);
    } else {
        return false;
    }
    return true;
}

void cleanup_extracted(struct cleanup *c, enum rec type, struct str body)
{
    if (type == REC_END) {
        put_found(c);
        c->phase = CLEANUP_ENDED;
    } else if (type == REC_RRTO || type == REC_ERTO) {
        cleanup_put(c, type, body);
    } else if (!take_order(c, type, body)) {
        cleanup_fail(c, "4.3.0", "internal protocol error: unexpected record after the content");
    }
}
