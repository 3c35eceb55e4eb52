/*
 * The relay between TLS and a session, with a client that is rude. The client is another process,
 * which makes its TLS 1.3 records by hand where OpenSSL would not split them.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "login/relay.h"
#include "net/stream.h"
#include "net/tls.h"

#include "mini.h"
#include "test.h"

enum { SECRET = 32, KEY = 16, IV = 12, TAG = 16, LARGE = 1000 * 1000 };

static char dir[] = "/tmp/test_relay.XXXXXX";

static int make_certificate(void **state)
{
    char command[1000];

    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(command, sizeof command,
             "cd %s && exec 2>/dev/null && openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x",
             dir);
    return system(command) == 0 ? 0 : -1;
}

static int remove_certificate(void **state)
{
    (void)state;
    return file_remove_all(dir);
}

/* ---- the front and the session, as tasks */

struct world {
    struct tls_context *context;
    int client[2], pair[2], trigger[2]; /* the second of client and trigger is the client's */
    int news; /* the session's end of the pair once more: news may come when it has ended */
    bool relayed; /* the relay has come to its end */
};

static void front(void *arg)
{
    struct world *w = arg;
    struct stream *s = stream_new(w->client[0]);
    struct why why = WHY;

    stream_set_idle(s, 20000);
    if (tls_accept(s, w->context, NULL, &why) == 0) {
        relay_run(s, w->pair[0]);
        w->relayed = true;
    } else {
        close(w->pair[0]);
    }
    why_free(&why);
    stream_free(&s);
}

static void put_large(struct stream *s)
{
    char piece[1000];

    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < LARGE; i += (int)sizeof piece)
        stream_put(s, (struct str){piece, sizeof piece});
}

/* "L": many bytes; anything else comes back. */
static void session(void *arg)
{
    struct world *w = arg;
    struct stream *s = stream_new(w->pair[1]);
    struct buf line = BUF(1000);

    stream_set_idle(s, 20000);
    while (stream_line(s, &line) == LINE_LF) {
        if (str_eqz(buf_str(&line), "L"))
            put_large(s);
        else
            stream_putf(s, "%s\n", line.p);
    }
    stream_putz(s, "bye\n");
    buf_free(&line);
    stream_free(&s);
}

/* What the session says without being asked: "mail\n" for each byte of the trigger. */
static void news(void *arg)
{
    struct world *w = arg;
    struct stream *trigger = stream_new(w->trigger[0]);
    char byte;

    stream_set_idle(trigger, 20000);
    while (stream_read(trigger, &byte, 1) == 1) {
        ssize_t n = send(w->news, "mail\n", 5, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            break; /* a relay that refuses its client ends at once */
        assert_int_equal(n, 5);
    }
    close(w->news);
    stream_free(&trigger);
}

typedef void client_fn(SSL *ssl, int fd, int trigger);

static void be_client(const struct world *w, client_fn *fn, int version);

/* The client's process must end with 0, and the relay must have ended by itself. */
static void run(client_fn *fn, int version)
{
    struct world w = {0};
    struct why why = WHY;
    char cert[100], key[100];
    int status;

    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    struct tls_settings settings = {.server = true, .cert_file = cert, .key_file = key};
    w.context = tls_context_new(&settings, &why);
    assert_non_null(w.context);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.client), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.trigger), 0);
    pid_t pid = fork();
    if (pid == 0)
        be_client(&w, fn, version);
    close(w.client[1]);
    close(w.trigger[1]);
    w.news = dup(w.pair[1]);
    assert_true(w.news >= 0);
    task_start("front", front, &w);
    task_start("session", session, &w);
    task_start("news", news, &w);
    task_loop();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(w.relayed);
    tls_context_free(&w.context);
    why_free(&why);
}

/* ---- the client */

static unsigned char secret[SECRET]; /* of what the client sends */
static uint64_t sequence;

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "client: %s, line %d\n", #condition, __LINE__);                        \
            ERR_print_errors_fp(stderr);                                                           \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void take_secret(const SSL *ssl, const char *line)
{
    const char *last = strrchr(line, ' ') + 1;

    (void)ssl;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) != 0)
        return;
    for (int i = 0; i < SECRET; i++) {
        unsigned byte;
        NEED(sscanf(last + 2 * i, "%2x", &byte) == 1);
        secret[i] = (unsigned char)byte;
    }
}

static void be_client(const struct world *w, client_fn *fn, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    close(w->client[0]);
    close(w->trigger[0]);
    close(w->pair[0]);
    close(w->pair[1]);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_keylog_callback(ctx, take_secret);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, w->client[1]);
    NEED(SSL_connect(ssl) == 1);
    fn(ssl, w->client[1], w->trigger[1]);
    _exit(0);
}

/* RFC 8446 7.1: HKDF-Expand-Label with an empty context, at most one hash long. */
static void expand_label(const char *label, unsigned char *out, unsigned char n)
{
    unsigned char info[64] = {0, n}, full[SECRET];
    size_t at = 2;
    unsigned got;

    info[at] = (unsigned char)(6 + strlen(label));
    at += 1 + (size_t)snprintf((char *)info + at + 1, sizeof info - at - 1, "tls13 %s", label);
    info[at++] = 0;
    info[at++] = 1;
    NEED(HMAC(EVP_sha256(), secret, SECRET, info, at, full, &got) != NULL);
    memcpy(out, full, n);
}

/* RFC 8446 5.2: one record of that type. */
static size_t make_record(struct str text, unsigned char type, unsigned char *out)
{
    unsigned char key[KEY], iv[IV], inner[2000];
    size_t n = text.n + 1;
    int len;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    memcpy(inner, text.p, text.n);
    inner[text.n] = type;
    expand_label("key", key, KEY);
    expand_label("iv", iv, IV);
    for (int i = 0; i < 8; i++)
        iv[IV - 1 - i] ^= (unsigned char)(sequence >> (8 * i));
    sequence++;
    memcpy(out, "\x17\x03\x03", 3);
    out[3] = (unsigned char)((n + TAG) >> 8);
    out[4] = (unsigned char)(n + TAG);
    NEED(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv) == 1);
    NEED(EVP_EncryptUpdate(c, NULL, &len, out, 5) == 1);
    NEED(EVP_EncryptUpdate(c, out + 5, &len, inner, (int)n) == 1);
    NEED(EVP_EncryptFinal_ex(c, out + 5 + len, &len) == 1);
    NEED(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + 5 + n) == 1);
    EVP_CIPHER_CTX_free(c);
    return 5 + n + TAG;
}

enum { HANDSHAKE = 22, DATA = 23 };

static void send_record(int fd, struct str text, unsigned char type)
{
    unsigned char record[2100];
    size_t n = make_record(text, type, record);

    NEED(send(fd, record, n, 0) == (ssize_t)n);
}

static void next_key(void)
{
    unsigned char next[SECRET];

    expand_label("traffic upd", next, SECRET);
    memcpy(secret, next, SECRET);
    sequence = 0;
}

static void expect(SSL *ssl, const char *text)
{
    char got[200];
    size_t n = 0, want = strlen(text);

    while (n < want) {
        int r = SSL_read(ssl, got + n, (int)(want - n));
        NEED(r > 0);
        n += (size_t)r;
    }
    NEED(memcmp(got, text, want) == 0);
}

static size_t read_all(SSL *ssl)
{
    static char got[64 * 1024];
    size_t n = 0;

    for (int r; (r = SSL_read(ssl, got, sizeof got)) > 0;)
        n += (size_t)r;
    return n;
}

/* No event tells that the relay has taken what was sent and tried to write: it has nothing to say.
 * The socket is empty once it has read. */
static void wait_until_read(int fd)
{
    int unread;

    do {
        poll(NULL, 0, 10);
        NEED(ioctl(fd, TIOCOUTQ, &unread) == 0);
    } while (unread > 0);
}

static void half_a_key_update(SSL *ssl, int fd, int trigger)
{
    send_record(fd, STR("one\n"), DATA);
    expect(ssl, "one\n");
    send_record(fd, (struct str){"\x18\0\0\x01", 4}, HANDSHAKE);
    wait_until_read(fd);
    NEED(send(trigger, "1", 1, 0) == 1); /* and now something is to be written */
    wait_until_read(trigger);
    send_record(fd, (struct str){"\x01", 1}, HANDSHAKE); /* update_requested */
    next_key();
    expect(ssl, "mail\n");
    send_record(fd, STR("two\n"), DATA);
    expect(ssl, "two\n");
}

TEST(a_key_update_may_come_in_two_halves_with_data_the_other_way_between)
{
    run(half_a_key_update, TLS1_3_VERSION);
}

/* While the client reads nothing, the front has to write before it may read. */
static void updates_against_a_full_pipe(SSL *ssl, int fd, int trigger)
{
    (void)trigger;
    send_record(fd, STR("L\n"), DATA);
    for (int i = 0; i < 20; i++) {
        send_record(fd, (struct str){"\x18\0\0\x01\x01", 5}, HANDSHAKE);
        next_key();
    }
    send_record(fd, STR("L\n"), DATA);
    SSL_set_quiet_shutdown(ssl, 1);
    for (size_t n = 0; n < 2 * (size_t)LARGE;) {
        char got[4096];
        int r = SSL_read(ssl, got, sizeof got);
        NEED(r > 0);
        n += (size_t)r;
    }
}

TEST(key_updates_are_taken_while_much_is_written)
{
    run(updates_against_a_full_pipe, TLS1_3_VERSION);
}

static void single_bytes(SSL *ssl, int fd, int trigger)
{
    unsigned char record[2100];
    size_t n = make_record(STR("slow\n"), DATA, record);

    NEED(send(trigger, "1", 1, 0) == 1);
    for (size_t i = 0; i < n; i++) {
        NEED(send(fd, record + i, 1, 0) == 1);
        wait_until_read(fd);
    }
    expect(ssl, "mail\nslow\n");
}

TEST(a_record_may_come_byte_by_byte)
{
    run(single_bytes, TLS1_3_VERSION);
}

static void early_close(SSL *ssl, int fd, int trigger)
{
    (void)fd;
    (void)trigger;
    NEED(SSL_write(ssl, "L\n", 2) == 2);
    SSL_shutdown(ssl);
    NEED(read_all(ssl) == LARGE + strlen("bye\n"));
}

TEST(what_the_session_still_says_reaches_a_client_that_has_said_its_end)
{
    run(early_close, TLS1_3_VERSION);
    run(early_close, TLS1_2_VERSION);
}

static void hang_up(SSL *ssl, int fd, int trigger)
{
    (void)trigger;
    NEED(SSL_write(ssl, "L\n", 2) == 2);
    shutdown(fd, SHUT_RDWR);
}

TEST(a_client_that_hangs_up_ends_the_relay)
{
    run(hang_up, TLS1_3_VERSION);
    run(hang_up, TLS1_2_VERSION);
}

static void renegotiate(SSL *ssl, int fd, int trigger)
{
    (void)fd;
    NEED(SSL_write(ssl, "one\n", 4) == 4);
    expect(ssl, "one\n");
    SSL_renegotiate(ssl);
    NEED(send(trigger, "1", 1, 0) == 1);
    SSL_do_handshake(ssl); /* refused: RFC 5246 7.2.2, no_renegotiation */
}

TEST(a_renegotiation_of_tls_1_2_is_refused)
{
    run(renegotiate, TLS1_2_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_update_may_come_in_two_halves_with_data_the_other_way_between),
        T(key_updates_are_taken_while_much_is_written),
        T(a_record_may_come_byte_by_byte),
        T(what_the_session_still_says_reaches_a_client_that_has_said_its_end),
        T(a_client_that_hangs_up_ends_the_relay),
        T(a_renegotiation_of_tls_1_2_is_refused),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
