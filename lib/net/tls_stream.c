/*
 * TLS as a layer of a stream. OpenSSL reads and writes through a BIO on the layer below.
 */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/tls_inside.h"

/* A handshake with long chains of certificates, or one record and the answers to key updates. */
enum { HELD_MOST = 128 * 1024 };

static int below_read(BIO *bio, char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    do
        got = t->below.layer->read(t->below.self, p, (size_t)n);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)got;
}

static ssize_t write_below(struct tls *t, struct str bytes)
{
    ssize_t done;

    do
        done = t->below.layer->write(t->below.self, bytes.p, bytes.n);
    while (done < 0 && errno == EINTR);
    return done;
}

/*
 * What the socket does not take at once is held. OpenSSL must not know of it: while it has half a
 * record to write, a read that has to answer (a key update, RFC 8446 4.6.3) ends the connection.
 * tls_write takes nothing more meanwhile, so what is held is one record and some answers.
 */
static int below_write(BIO *bio, const char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    struct str bytes = {p, (size_t)n};
    ssize_t done = 0;

    BIO_clear_retry_flags(bio);
    if (t->held.n == 0)
        done = write_below(t, bytes);
    if (done < 0 && errno != EAGAIN)
        return -1;
    bytes = str_from(bytes, done > 0 ? (size_t)done : 0);
    if (bytes.n > t->held.max - t->held.n) {
        BIO_set_retry_write(bio);
        return -1;
    }
    buf_add(&t->held, bytes);
    return n;
}

/* False: something is still held (errno EAGAIN), or could not be written. Does not wait. */
static bool write_held(struct tls *t)
{
    while (t->held.n > 0) {
        ssize_t done = write_below(t, buf_str(&t->held));
        if (done < 0 && errno == EAGAIN)
            return false;
        if (done < 0) {
            buf_clear(&t->held);
            return false;
        }
        buf_skip(&t->held, (size_t)done);
    }
    buf_free(&t->held);
    return true;
}

static long below_control(BIO *bio, int command, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return command == BIO_CTRL_FLUSH;
}

static BIO *below_bio(struct tls *t)
{
    static BIO_METHOD *method; /* made once, never changed */
    BIO *bio;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
        if (method == NULL)
            return NULL;
        BIO_meth_set_read(method, below_read);
        BIO_meth_set_write(method, below_write);
        BIO_meth_set_ctrl(method, below_control);
    }
    bio = BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* What SSL_read and friends said, as read(2) says it. */
static ssize_t outcome(struct tls *t, int r)
{
    int saved = errno;

    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        t->waits_for = t->held.n > 0 ? POLLIN | POLLOUT : POLLIN;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        t->waits_for = POLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        t->broken = true;
        errno = saved;
        return saved == 0 ? 0 : -1;
    default:
        t->broken = true;
        errno = EPROTO;
        return -1;
    }
}

static ssize_t tls_read(void *self, void *p, size_t n)
{
    struct tls *t = self;
    int r;

    write_held(t);
    ERR_clear_error();
    errno = 0;
    r = SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    return r > 0 ? r : outcome(t, r);
}

/* Held bytes are not through: errno says why. */
static ssize_t wait_to_write(struct tls *t)
{
    t->waits_for = POLLOUT;
    return -1;
}

static ssize_t tell_taken(struct tls *t)
{
    size_t n = t->taken;

    t->taken = 0;
    return (ssize_t)n;
}

/* The caller comes again with the same bytes after EAGAIN, as with write(2) inside TLS always. */
static ssize_t tls_write(void *self, const void *p, size_t n)
{
    struct tls *t = self;
    int r;

    if (!write_held(t))
        return wait_to_write(t);
    if (t->taken > 0)
        return tell_taken(t);
    ERR_clear_error();
    errno = 0;
    r = SSL_write(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    if (r > 0) {
        t->taken = (size_t)r;
        errno = EAGAIN;
        return t->held.n == 0 ? tell_taken(t) : wait_to_write(t);
    }
    if (outcome(t, r) == 0) /* the peer has ended within a handshake: nothing can be written */
        errno = EPIPE;
    return -1;
}

static short tls_waits_for(void *self)
{
    struct tls *t = self;

    return t->waits_for;
}

static void tls_close(void *self)
{
    struct tls *t = self;

    ERR_clear_error();
    if (!t->broken && SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl); /* the alert; the peer's is not waited for: RFC 5246 7.2.1 */
    write_held(t);
    ERR_clear_error();
}

static void tls_free(void *self)
{
    struct tls *t = self;

    SSL_free(t->ssl);
    tls_forget(&t->info);
    buf_free(&t->held);
    tls_context_drop(t->context);
    free(t->session_key);
    free(t->asked);
    free(t);
}

const struct stream_layer tls_layer = {.read = tls_read,
                                       .write = tls_write,
                                       .waits_for = tls_waits_for,
                                       .close = tls_close,
                                       .free = tls_free};

static struct tls *slide_in(struct stream *s, struct tls_context *c, struct why *why)
{
    struct tls *t;
    BIO *bio;

    if (stream_ahead(s) > 0) {
        why_set(why, "5.5.0", "TLS: input was sent before the handshake");
        return NULL;
    }
    t = mem_new(sizeof *t);
    c->users++;
    t->context = c;
    t->waits_for = POLLIN;
    /* fits: to_below takes no more than there is room for */
    t->held = BUF(HELD_MOST);
    t->below = stream_top(s);
    t->ssl = SSL_new(c->ctx);
    bio = below_bio(t);
    if (t->ssl == NULL || bio == NULL || !stream_push(s, &tls_layer, t)) {
        BIO_free(bio);
        tls_free(t);
        stream_fail(s, "TLS: out of memory");
        why_set(why, "4.7.5", "TLS: no connection object");
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    return t;
}

static int handshake(struct stream *s, struct tls *t, struct why *why)
{
    char text[200];
    int r;

    for (;;) {
        write_held(t);
        ERR_clear_error();
        errno = 0;
        r = SSL_do_handshake(t->ssl);
        if (r == 1)
            return 0;
        if (SSL_want_client_hello_cb(t->ssl)) {
            if (tls_sni_answer(t, why) == 0)
                continue;
        } else if (outcome(t, r) < 0 && errno == EAGAIN) {
            if (stream_wait_layer(s) == WAIT_READY)
                continue;
            why_set(why, "4.7.5", "TLS handshake: %s", stream_error(s));
        } else {
            why_set(why, "4.7.5", "TLS handshake: %s", tls_error(text, sizeof text));
        }
        t->broken = true;
        stream_fail(s, "TLS handshake failed");
        return -1;
    }
}

int tls_accept(struct stream *s, struct tls_context *c, const struct tls_info **info,
               struct why *why)
{
    struct tls *t = slide_in(s, c, why);

    if (t == NULL)
        return -1;
    SSL_set_accept_state(t->ssl);
    if (handshake(s, t, why) < 0)
        return -1;
    tls_describe(t, NULL);
    if (info != NULL)
        *info = &t->info;
    return 0;
}

int tls_connect(struct stream *s, struct tls_context *c, const struct tls_peer *peer,
                const struct tls_info **info, struct why *why)
{
    struct tls *t = slide_in(s, c, why);
    struct addr numeric;

    if (t == NULL)
        return -1;
    /* RFC 6066 3: no addresses. */
    if (peer->sni != NULL && !addr_parse(strz(peer->sni), &numeric))
        SSL_set_tlsext_host_name(t->ssl, peer->sni);
    if (peer->session_key != NULL) {
        t->session_key = mem_dupz(peer->session_key);
        tls_session_offer(t);
    }
    SSL_set_connect_state(t->ssl);
    if (handshake(s, t, why) < 0)
        return -1;
    tls_describe(t, peer->names);
    if (info != NULL)
        *info = &t->info;
    return 0;
}

const struct tls_info *tls_info(const struct stream *s)
{
    const struct tls *t = stream_layer_self(s, &tls_layer);

    return t != NULL ? &t->info : NULL;
}

bool tls_binding(const struct stream *s, const char **type, struct buf *out)
{
    enum { BINDING = 32, FINISHED_MOST = 64 };
    static const char label[] = "EXPORTER-Channel-Binding";
    struct tls *t = stream_layer_self(s, &tls_layer);
    unsigned char bytes[FINISHED_MOST];
    size_t n = 0;

    if (t == NULL)
        return false;
    if (SSL_version(t->ssl) >= TLS1_3_VERSION) {
        *type = "tls-exporter"; /* RFC 9266 2 */
        n = SSL_export_keying_material(t->ssl, bytes, BINDING, label, sizeof label - 1, bytes, 0,
                                       1) == 1
                ? BINDING
                : 0;
    } else {
        *type = "tls-unique"; /* RFC 5929 3: the first Finished of the handshake */
        bool mine = SSL_is_server(t->ssl) == (SSL_session_reused(t->ssl) != 0);
        n = mine ? SSL_get_finished(t->ssl, bytes, sizeof bytes)
                 : SSL_get_peer_finished(t->ssl, bytes, sizeof bytes);
    }
    buf_clear(out);
    buf_add(out, (struct str){(const char *)bytes, n});
    return n > 0;
}
