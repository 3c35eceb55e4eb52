#include "ipc/attrs.h"

#include <unistd.h>

#include "base/num.h"
#include "base/str.h"
#include "ipc/proto.h"

static void mark_bad(struct attrs *a, const char *name)
{
    if (a->bad == NULL)
        a->bad = name;
}

void attrs_put(struct attrs *a, const char *name, struct str value)
{
    if (value.n > 0 && memchr(value.p, 0, value.n) != NULL) {
        mark_bad(a, name);
        return;
    }
    size_t len = strlen(name);
    char *to = buf_room(&a->wire, len + value.n + 2);
    if (to == NULL)
        return; /* full sticks; attrs_send says so */
    memcpy(to, name, len + 1);
    if (value.n > 0)
        memcpy(to + len + 1, value.p, value.n);
    to[len + 1 + value.n] = 0;
    buf_grown(&a->wire, len + value.n + 2);
}

void attrs_putz(struct attrs *a, const char *name, const char *value)
{
    attrs_put(a, name, strz(value));
}

void attrs_putn(struct attrs *a, const char *name, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)value);
    attrs_put(a, name, (struct str){text, (size_t)n});
}

void attrs_put_fd(struct attrs *a, int fd)
{
    if (a->nfds < ATTRS_FDS) {
        a->fds[a->nfds++] = fd;
    } else {
        close(fd);
        mark_bad(a, "descriptor");
    }
}

/* The value at or behind *at whose name is wanted (any name, if null). wire holds whole pairs only:
 * put and recv see to that. */
static const char *pair(const struct attrs *a, size_t *at, const char **name)
{
    if (*at >= a->wire.n)
        return NULL;
    *name = a->wire.p + *at;
    const char *value = *name + strlen(*name) + 1;
    *at = (size_t)(value - a->wire.p) + strlen(value) + 1;
    return value;
}

static const char *attrs_find(struct attrs *a, const char *wanted, size_t from, size_t end)
{
    const char *name, *value;

    while (from < end && (value = pair(a, &from, &name)) != NULL)
        if (strcmp(name, wanted) == 0) {
            a->hint = from;
            return value;
        }
    return NULL;
}

const char *attrs_opt(struct attrs *a, const char *name, const char *if_absent)
{
    size_t hint = a->hint <= a->wire.n ? a->hint : 0;
    const char *value = attrs_find(a, name, hint, a->wire.n);

    if (value == NULL && hint > 0)
        value = attrs_find(a, name, 0, hint);
    return value != NULL ? value : if_absent;
}

const char *attrs_get(struct attrs *a, const char *name)
{
    const char *value = attrs_opt(a, name, NULL);

    if (value == NULL)
        mark_bad(a, name);
    return value != NULL ? value : "";
}

int64_t attrs_getn(struct attrs *a, const char *name, int64_t low, int64_t high)
{
    int64_t n = low;

    if (!num_parse(strz(attrs_get(a, name)), low, high, &n))
        mark_bad(a, name);
    return n;
}

const char *attrs_each(struct attrs *a, const char *wanted, size_t *cursor)
{
    const char *name, *value;

    while ((value = pair(a, cursor, &name)) != NULL)
        if (strcmp(name, wanted) == 0)
            return value;
    return NULL;
}

const char *attrs_next(struct attrs *a, const char **name, size_t *cursor)
{
    return pair(a, cursor, name);
}

int attrs_take_fd(struct attrs *a)
{
    if (a->nfds == 0)
        return -1;
    int fd = a->fds[0];
    a->nfds--;
    memmove(a->fds, a->fds + 1, (size_t)a->nfds * sizeof a->fds[0]);
    a->fds[a->nfds] = -1;
    return fd;
}

bool attrs_ok(const struct attrs *a)
{
    return a->bad == NULL && buf_ok(&a->wire);
}

void attrs_clear(struct attrs *a)
{
    int fd;

    while ((fd = attrs_take_fd(a)) >= 0)
        close(fd);
    buf_clear(&a->wire);
    a->bad = NULL;
    a->hint = 0;
}

void attrs_free(struct attrs *a)
{
    attrs_clear(a);
    buf_free(&a->wire);
}

void attrs_put_why(struct attrs *answer, const struct why *why)
{
    if (why == NULL || why->code[0] == 0 || why->code[0] == '2') {
        attrs_putz(answer, A_STATUS, STATUS_OK);
        return;
    }
    attrs_putz(answer, A_STATUS, why_later(why) ? STATUS_RETRY : STATUS_FAIL);
    attrs_putz(answer, A_WHY_CODE, why->code);
    attrs_put(answer, A_WHY_TEXT, buf_str(&why->text));
}

int attrs_get_why(struct attrs *answer, struct why *why)
{
    const char *status = attrs_get(answer, A_STATUS);

    if (strcmp(status, STATUS_OK) == 0)
        return 0;
    bool never = strcmp(status, STATUS_FAIL) == 0;
    if (!never && strcmp(status, STATUS_RETRY) != 0)
        return why_set(why, "4.3.0", "malformed answer from an internal service");
    /* The status decides; a code of another class does not. */
    const char *code = attrs_opt(answer, A_WHY_CODE, "");
    if (code[0] != (never ? '5' : '4') || strlen(code) >= sizeof why->code)
        code = never ? "5.3.0" : "4.3.0";
    return why_set(why, code, "%s", attrs_opt(answer, A_WHY_TEXT, "unspecified error"));
}
