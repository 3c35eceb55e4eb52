/*
 * Text forms of bytes, digests, UTF-8.
 */
#include "base/digest.h"
#include "base/encode.h"
#include "base/random.h"
#include "base/str.h"
#include "base/utf8.h"

#include "test.h"

TEST(base64_of_rfc_4648_section_10)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf b = BUF(100);
        encode_base64(&b, strz(pairs[i][0]));
        assert_string_equal(b.p, pairs[i][1]);
        buf_clear(&b);
        assert_true(decode_base64(&b, strz(pairs[i][1])));
        assert_string_equal(b.p, pairs[i][0]);
        buf_free(&b);
    }
}

TEST(what_is_not_base64_is_refused_and_leaves_the_buffer_alone)
{
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "Zm9v=", "Z g=", "====", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = BUF(100);
        buf_addz(&b, "x");
        assert_false(decode_base64(&b, strz(bad[i])));
        assert_string_equal(b.p, "x");
        buf_free(&b);
    }
}

TEST(every_encoding_gives_random_bytes_back)
{
    for (int round = 0; round < 300; round++) {
        char bytes[64];
        struct buf text = BUF(1000), back = BUF(1000);
        random_bytes(bytes, sizeof bytes);
        struct str s = {bytes, random_below(sizeof bytes)};

        encode_base64(&text, s);
        assert_true(decode_base64(&back, buf_str(&text)));
        assert_true(str_eq(buf_str(&back), s));
        buf_clear(&text), buf_clear(&back);
        encode_hex(&text, s);
        assert_true(decode_hex(&back, buf_str(&text)));
        assert_true(str_eq(buf_str(&back), s));
        buf_clear(&text), buf_clear(&back);
        encode_xtext(&text, s);
        assert_true(decode_xtext(&back, buf_str(&text)));
        assert_true(str_eq(buf_str(&back), s));
        buf_clear(&text), buf_clear(&back);
        encode_percent(&text, s, "/:");
        assert_true(str_is_printable(buf_str(&text)));
        assert_true(decode_percent(&back, buf_str(&text)));
        assert_true(str_eq(buf_str(&back), s));
        buf_free(&text), buf_free(&back);
    }
}

TEST(xtext_of_rfc_3461)
{
    struct buf b = BUF(100);
    encode_xtext(&b, STR("a+b=c d"));
    assert_string_equal(b.p, "a+2Bb+3Dc+20d");
    assert_false(decode_xtext(&b, STR("a=b")));
    assert_false(decode_xtext(&b, STR("a+2")));
    buf_free(&b);
}

TEST(digests_of_known_texts)
{
    unsigned char out[DIGEST_MAX];
    struct buf hex = BUF(200);
    struct str abc[] = {STR("a"), STR("bc")};

    assert_true(digest_make(DIGEST_MD5, abc, 2, out));
    encode_hex(&hex, (struct str){(char *)out, digest_size(DIGEST_MD5)});
    assert_string_equal(hex.p, "900150983cd24fb0d6963f7d28e17f72");
    buf_clear(&hex);
    /* RFC 2195 2: the CRAM-MD5 example */
    assert_true(digest_hmac(DIGEST_MD5, STR("tanstaaftanstaaf"),
                            STR("<1896.697170952@postoffice.reston.mci.net>"), out));
    encode_hex(&hex, (struct str){(char *)out, 16});
    assert_string_equal(hex.p, "b913a602c7eda7a495b4e6e7334d3890");
    assert_int_equal(digest_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(digest_crc32c(digest_crc32c(0, "12345", 5), "6789", 4), 0xe3069283u);
    buf_free(&hex);
}

TEST(utf8_refuses_overlong_forms_surrogates_and_cut_sequences)
{
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf", "\xe0\x80\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(strz(bad[i])));
    assert_true(utf8_valid(strz("g\xc3\xa4\xe2\x82\xac\xf0\x9f\x95\x8a")));
    assert_int_equal(utf8_upto(strz("a\xe2\x82\xac"), 3).n, 1);
}

TEST(every_code_point_comes_back)
{
    for (uint32_t code = 0; code <= 0x10ffff; code += 7) {
        struct buf b = BUF(8);
        uint32_t back;
        utf8_add(&b, code);
        assert_int_equal(utf8_decode(buf_str(&b), &back), b.n);
        assert_int_equal(back, code >= 0xd800 && code <= 0xdfff ? 0xfffd : code);
        buf_free(&b);
    }
}

TEST(what_is_decoded_and_does_not_fit_is_refused)
{
    bool (*const decoders[])(struct buf *, struct str) = {decode_base64, decode_hex, decode_percent,
                                                          decode_xtext};
    static const char *const texts[] = {"Zm9vYmFyZm9v", "666f6f6261", "foo%41bar", "foo+41bar"};

    for (size_t i = 0; i < 4; i++) {
        struct buf b = BUF(4);
        buf_addz(&b, "x");
        assert_false(decoders[i](&b, strz(texts[i])));
        assert_string_equal(b.p, "x");
        buf_free(&b);
    }
}

TEST(what_a_client_says_is_logged_with_escapes)
{
    struct buf b = BUF(100);

    encode_escapes(&b, (struct str){"a \r\n\t\\\"\0\3\x7f\xe4", 11});
    assert_string_equal(b.p, "a \\r\\n\\t\\\\\"\\000\\003\\177\\344");
    buf_free(&b);
}

RUN_TESTS(T(what_a_client_says_is_logged_with_escapes),
          T(what_is_decoded_and_does_not_fit_is_refused), T(base64_of_rfc_4648_section_10),
          T(what_is_not_base64_is_refused_and_leaves_the_buffer_alone),
          T(every_encoding_gives_random_bytes_back), T(xtext_of_rfc_3461),
          T(digests_of_known_texts), T(utf8_refuses_overlong_forms_surrogates_and_cut_sequences),
          T(every_code_point_comes_back))
