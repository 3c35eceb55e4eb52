/*
 * Character sets, through iconv(3) where they are not built in.
 */
#include "mail/charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

enum { NAME_MAX_BYTES = 40, PIECE = 256 << 10 };

static bool is_utf8(struct str name)
{
    return name.n == 0 || str_ieq(name, STR("utf-8")) || str_ieq(name, STR("utf8")) ||
           str_ieq(name, STR("us-ascii")) || str_ieq(name, STR("ascii"));
}

static bool is_latin1(struct str name)
{
    return str_ieq(name, STR("iso-8859-1")) || str_ieq(name, STR("latin1"));
}

static bool is_latin9(struct str name)
{
    return str_ieq(name, STR("iso-8859-15"));
}

static bool is_cp1252(struct str name)
{
    return str_ieq(name, STR("windows-1252")) || str_ieq(name, STR("cp1252"));
}

static bool is_built_in(struct str name)
{
    return is_utf8(name) || is_latin1(name) || is_latin9(name) || is_cp1252(name);
}

bool charset_is_ascii_based(struct str name)
{
    static const char *const families[] = {"iso-8859-",   "windows-125", "cp125",    "koi8-",
                                           "windows-874", "tis-620",     "iso_8859-"};

    if (is_built_in(name))
        return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (str_istarts(name, strz(families[i])))
            return true;
    return false;
}

static iconv_t open_iconv(struct str name)
{
    char text[NAME_MAX_BYTES + 1];

    /* iconv takes "//" and more in a name as orders. */
    if (name.n == 0 || name.n > NAME_MAX_BYTES)
        return (iconv_t)-1;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.' || c == ':' || c == '+';
        if (!good)
            return (iconv_t)-1;
        text[i] = c;
    }
    text[name.n] = '\0';
    return iconv_open("UTF-8", text);
}

bool charset_known(struct str charset)
{
    if (is_built_in(charset))
        return true;
    iconv_t cd = open_iconv(charset);
    if (cd == (iconv_t)-1)
        return false;
    iconv_close(cd);
    return true;
}

static uint32_t latin(unsigned char c, bool latin9, bool cp1252)
{
    static const uint16_t upper[32] = {
        0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
    static const struct {
        unsigned char c;
        uint16_t code;
    } changed[] = {{0xa4, 0x20ac}, {0xa6, 0x160}, {0xa8, 0x161}, {0xb4, 0x17d},
                   {0xb8, 0x17e},  {0xbc, 0x152}, {0xbd, 0x153}, {0xbe, 0x178}};

    if (cp1252 && c >= 0x80 && c < 0xa0)
        return upper[c - 0x80];
    for (size_t i = 0; latin9 && i < sizeof changed / sizeof *changed; i++)
        if (changed[i].c == c)
            return changed[i].code;
    return c;
}

static bool piece_from_utf8(struct str text, struct buf *out)
{
    bool valid = true;
    uint32_t code;
    size_t n;

    if (utf8_valid(text)) {
        buf_add(out, text);
        return true;
    }
    while (text.n > 0) {
        n = utf8_decode(text, &code);
        if (n == 0) {
            valid = false;
            code = 0xfffd;
            n = 1;
        }
        utf8_add(out, code);
        text = str_from(text, n);
    }
    return valid;
}

/* What is called between pieces of a long text. */
struct pause {
    void (*fn)(void *arg);
    void *arg;
};

static void take_pause(const struct pause *pause)
{
    if (pause->fn != NULL)
        pause->fn(pause->arg);
}

size_t charset_utf8_piece(struct str utf8, size_t most)
{
    size_t n = utf8.n < most ? utf8.n : most;

    for (int i = 0; i < 3 && n > 1 && n < utf8.n && ((unsigned char)utf8.p[n] & 0xc0) == 0x80; i++)
        n--;
    return n;
}

static bool from_utf8(struct str text, struct buf *out, const struct pause *pause)
{
    bool valid = true;

    while (text.n > 0) {
        size_t n = charset_utf8_piece(text, PIECE);
        if (text.n > PIECE)
            take_pause(pause);
        valid = piece_from_utf8(str_upto(text, n), out) && valid;
        text = str_from(text, n);
    }
    return valid;
}

static void from_latin(struct str charset, struct str text, struct buf *out,
                       const struct pause *pause)
{
    bool latin9 = is_latin9(charset), cp1252 = is_cp1252(charset);

    for (size_t i = 0; i < text.n; i++) {
        utf8_add(out, latin((unsigned char)text.p[i], latin9, cp1252));
        if (i % PIECE == PIECE - 1)
            take_pause(pause);
    }
}

static bool from_iconv(iconv_t cd, struct str text, struct buf *out, const struct pause *pause)
{
    char *in = (char *)text.p, piece[1024];
    size_t left = text.n, paused = left;
    bool valid = true;

    while (left > 0) {
        if (paused - left >= PIECE) {
            take_pause(pause);
            paused = left;
        }
        char *to = piece;
        size_t room = sizeof piece;
        size_t result = iconv(cd, &in, &left, &to, &room);
        buf_add(out, (struct str){piece, sizeof piece - room});
        if (result != (size_t)-1 || errno == E2BIG)
            continue;
        valid = false;
        utf8_add(out, 0xfffd);
        if (left > 0) {
            in++;
            left--;
        }
    }
    return valid;
}

/* 1: done, 0: done, but not all was valid, -1: not known. */
static int convert(struct str charset, struct str text, struct buf *out, struct pause pause)
{
    if (is_utf8(charset))
        return from_utf8(text, out, &pause);
    if (is_built_in(charset)) {
        from_latin(charset, text, out, &pause);
        return 1;
    }
    iconv_t cd = open_iconv(charset);
    if (cd == (iconv_t)-1)
        return -1;
    int result = from_iconv(cd, text, out, &pause);
    iconv_close(cd);
    return result;
}

bool charset_to_utf8(struct str charset, struct str text, struct buf *out)
{
    return convert(charset, text, out, (struct pause){NULL, NULL}) >= 0;
}

bool charset_to_utf8_in_pieces(struct str charset, struct str text, struct buf *out,
                               void (*pause)(void *), void *arg)
{
    return convert(charset, text, out, (struct pause){pause, arg}) >= 0;
}

bool charset_to_utf8_strict(struct str charset, struct str text, struct buf *out)
{
    size_t before = out->n;

    if (convert(charset, text, out, (struct pause){NULL, NULL}) > 0)
        return true;
    buf_cut(out, before);
    return false;
}

void charset_preload(void)
{
    static const char *const common[] = {
        "ISO-8859-2",   "ISO-8859-5",   "ISO-8859-7",   "ISO-8859-9", "WINDOWS-1250",
        "WINDOWS-1251", "WINDOWS-1253", "WINDOWS-1254", "KOI8-R",     "KOI8-U",
        "GB18030",      "GBK",          "GB2312",       "BIG5",       "EUC-JP",
        "ISO-2022-JP",  "SHIFT_JIS",    "EUC-KR",       "UTF-7",      "UTF-16"};

    /* Never closed: that keeps the module in memory. */
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        (void)!iconv_open("UTF-8", common[i]);
}

static const struct {
    uint32_t low, high;
    int32_t add; /* to capitals; 0: pairs, the even one is the capital; 1: the odd one is */
} ranges[] = {
    {'A', 'Z', 32},       {0xc0, 0xd6, 32},     {0xd8, 0xde, 32},       {0x100, 0x12f, 0},
    {0x132, 0x137, 0},    {0x139, 0x148, 1},    {0x14a, 0x177, 0},      {0x178, 0x178, -121},
    {0x179, 0x17e, 1},    {0x1cd, 0x1dc, 1},    {0x1de, 0x1ef, 0},      {0x1f8, 0x21f, 0},
    {0x222, 0x233, 0},    {0x386, 0x386, 38},   {0x388, 0x38a, 37},     {0x38c, 0x38c, 64},
    {0x38e, 0x38f, 63},   {0x391, 0x3a1, 32},   {0x3a3, 0x3ab, 32},     {0x3d8, 0x3ef, 0},
    {0x400, 0x40f, 80},   {0x410, 0x42f, 32},   {0x460, 0x481, 0},      {0x48a, 0x4bf, 0},
    {0x4c1, 0x4ce, 1},    {0x4d0, 0x52f, 0},    {0x531, 0x556, 48},     {0x1e00, 0x1e95, 0},
    {0x1ea0, 0x1eff, 0},  {0x1f08, 0x1f0f, -8}, {0x1f28, 0x1f2f, -8},   {0x2160, 0x216f, 16},
    {0x24b6, 0x24cf, 26}, {0xff21, 0xff3a, 32}, {0x10400, 0x10427, 40},
};

static uint32_t fold(uint32_t c)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && c >= ranges[i].low; i++) {
        if (c > ranges[i].high)
            continue;
        if (ranges[i].add == 0)
            return c | 1;
        if (ranges[i].add == 1)
            return c % 2 == 1 ? c + 1 : c;
        return (uint32_t)((int32_t)c + ranges[i].add);
    }
    return c == 0x3c2 ? 0x3c3 : c; /* final sigma */
}

void charset_fold(struct str s, struct buf *out)
{
    while (s.n > 0) {
        size_t n = 0;
        char *to = buf_room(out, s.n);
        if (to == NULL)
            return;
        for (; n < s.n && (unsigned char)s.p[n] < 0x80; n++)
            to[n] = s.p[n] >= 'A' && s.p[n] <= 'Z' ? (char)(s.p[n] + 32) : s.p[n];
        buf_grown(out, n);
        s = str_from(s, n);
        uint32_t code;
        for (; s.n > 0 && (unsigned char)*s.p >= 0x80; s = str_from(s, n)) {
            n = utf8_decode(s, &code);
            if (n > 0)
                utf8_add(out, fold(code));
            else
                buf_addc(out, s.p[(n = 1) - 1]);
        }
    }
}
