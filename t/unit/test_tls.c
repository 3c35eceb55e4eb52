#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "net/stream.h"
#include "net/tls.h"

#include "mini.h"
#include "test.h"

static char dir[] = "/tmp/test_tls.XXXXXX";

static const char *in_dir(const char *name)
{
    static char paths[8][100];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, 100, "%s/%s", dir, name);
    return path;
}

static int make_certificates(void **state)
{
    char command[3000];

    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(command, sizeof command,
             "cd %s && exec 2>/dev/null && "
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
             "-out ca.pem -days 2 -subj '/O=Test/CN=Test CA' && "
             "openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem "
             "-subj '/CN=mail.test' && "
             "printf 'subjectAltName=DNS:mail.test,DNS:*.wild.test,IP:127.0.0.1' > ext && "
             "openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
             "-extfile ext -out cert.pem && cat key.pem cert.pem > both.pem && "
             "mkdir share cas plain none && cp ca.pem share/ca.crt && cp ca.pem plain && "
             "ln -s ../share/ca.crt cas/ca.pem && openssl rehash cas && "
             "ln -s ../nosuch cas/01234567.0 && "
             "printf 'basicConstraints=critical,CA:TRUE' > ca.ext && "
             "openssl req -newkey rsa:2048 -nodes -keyout mid.key -out mid.csr -subj /CN=Mid && "
             "openssl x509 -req -in mid.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
             "-extfile ca.ext -out mid.pem && "
             "openssl req -new -key mid.key -out low.csr -subj /CN=Low && "
             "openssl x509 -req -in low.csr -CA mid.pem -CAkey mid.key -CAcreateserial -days 2 "
             "-extfile ca.ext -out low.pem && "
             "openssl x509 -req -in csr.pem -CA low.pem -CAkey mid.key -CAcreateserial -days 2 "
             "-extfile ext -out leaf.pem && cat key.pem leaf.pem low.pem mid.pem > chain.pem && "
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key "
             "-out ec.pem -days 2 -subj '/CN=mail.test'",
             dir);
    return system(command) == 0 ? 0 : -1;
}

static int remove_certificates(void **state)
{
    (void)state;
    return file_remove_all(dir);
}

struct session {
    struct tls_settings server_settings, client_settings;
    struct tls_context *server, *client;
    const char *inject; /* sent by the client before the handshake */
    const char *names[2];
    int server_result, client_result;
    struct buf server_summary, client_summary, reply;
    struct tls_info seen; /* the client's; its texts are gone */
    bool server_saw_cert, resumed;
    struct why why, server_why;
    int fds[2];
    struct buf server_binding, client_binding;
};

static void serve(void *arg)
{
    struct session *t = arg;
    struct stream *s = stream_new(t->fds[0]);
    struct buf line = BUF(100);
    const struct tls_info *info;
    const char *type;

    stream_set_idle(s, 5000);
    stream_line(s, &line);
    stream_putz(s, "220 go\r\n");
    stream_flush(s);
    t->server_result = tls_accept(s, t->server, &info, &t->server_why);
    if (t->server_result == 0) {
        buf_setz(&t->server_summary, info->summary);
        t->server_saw_cert = info->has_cert && info->trusted;
        tls_binding(s, &type, &t->server_binding);
        while (stream_line(s, &line) == LINE_CRLF)
            stream_putf(s, "250 %s\r\n", line.p);
    }
    buf_free(&line);
    stream_free(&s);
}

static void connect_to(void *arg)
{
    struct session *t = arg;
    struct stream *s = stream_new(t->fds[1]);
    struct tls_peer peer = {.sni = "mail.test", .names = t->names, .session_key = "x"};
    const struct tls_info *info;
    const char *type;

    stream_set_idle(s, 5000);
    stream_putf(s, "STARTTLS\r\n%s", t->inject != NULL ? t->inject : "");
    stream_line(s, &t->reply);
    t->client_result = tls_connect(s, t->client, &peer, &info, &t->why);
    if (t->client_result == 0) {
        t->seen = *info;
        t->resumed = info->resumed;
        buf_setz(&t->client_summary, info->summary);
        tls_binding(s, &type, &t->client_binding);
        stream_putz(s, "hello\r\n");
        stream_line(s, &t->reply);
    }
    stream_free(&s);
}

static void talk(struct session *t)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, t->fds), 0);
    task_start("server", serve, t);
    task_start("client", connect_to, t);
    task_loop();
}

static struct session begin(struct session t)
{
    t.server_settings.server = true;
    if (t.server_settings.cert_file == NULL) {
        t.server_settings.cert_file = in_dir("cert.pem");
        t.server_settings.key_file = in_dir("key.pem");
    }
    t.why = t.server_why = WHY;
    t.reply = t.server_summary = t.client_summary = BUF(1000);
    t.server_binding = t.client_binding = BUF(100);
    t.server = tls_context_new(&t.server_settings, &t.why);
    t.client = tls_context_new(&t.client_settings, &t.why);
    assert_non_null(t.server);
    assert_non_null(t.client);
    return t;
}

static void end(struct session *t)
{
    tls_context_free(&t->server);
    tls_context_free(&t->client);
    buf_free(&t->reply);
    buf_free(&t->server_summary);
    buf_free(&t->client_summary);
    buf_free(&t->server_binding);
    buf_free(&t->client_binding);
    why_free(&t->why);
    why_free(&t->server_why);
}

TEST(lines_pass_inside_tls)
{
    struct session t = begin((struct session){.names = {"mail.test"}});

    talk(&t);
    assert_int_equal(t.client_result, 0);
    assert_int_equal(t.server_result, 0);
    assert_string_equal(t.reply.p, "250 hello");
    assert_true(t.seen.has_cert && t.seen.name_ok && !t.seen.trusted);
    assert_string_equal(t.client_summary.p,
                        "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange "
                        "X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256");
    assert_string_equal(t.server_summary.p, t.client_summary.p);
    assert_true(t.client_binding.n > 0);
    assert_true(str_eq(buf_str(&t.client_binding), buf_str(&t.server_binding)));
    end(&t);
}

TEST(protocol_ranges_hold)
{
    struct session t = begin((struct session){.client_settings.protocols = "<=TLSv1.2"});

    talk(&t);
    assert_int_equal(t.client_result, 0);
    assert_string_equal(t.client_summary.p,
                        "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)");
    assert_true(t.client_binding.n > 0);
    assert_true(str_eq(buf_str(&t.client_binding), buf_str(&t.server_binding)));
    end(&t);
    t = begin((struct session){.client_settings.protocols = "TLSv1.2",
                               .server_settings.protocols = "!TLSv1.2, >=TLSv1.2"});
    talk(&t);
    assert_int_equal(t.client_result, -1);
    assert_int_equal(t.server_result, -1);
    assert_string_equal(t.why.code, "4.7.5");
    assert_non_null(strstr(why_text(&t.why), "alert protocol version"));
    end(&t);
}

TEST(protocols_may_be_numbers)
{
    static const struct {
        const char *protocols, *want;
    } cases[] = {{"<=0303", "TLSv1.2 "},
                 {">=0x0302 <=0x303", "TLSv1.2 "},
                 {">=0304", "TLSv1.3 "},
                 {">=0303, <=0305", "TLSv1.3 "}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct session t = begin((struct session){.server_settings.protocols = cases[i].protocols});
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_int_equal(strncmp(t.client_summary.p, cases[i].want, strlen(cases[i].want)), 0);
        end(&t);
    }
}

static const char *cipher_of(bool servers_choice)
{
    static char cipher[100];
    struct session t = begin((struct session){
        .client_settings.protocols = "TLSv1.2",
        .client_settings.ciphers = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
        .server_settings.prefer_own_ciphers = servers_choice});

    talk(&t);
    assert_int_equal(t.client_result, 0);
    snprintf(cipher, sizeof cipher, "%s", strstr(t.client_summary.p, "ECDHE"));
    end(&t);
    return cipher;
}

TEST(the_cipher_is_what_the_client_prefers_or_the_server)
{
    assert_string_equal(cipher_of(false), "ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)");
    assert_string_equal(cipher_of(true), "ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)");
}

TEST(options_of_openssl_have_their_effect)
{
    static const char *const without_tickets[] = {"NO_TICKET", "no_ticket, NO_COMPRESSION",
                                                  "0x4000"};
    static const char others[] = "ENABLE_MIDDLEBOX_COMPAT LEGACY_SERVER_CONNECT NO_COMPRESSION "
                                 "NO_RENEGOTIATION NO_SESSION_RESUMPTION_ON_RENEGOTIATION "
                                 "PRIORITIZE_CHACHA"; /* Postfix's manual has these */
    struct session t = begin((struct session){.client_settings.session_life = 60,
                                              .client_settings.protocols = "TLSv1.2",
                                              .server_settings.session_life = 60,
                                              .server_settings.ssl_options = others});

    talk(&t);
    talk(&t);
    assert_true(t.resumed);
    end(&t);
    for (size_t i = 0; i < sizeof without_tickets / sizeof *without_tickets; i++) {
        t = begin((struct session){.client_settings.session_life = 60,
                                   .client_settings.protocols = "TLSv1.2",
                                   .server_settings.session_life = 60,
                                   .server_settings.ssl_options = without_tickets[i]});
        talk(&t);
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_false(t.resumed);
        end(&t);
    }
}

TEST(input_before_the_handshake_is_refused)
{
    struct session t = begin((struct session){.inject = "RSET\r\n"});

    talk(&t);
    assert_int_equal(t.server_result, -1);
    assert_string_equal(why_text(&t.server_why), "TLS: input was sent before the handshake");
    end(&t);
}

TEST(trust_and_names_are_told_apart)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {{"mail.test", true},   {"MAIL.test", true},  {"other.test", false},
                 {"a.wild.test", true}, {"wild.test", false}, {"127.0.0.1", true},
                 {"127.0.0.2", false},  {".wild.test", true}, {"a.b.wild.test", false}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session t = begin((struct session){.client_settings.ca_file = in_dir("ca.pem"),
                                                  .names = {cases[i].name}});
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_true(t.seen.trusted);
        assert_int_equal(t.seen.name_ok, cases[i].ok);
        end(&t);
    }
}

TEST(a_chain_has_no_more_authorities_than_verify_depth_says)
{
    static const struct {
        const char *file;
        int depth;
        bool trusted;
    } cases[] = {{"both.pem", 0, true},
                 {"chain.pem", 0, false},
                 {"chain.pem", 1, true},
                 {"chain.pem", 100, true}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session t =
            begin((struct session){.server_settings.cert_file = in_dir(cases[i].file),
                                   .client_settings.ca_file = in_dir("ca.pem"),
                                   .client_settings.verify_depth = cases[i].depth,
                                   .names = {"mail.test"}});
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_int_equal(t.seen.trusted, cases[i].trusted);
        end(&t);
        t = begin((struct session){.client_settings.cert_file = in_dir(cases[i].file),
                                   .server_settings.ask_client_cert = true,
                                   .server_settings.ca_file = in_dir("ca.pem"),
                                   .server_settings.verify_depth = cases[i].depth});
        talk(&t);
        assert_int_equal(t.server_saw_cert, cases[i].trusted);
        end(&t);
    }
}

/* A process reads them before its jail, where the directory is out of reach. */
TEST(authorities_of_a_directory_are_read_at_once)
{
    static const struct {
        const char *path, *gone;
        bool trusted;
    } cases[] = {{"cas", "share", true}, {"plain", "none", false}, {"none", "plain", false}};
    char command[500];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session t = begin((struct session){.client_settings.ca_path = in_dir(cases[i].path),
                                                  .names = {"mail.test"}});
        snprintf(command, sizeof command, "cd %s && mv %s away && mv %s away2", dir, cases[i].path,
                 cases[i].gone);
        assert_int_equal(system(command), 0);
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_int_equal(t.seen.trusted, cases[i].trusted);
        end(&t);
        snprintf(command, sizeof command, "cd %s && mv away %s && mv away2 %s", dir, cases[i].path,
                 cases[i].gone);
        assert_int_equal(system(command), 0);
    }
}

TEST(the_authorities_of_the_system_are_added)
{
    for (int with_file = 0; with_file <= 1; with_file++) {
        setenv("SSL_CERT_DIR", in_dir("cas"), 1);
        struct session t = begin((struct session){
            .client_settings = {.default_ca = true,
                                .ca_file = with_file ? in_dir("share/ca.crt") : NULL,
                                .ca_path = with_file ? NULL : in_dir("none")},
            .names = {"mail.test"}});
        unsetenv("SSL_CERT_DIR");
        talk(&t);
        assert_true(t.seen.trusted);
        end(&t);
    }
    setenv("SSL_CERT_DIR", in_dir("cas"), 1); /* nothing to add them to: as Postfix */
    struct session t = begin((struct session){.client_settings.default_ca = true});
    unsetenv("SSL_CERT_DIR");
    talk(&t);
    assert_false(t.seen.trusted);
    end(&t);
}

TEST(a_context_like_another_reads_no_file)
{
    struct session t = begin(
        (struct session){.server_settings = {.ask_client_cert = true, .ca_file = in_dir("ca.pem")},
                         .client_settings = {.cert_file = in_dir("cert.pem"),
                                             .key_file = in_dir("key.pem"),
                                             .ca_file = in_dir("ca.pem")},
                         .names = {"mail.test"}});
    struct tls_settings like = {.like = t.client,
                                .cert_file = "/nonexistent",
                                .ca_file = "/nonexistent",
                                .protocols = "TLSv1.2"};
    struct tls_context *first = t.client;

    t.client = tls_context_new(&like, &t.why);
    assert_non_null(t.client);
    tls_context_free(&first);
    talk(&t);
    assert_int_equal(t.client_result, 0);
    assert_non_null(strstr(t.client_summary.p, "TLSv1.2"));
    assert_true(t.seen.trusted);
    assert_true(t.server_saw_cert);
    assert_false(tls_context_stale(t.client));
    end(&t);
}

TEST(each_client_is_shown_the_certificate_that_it_can_use)
{
    static const char *const ciphers[] = {"ECDHE-RSA-AES128-GCM-SHA256",
                                          "ECDHE-ECDSA-AES128-GCM-SHA256"};

    for (size_t i = 0; i < 2; i++) {
        struct session t = begin(
            (struct session){.server_settings = {.cert_file = in_dir("cert.pem"),
                                                 .key_file = in_dir("key.pem"),
                                                 .ec_cert_file = in_dir("ec.pem"),
                                                 .ec_key_file = in_dir("ec.key")},
                             .client_settings = {.protocols = "TLSv1.2", .ciphers = ciphers[i]}});
        talk(&t);
        assert_int_equal(t.client_result, 0);
        assert_non_null(strstr(t.client_summary.p, ciphers[i]));
        end(&t);
    }
}

TEST(client_certificates_are_asked_for)
{
    struct session t = begin(
        (struct session){.server_settings = {.ask_client_cert = true, .ca_file = in_dir("ca.pem")},
                         .client_settings = {.chain_files = in_dir("both.pem")}});

    talk(&t);
    assert_int_equal(t.server_result, 0);
    assert_true(t.server_saw_cert);
    end(&t);
    t = begin((struct session){
        .server_settings = {.require_client_cert = true, .ca_file = in_dir("ca.pem")}});
    talk(&t);
    assert_int_equal(t.server_result, -1);
    end(&t);
}

TEST(sessions_are_resumed)
{
    struct session t = begin(
        (struct session){.server_settings.session_life = 100, .client_settings.session_life = 100});

    talk(&t);
    assert_false(t.resumed);
    talk(&t);
    assert_int_equal(t.client_result, 0);
    assert_true(t.resumed);
    talk(&t);
    assert_true(t.resumed);
    end(&t);
}

TEST(broken_settings_are_refused)
{
    static const struct tls_settings bad[] = {{.server = true, .cert_file = "/nonexistent"},
                                              {.protocols = "TLSv9"},
                                              {.protocols = ">=0305"},
                                              {.protocols = "<=0x"},
                                              {.protocols = "<=0100"},
                                              {.protocols = "<=SSLv2"},
                                              {.protocols = "0303"},
                                              {.ssl_options = "NO_SUCH"},
                                              {.ssl_options = "NO_TICKET 0x"},
                                              {.ciphers = "no-such-cipher"},
                                              {.ca_file = "/nonexistent"}};
    struct why why = WHY;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why_clear(&why);
        assert_null(tls_context_new(&bad[i], &why));
        assert_int_equal(why.code[0], '4');
    }
    why_free(&why);
}

/* It looks once a second, and gives the key time to follow. */
static void wait_stale(struct tls_context *c)
{
    while (!tls_context_stale(c)) /* or the test runs out of time */
        usleep(50000);
}

TEST(changed_files_make_a_context_stale)
{
    char copy[200];
    struct tls_settings s = {.server = true, .cert_file = in_dir("copy.pem")};

    snprintf(copy, sizeof copy, "cp %s %s", in_dir("both.pem"), in_dir("copy.pem"));
    assert_int_equal(system(copy), 0);
    struct tls_context *c = tls_context_new(&s, NULL);
    assert_non_null(c);
    assert_int_equal(truncate(s.cert_file, 10), 0);
    wait_stale(c);
    tls_context_free(&c);
    assert_null(c);
}

/* As certbot has it: live/x.pem leads to ../archive/x1.pem. */
TEST(a_link_that_leads_to_a_renewed_certificate_makes_a_context_stale)
{
    char commands[1000], link[200];
    struct tls_settings s = {.server = true, .cert_file = link};

    snprintf(link, sizeof link, "%s", in_dir("live/x.pem"));
    snprintf(commands, sizeof commands,
             "cd %s && mkdir live archive && cp both.pem archive/x1.pem && cp both.pem "
             "archive/x2.pem && ln -s ../archive/x1.pem live/x.pem",
             in_dir(""));
    assert_int_equal(system(commands), 0);
    struct tls_context *c = tls_context_new(&s, NULL);
    assert_non_null(c);
    assert_false(tls_context_stale(c));
    snprintf(commands, sizeof commands, "cd %s && ln -sfn ../archive/x2.pem live/x.pem",
             in_dir(""));
    assert_int_equal(system(commands), 0);
    wait_stale(c);
    tls_context_free(&c);
}

static void garbage(struct stream *s, void *arg)
{
    struct why why = WHY;

    stream_set_idle(s, 5000);
    assert_int_equal(tls_accept(s, arg, NULL, &why), -1);
    assert_string_equal(why.code, "4.7.5");
    assert_int_equal(stream_state(s), STREAM_ERROR);
    assert_null(tls_info(s) != NULL ? tls_info(s)->summary : NULL);
    why_free(&why);
}

TEST(garbage_instead_of_a_handshake_fails)
{
    struct tls_settings s = {.server = true, .cert_file = in_dir("both.pem")};
    struct tls_context *c = tls_context_new(&s, NULL);
    struct buf out = BUF(1000);

    mini_talk(garbage, c, STR("EHLO x\r\nMAIL FROM:<a@b>\r\n"), &out);
    mini_talk(garbage, c, STR(""), &out);
    buf_free(&out);
    tls_context_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_pass_inside_tls),
        T(protocol_ranges_hold),
        T(protocols_may_be_numbers),
        T(the_cipher_is_what_the_client_prefers_or_the_server),
        T(options_of_openssl_have_their_effect),
        T(a_chain_has_no_more_authorities_than_verify_depth_says),
        T(input_before_the_handshake_is_refused),
        T(trust_and_names_are_told_apart),
        T(authorities_of_a_directory_are_read_at_once),
        T(the_authorities_of_the_system_are_added),
        T(a_context_like_another_reads_no_file),
        T(each_client_is_shown_the_certificate_that_it_can_use),
        T(client_certificates_are_asked_for),
        T(sessions_are_resumed),
        T(broken_settings_are_refused),
        T(changed_files_make_a_context_stale),
        T(a_link_that_leads_to_a_renewed_certificate_makes_a_context_stale),
        T(garbage_instead_of_a_handshake_fails),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
