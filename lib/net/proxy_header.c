#include "net/proxy_header.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/num.h"
#include "base/str.h"
#include "net/stream.h"

enum {
    V1_MOST = 107, /* with CR LF */
    V2_HEAD = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
};

static const struct str v1_signature = STR("PROXY ");
static const struct str v2_signature = STR("\r\n\r\n\0\r\nQUIT\n");

static int proxy_bad(struct why *why, const char *what)
{
    return why_set(why, "4.3.0", "%s", what);
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25" ---- */

static bool take_addr(struct str *rest, sa_family_t family, struct addr *a)
{
    struct str word;

    return str_word(rest, " ", &word) && addr_parse_mapped(word, a) && a->family == family;
}

static bool take_port(struct str *rest, struct addr *a)
{
    struct str word;
    uint32_t port;

    if (!str_word(rest, " ", &word) || !num_parse_u32(word, 0, 65535, &port))
        return false;
    a->port = (in_port_t)port;
    return true;
}

static void unmap(struct addr *a)
{
    struct addr plain;
    char text[ADDR_TEXT];

    if (addr_parse(strz(addr_text(a, text)), &plain)) {
        plain.port = a->port;
        *a = plain;
    }
}

static int parse_line(struct str line, struct proxy_header *out, struct why *why)
{
    sa_family_t family;
    struct str word;

    line = str_from(line, v1_signature.n);
    if (!str_word(&line, " ", &word))
        return proxy_bad(why, "missing protocol type");
    if (str_ieqz(word, "TCP4"))
        family = AF_INET;
    else if (str_ieqz(word, "TCP6"))
        family = AF_INET6;
    else
        return proxy_bad(why, "bad or missing protocol type");
    if (!take_addr(&line, family, &out->client))
        return proxy_bad(why, "bad or missing client address");
    if (!take_addr(&line, family, &out->server))
        return proxy_bad(why, "bad or missing server address");
    if (!take_port(&line, &out->client))
        return proxy_bad(why, "bad or missing client port");
    if (!take_port(&line, &out->server))
        return proxy_bad(why, "bad or missing server port");
    unmap(&out->client);
    unmap(&out->server);
    return 1;
}

static int parse_v1(struct str bytes, struct proxy_header *out, size_t *used, struct why *why)
{
    struct str most = str_upto(bytes, V1_MOST);
    ptrdiff_t end = str_find(most, '\n');

    if (end < 0)
        return most.n < V1_MOST ? 0 : proxy_bad(why, "missing protocol header terminator");
    *used = (size_t)end + 1;
    return parse_line(str_rtrim(str_upto(bytes, *used)), out, why);
}

/* ---- version 2 ---- */

static unsigned number(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static void read_pair(const char *p, sa_family_t family, struct proxy_header *out)
{
    size_t n = family == AF_INET ? 4 : 16;

    out->client.family = out->server.family = family;
    memcpy(out->client.ip, p, n);
    memcpy(out->server.ip, p + n, n);
    out->client.port = (in_port_t)number(p + 2 * n);
    out->server.port = (in_port_t)number(p + 2 * n + 2);
    unmap(&out->client);
    unmap(&out->server);
}

static int parse_v2(struct str bytes, struct proxy_header *out, size_t *used, struct why *why)
{
    if (bytes.n < V2_HEAD)
        return 0;
    unsigned command = (unsigned char)bytes.p[12], family = (unsigned char)bytes.p[13];
    size_t length = number(bytes.p + 14);
    size_t wanted = family == V2_TCP4 ? 12 : 36;
    if (command != V2_LOCAL && command != V2_PROXY)
        return proxy_bad(why, command >> 4 == 2 ? "bad command in proxy header"
                                                : "unrecognized protocol version");
    if (command == V2_PROXY && family != V2_TCP4 && family != V2_TCP6)
        return proxy_bad(why, "unsupported network protocol");
    if (command == V2_PROXY && length < wanted)
        return proxy_bad(why, "short address field");
    if (length > PROXY_HEADER_MOST - V2_HEAD)
        return proxy_bad(why, "the header is too long");
    if (bytes.n < V2_HEAD + length)
        return 0;
    *used = V2_HEAD + length;
    out->local = command == V2_LOCAL;
    if (!out->local)
        read_pair(bytes.p + V2_HEAD, family == V2_TCP4 ? AF_INET : AF_INET6, out);
    return 1;
}

/* All that has come is its beginning, or it is the beginning of all. */
static bool agree(struct str bytes, struct str signature)
{
    size_t n = bytes.n < signature.n ? bytes.n : signature.n;

    return memcmp(bytes.p, signature.p, n) == 0;
}

int proxy_header_parse(struct str bytes, struct proxy_header *out, size_t *used, struct why *why)
{
    *out = (struct proxy_header){0};
    if (bytes.n == 0)
        return 0;
    if (agree(bytes, v2_signature))
        return parse_v2(bytes, out, used, why);
    if (agree(bytes, v1_signature))
        return parse_v1(bytes, out, used, why);
    return proxy_bad(why, "bad or missing protocol header");
}

/* ---- from a socket ---- */

/* One step: looks at what is there, and takes of it what belongs to the header. As parse. */
static int take_some(int fd, struct buf *seen, struct proxy_header *out, struct why *why)
{
    char *room = buf_room(seen, PROXY_HEADER_MOST - seen->n);
    size_t before = seen->n, used = 0;

    if (room == NULL)
        return proxy_bad(why, "the header is too long");
    ssize_t n = recv(fd, room, PROXY_HEADER_MOST - before, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return proxy_bad(why, n == 0 ? "EOF" : "read error");
    buf_grown(seen, (size_t)n);
    int result = proxy_header_parse(buf_str(seen), out, &used, why);
    size_t take = result == 1 ? used - before : (size_t)n;
    if (recv(fd, seen->p + before, take, MSG_DONTWAIT) != (ssize_t)take)
        return proxy_bad(why, "read error");
    return result;
}

int proxy_header_read(struct stream *s, int64_t deadline_ms, struct proxy_header *out,
                      struct why *why)
{
    struct buf seen = BUF(PROXY_HEADER_MOST + 1); /* asked: by take_some */
    enum wait wait;
    int result = 0;

    while (result == 0) {
        wait = stream_wait_unread(s, deadline_ms);
        if (wait == WAIT_READY && stream_state(s) == STREAM_OK)
            result = take_some(stream_fd(s), &seen, out, why);
        else if (wait != WAIT_WOKEN)
            result = proxy_bad(why, "timeout error");
    }
    buf_free(&seen);
    return result == 1 ? 0 : -1;
}
