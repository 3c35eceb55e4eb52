#include "pipe_argv.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"
#include "dict/addr_find.h"
#include "mail/path.h"

enum { ARGUMENT_LIMIT = 64 * 1024 };

static int parse_flags(struct pipe_args *p, const char *letters, struct why *why)
{
    static const char known[] = "BDFORXhuq.>";

    for (; *letters != 0; letters++) {
        const char *at = strchr(known, *letters);
        if (at == NULL)
            return why_set(why, "4.3.5", "unknown flag: %c", *letters);
        p->flags |= 1u << (at - known);
    }
    return 0;
}

static int find_group(struct pipe_args *p, const char *name, struct why *why)
{
    uint32_t id;
    const struct group *gr =
        num_parse_u32(strz(name), 0, UINT32_MAX - 1, &id) ? getgrgid(id) : getgrnam(name);

    if (gr == NULL)
        return why_set(why, "4.3.0", "user=...:%s: unknown group", name);
    p->gid = gr->gr_gid;
    return 0;
}

/* "user" or "user:group", names or numbers; never root, nor the owner of the queue. */
static int parse_user(struct pipe_args *p, const char *text, struct why *why)
{
    struct buf user = BUF(200);
    const char *colon = strchr(text, ':');
    const struct passwd *pw;
    uint32_t id;

    buf_add(&user, (struct str){text, colon != NULL ? (size_t)(colon - text) : strlen(text)});
    pw = !buf_ok(&user)                                          ? NULL
         : num_parse_u32(buf_str(&user), 0, UINT32_MAX - 1, &id) ? getpwuid(id)
                                                                 : getpwnam(user.p);
    buf_free(&user);
    if (pw == NULL)
        return why_set(why, "4.3.0", "user=%s: unknown username", text);
    p->uid = pw->pw_uid;
    p->gid = pw->pw_gid;
    pw = getpwnam(conf.mail_owner);
    if (p->uid == 0 || (geteuid() == 0 && pw != NULL && p->uid == pw->pw_uid))
        return why_set(why, "4.3.5", "user= command-line attribute specifies %s user",
                       p->uid == 0 ? "root" : "mail system owner");
    if (colon != NULL && colon[1] != 0 && find_group(p, colon + 1, why) < 0)
        return -1;
    return p->gid != 0
               ? 0
               : why_set(why, "4.3.5", "user= command-line attribute specifies privileged group");
}

static const char *line_end(const char *text)
{
    return strcmp(text, "\\r\\n") == 0 ? "\r\n" : strcmp(text, "\\n") == 0 ? "\n" : text;
}

static int parse_one(struct pipe_args *p, const char *arg, struct why *why)
{
    const char *equals = strchr(arg, '=');
    struct str name = {arg, equals != NULL ? (size_t)(equals - arg) : 0};
    const char *value = equals != NULL ? equals + 1 : "";

    if (str_eqz(name, "flags"))
        return parse_flags(p, value, why);
    if (str_eqz(name, "user"))
        return parse_user(p, value, why);
    if (str_eqz(name, "directory"))
        p->directory = value;
    else if (str_eqz(name, "chroot"))
        p->root = value;
    else if (str_eqz(name, "eol"))
        p->eol = line_end(value);
    else if (str_eqz(name, "null_sender"))
        p->null_sender = value;
    else if (!str_eqz(name, "size") || !num_parse(strz(value), 0, INT64_MAX, &p->size_limit))
        return why_set(why, "4.3.5", "unknown attribute: %s", arg);
    return 0;
}

/* A name that is not known would put off all mail: expanded for a recipient of whom all is known,
 * and for one of whom nothing is, so that both sides of ${name?{a}:{b}} are seen. */
static int check_macros(const struct pipe_args *p, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    bool good = true;

    for (int i = 0; good && i < 2; i++) {
        const char *text = i == 0 ? "" : "x";
        struct rcpt rcpt = {.address = i == 0 ? "" : "x+x@x", .original = text};
        struct delivery d = {.queue_id = text,
                             .nexthop = text,
                             .sender = text,
                             .client_name = text,
                             .client_addr = text,
                             .client_port = text,
                             .client_proto = text,
                             .client_helo = text,
                             .sasl_method = text,
                             .sasl_username = text,
                             .sasl_sender = text,
                             .rcpts = &rcpt,
                             .nrcpts = 1};
        good = pipe_argv(p, &d, mem, why) != NULL;
    }
    arena_free(&mem);
    return good ? 0 : -1;
}

int pipe_args_parse(struct pipe_args *p, int argc, char **argv, struct why *why)
{
    *p = (struct pipe_args){
        .directory = "", .root = "/", .eol = "\n", .null_sender = "MAILER-DAEMON"};
    for (int i = 0; i < argc && p->argv == NULL; i++) {
        if (strncmp(argv[i], "argv=", 5) == 0) {
            argv[i] += 5;
            p->argv = (const char *const *)(argv + i);
        } else if (parse_one(p, argv[i], why) < 0) {
            return -1;
        }
    }
    if (p->argv == NULL || p->argv[0][0] == 0)
        return why_set(why, "4.3.5", "missing argv= command-line attribute");
    if (p->uid == 0)
        return why_set(why, "4.3.5", "missing user= command-line attribute");
    if (p->root[0] != '/')
        return why_set(why, "4.3.5", "chroot=%s: not an absolute path", p->root);
    return check_macros(p, why);
}

/* One argument on its way, for one recipient. */
struct argument {
    const struct pipe_args *p;
    const struct delivery *d;
    const struct rcpt *rcpt;
    struct arena *mem;
    bool per_recipient; /* it named something that each recipient has its own of */
    bool unknown;
};

static const char *address_with(const struct argument *x, const char *address, unsigned flags)
{
    struct buf text = BUF(2 * strlen(address) + 2); /* fits: all of it quoted */
    const char *result;

    if ((flags & PIPE_QUOTE) != 0)
        path_quote(strz(address), &text);
    else
        buf_addz(&text, address);
    ptrdiff_t at = str_rfind(buf_str(&text), '@');
    size_t local = at < 0 ? text.n : (size_t)at;
    if ((flags & PIPE_FOLD_USER) != 0)
        str_lower(text.p, local);
    if ((flags & PIPE_FOLD_DOMAIN) != 0)
        str_lower(text.p + local, text.n - local);
    result = arena_strz(x->mem, buf_str(&text));
    buf_free(&text);
    return result;
}

static const char *address_of(const struct argument *x, const char *address)
{
    return address_with(x, address, x->p->flags);
}

/* The h and u flags are not for the sender: what its server made of it may depend on the case. */
static const char *sender_of(const struct argument *x)
{
    const char *sender = *x->d->sender != 0 ? x->d->sender : x->p->null_sender;

    return address_with(x, sender, x->p->flags & PIPE_QUOTE);
}

static const char *nexthop_of(const struct argument *x)
{
    char *name = arena_strz(x->mem, strz(x->d->nexthop));

    if ((x->p->flags & PIPE_FOLD_DOMAIN) != 0)
        str_lower(name, strlen(name));
    return name;
}

/* The q flag is for whole addresses only. */
static const char *part_of(const struct argument *x, struct str name)
{
    const char *address = address_with(x, x->rcpt->address, x->p->flags & ~(unsigned)PIPE_QUOTE);
    struct str local = path_local(strz(address));
    size_t user = addr_user_length(local);

    if (str_eqz(name, "recipient"))
        return address_of(x, x->rcpt->address);
    if (str_eqz(name, "original_recipient"))
        return address_of(x, *x->rcpt->original != 0 ? x->rcpt->original : x->rcpt->address);
    if (str_eqz(name, "mailbox"))
        return arena_strz(x->mem, local);
    if (str_eqz(name, "user"))
        return arena_strz(x->mem, str_upto(local, user));
    if (str_eqz(name, "extension"))
        return arena_strz(x->mem, str_from(local, user < local.n ? user + 1 : user));
    if (str_eqz(name, "domain"))
        return arena_strz(x->mem, path_domain(strz(address)));
    return NULL;
}

static const char *pipe_argv_find(struct str name, void *arg)
{
    struct argument *x = arg;
    const struct delivery *d = x->d;
    const struct {
        const char *name, *value;
    } once[] = {
        {"sender", sender_of(x)},
        {"nexthop", nexthop_of(x)},
        {"queue_id", d->queue_id},
        {"client_address", d->client_addr},
        {"client_helo", d->client_helo},
        {"client_hostname", d->client_name},
        {"client_port", d->client_port},
        {"client_protocol", d->client_proto},
        {"sasl_method", d->sasl_method},
        {"sasl_sender", d->sasl_sender},
        {"sasl_username", d->sasl_username},
    };
    const char *value;

    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        if (str_eqz(name, once[i].name))
            return once[i].value;
    if (str_eqz(name, "size"))
        return arena_printf(x->mem, "%lld", (long long)d->content_size);
    value = part_of(x, name);
    x->per_recipient |= value != NULL;
    x->unknown |= value == NULL;
    return value;
}

static int expand(struct argument *x, const char *text, const char **out, struct why *why)
{
    struct buf value = BUF(ARGUMENT_LIMIT);
    int status = conf_expand_text(strz(text), 0, pipe_argv_find, x, &value, why);

    if (status == 0 && !buf_ok(&value))
        status = why_set(why, "4.3.5", "argument %s becomes too long", text);
    if (status == 0 && x->unknown)
        status = why_set(why, "4.3.5", "unknown macro in argument: %s", text);
    *out = arena_strz(x->mem, buf_str(&value));
    buf_free(&value);
    return status;
}

const char **pipe_argv(const struct pipe_args *p, const struct delivery *d, struct arena *mem,
                       struct why *why)
{
    size_t words = 0, n = 0;

    while (p->argv[words] != NULL)
        words++;
    const char **argv = arena_array(mem, words * (d->nrcpts > 0 ? d->nrcpts : 1) + 1, sizeof *argv);
    for (size_t i = 0; i < words; i++) {
        struct argument x = {p, d, &d->rcpts[0], mem, false, false};
        if (expand(&x, p->argv[i], &argv[n++], why) < 0)
            return NULL;
        for (size_t j = 1; x.per_recipient && j < d->nrcpts; j++) {
            x.rcpt = &d->rcpts[j];
            if (expand(&x, p->argv[i], &argv[n++], why) < 0)
                return NULL;
        }
    }
    return argv;
}
