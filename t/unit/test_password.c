/*
 * Stored passwords: hashes made by doveadm pw of Dovecot 2.3 for the same password are accepted,
 * another password is not, and what we make ourselves is.
 */
#include "auth/password.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/str.h"

#include "test.h"

#define SECRET "Geh\xe2\x82\xacim 1:x"

static const char *const stored[] = {
    "{CRYPT}$2y$05$hrnocDqDaU5nFqStxYMx.ucDkJJfQddf4.kDc5Tw9ffxwbK7VVGWS",
    "{SHA512-CRYPT}$6$O5qxXCDDVI0guwQe$.ljBYVwH7O0vtnjHiS5MvrvfDdn.VxSxY5BO/"
    "1VXPulCvxMSsoo9Pdehlc6OFivKVYFljD/do30mhDrS54AM50",
    "{SHA256-CRYPT}$5$vQt.v4mSpRWv4Xcb$7kc4C/rAvitdjGYrsj4DUdzz9PaF2BdvmHIAPMs2/r/",
    "{MD5-CRYPT}$1$p2ftNigQ$/LfAZWMcwrHiKpCm6dkQ2.",
    "{MD5}$1$ojhLTI2r$fAiCcOvf/wkvyPP2K.MR..",
    "{BLF-CRYPT}$2y$05$By2PKUOmPJfAOgiXwV7M7uikycE9BFxqTvYKhI6eMGfjKNdtaSnAy",
    "{DES-CRYPT}eLloHFBpUNAqM",
    "$1$p2ftNigQ$/LfAZWMcwrHiKpCm6dkQ2.",
    "eLloHFBpUNAqM",
    "{PLAIN}" SECRET,
    "{CLEARTEXT}" SECRET,
    "{clear}" SECRET,
    "{SHA}CpzcLX5Red61lXoYiXj6UTXcjX8=",
    "{SHA1}CpzcLX5Red61lXoYiXj6UTXcjX8",
    "{SHA256}E5RPxTAMxkERMzL+xkBYn5W3wXlyMQaQs7iPs4IWbcw=",
    "{SHA512}cVptQs8LrzTyASA0v2geTxnSa89BTWM2JP29e2fdQ5LLVO+"
    "yKol7fo7vQpon/SJyJ3G9sqYzTRYx2QPn3n3B2Q==",
    "{SSHA}wmLVc8z2oHfjPbCrrR5wdw992qr2Zf9Q",
    "{SSHA256}Dqe+x4GnWOq/mewFyc/kSja+uvSAkPGId1hy8zEmsTU4lFrG",
    "{SSHA512}L0m9ypA4bSaV8NSQhA9Fpeh+"
    "NXPPEsnOTEHPXwP99EBuZ77d2Gz6dTxZJ54PaitYyc5wVcazH23KAUj13boQfH"
    "fQ+7Q=",
    "{SMD5}uZ3Nv7dhj8klI+gcKx2UOW3+cBE=",
    "{LDAP-MD5}KhYyMWTqYkrusGF1gFUPCw==",
    "{PLAIN-MD5}2a16323164ea624aeeb0617580550f0b",
    "{DIGEST-MD5}b3f83c932dd30cd300eb9e4b44adbfb5",
    "{CRAM-MD5}4cac0e01b47412a585843d855e02938550c86ea95a92070ff45abcf549661d15",
    "{HMAC-MD5}4cac0e01b47412a585843d855e02938550c86ea95a92070ff45abcf549661d15",
    "{PBKDF2}$1$RqNpO90l2h.onUF1$5000$592e6da4eda131f384520fe13b2bb4f9b6877942",
    "{SSHA.HEX}b98b5eee8409127b89606ddd324d8ed80c99ed2fa388f366",
    "{SSHA256.B64}XhEab3g7YxWvGdxOPCW29PZmyFTrxdF+1u3WkHVluMNG8TfT",
    "{SHA512.HEX}"
    "715a6d42cf0baf34f2012034bf681e4f19d26bcf414d633624fdbd7b67dd4392cb54efb22a897b7e8eef4"
    "29a27fd22722771bdb2a6334d1631d903e7de7dc1d9",
    "{PLAIN.B64}R2Vo4oKsaW0gMTp4",
    "{PLAIN.hex}476568e282ac696d20313a78",
    "{CRAM-MD5.B64}TKwOAbR0EqWFhD2FXgKThVDIbqlakgcP9Fq89UlmHRU=",
};

TEST(what_dovecot_makes_is_accepted_and_nothing_else)
{
    for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
        struct str s = strz(stored[i]), user = STR("user@example.org");
        assert_int_equal(password_check(user, STR(SECRET), s, "CRYPT", NULL), PASSWORD_MATCH);
        assert_int_equal(password_check(user, STR("geh\xe2\x82\xacim"), s, "CRYPT", NULL),
                         PASSWORD_MISMATCH);
        assert_int_equal(password_check(user, STR(""), s, "CRYPT", NULL), PASSWORD_MISMATCH);
    }
}

TEST(what_cannot_be_understood_lets_nobody_in)
{
    static const struct {
        const char *stored;
        enum password_answer answer;
    } bad[] = {
        {"", PASSWORD_MISMATCH}, /* no hash: of the default scheme CRYPT */
        {"!", PASSWORD_MISMATCH},
        {"*", PASSWORD_MISMATCH},
        {"{CRYPT}", PASSWORD_MISMATCH},
        {"{CRYPT}!$6$x$y", PASSWORD_MISMATCH},
        {"{NOSUCH}x", PASSWORD_UNKNOWN},
        {"{}x", PASSWORD_UNKNOWN},
        {"{PLAIN.rot13}x", PASSWORD_UNKNOWN},
        {"{SSHA}####", PASSWORD_UNKNOWN},
        {"{SSHA}YWJj", PASSWORD_UNKNOWN}, /* shorter than the digest */
        {"{SHA}YWJj", PASSWORD_UNKNOWN},
        {"{PLAIN-MD5}zz", PASSWORD_UNKNOWN},
        {"{CRAM-MD5}00", PASSWORD_UNKNOWN},
        {"{PBKDF2}$1$a$0$592e6da4eda131f384520fe13b2bb4f9b6877942", PASSWORD_UNKNOWN},
        {"{PBKDF2}$1$a$99999999999$592e6da4eda131f384520fe13b2bb4f9b6877942", PASSWORD_UNKNOWN},
        {"{CRYPT}$9$nonsense", PASSWORD_UNKNOWN},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct why why = WHY;
        assert_int_equal(password_check(STR("u"), STR("x"), strz(bad[i].stored), "CRYPT", &why),
                         bad[i].answer);
        assert_int_equal(why.code[0], bad[i].answer == PASSWORD_UNKNOWN ? '4' : 0);
        why_free(&why);
    }
    /* An embedded zero byte must not end the comparison. */
    assert_int_equal(
        password_check(STR("u"), (struct str){"ab\0c", 4}, STR("{PLAIN}ab"), "CRYPT", NULL),
        PASSWORD_MISMATCH);
    assert_int_equal(password_check(STR("u"), (struct str){"ab\0c", 4},
                                    STR("$1$p2ftNigQ$/LfAZWMcwrHiKpCm6dkQ2."), "CRYPT", NULL),
                     PASSWORD_UNKNOWN);
}

TEST(what_is_made_is_accepted)
{
    static const char *const schemes[] = {
        "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "BLF-CRYPT", "YESCRYPT",
        "PLAIN",        "PLAIN.hex",    "SHA",       "SHA256",    "SHA512",
        "SSHA",         "SSHA256.hex",  "SSHA512",   "SMD5",      "LDAP-MD5",
        "PLAIN-MD5",    "DIGEST-MD5",   "CRAM-MD5",  "PBKDF2",    "CRYPT",
    };

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct buf made = BUF(1000), again = BUF(1000);
        assert_int_equal(password_make(schemes[i], STR("u@d"), STR(SECRET), &made, NULL), 0);
        assert_int_equal(password_check(STR("u@d"), STR(SECRET), buf_str(&made), "CRYPT", NULL),
                         PASSWORD_MATCH);
        assert_int_equal(password_check(STR("u@d"), STR("other"), buf_str(&made), "CRYPT", NULL),
                         PASSWORD_MISMATCH);
        password_make(schemes[i], STR("u@d"), STR(SECRET), &again, NULL);
        bool salted = strstr(schemes[i], "CRYPT") || schemes[i][0] == 'S' ? 1 : 0;
        if (salted && schemes[i][1] != 'H')
            assert_string_not_equal(made.p, again.p);
        buf_free(&made);
        buf_free(&again);
    }
    assert_int_equal(password_make("NOSUCH", STR("u"), STR("x"), &BUF(100), NULL), -1);
}

TEST(slow_and_plain_are_told)
{
    struct buf plain = BUF(100);

    assert_true(password_is_slow(strz("$6$x$y"), "PLAIN"));
    assert_true(password_is_slow(strz("{BLF-CRYPT}$2y$05$x"), "PLAIN"));
    assert_true(password_is_slow(strz("x"), "CRYPT"));
    assert_false(password_is_slow(strz("{SSHA512}x"), "CRYPT"));
    assert_false(password_is_slow(strz("x"), "PLAIN"));
    assert_true(password_plain(strz("{PLAIN}a{b}"), "CRYPT", &plain));
    assert_string_equal(plain.p, "a{b}");
    buf_clear(&plain);
    assert_true(password_plain(strz("{PLAIN.b64}c2VjcmV0"), "CRYPT", &plain));
    assert_string_equal(plain.p, "secret");
    buf_clear(&plain);
    assert_true(password_plain(strz("secret"), "PLAIN", &plain));
    assert_string_equal(plain.p, "secret");
    assert_false(password_plain(strz("{SHA}x"), "PLAIN", &plain));
    buf_free(&plain);
}

/* RFC 2195 2: user tim, secret "tanstaaftanstaaf". */
TEST(cram_md5_from_plain_and_from_stored_state)
{
    struct buf made = BUF(200);
    struct str challenge = STR("<1896.697170952@postoffice.reston.mci.net>");
    unsigned char mac[64];

    password_make("CRAM-MD5", STR("tim"), STR("tanstaaftanstaaf"), &made, NULL);
    const char *const both[] = {"{PLAIN}tanstaaftanstaaf", made.p};
    for (int i = 0; i < 2; i++) {
        struct buf hex = BUF(100);
        assert_true(password_cram_md5(strz(both[i]), "CRYPT", challenge, mac));
        encode_hex(&hex, (struct str){(char *)mac, 16});
        assert_string_equal(hex.p, "b913a602c7eda7a495b4e6e7334d3890");
        buf_free(&hex);
    }
    assert_false(password_cram_md5(strz("{SHA}x"), "CRYPT", challenge, mac));
    buf_free(&made);
}

RUN_TESTS(T(what_dovecot_makes_is_accepted_and_nothing_else),
          T(what_cannot_be_understood_lets_nobody_in), T(what_is_made_is_accepted),
          T(slow_and_plain_are_told), T(cram_md5_from_plain_and_from_stored_state))
