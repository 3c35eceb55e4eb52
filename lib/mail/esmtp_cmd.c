#include "mail/esmtp_cmd.h"

#include "base/num.h"
#include "base/str.h"
#include "base/utf8.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void esmtp_cmd_split(struct str line, struct esmtp_cmd *cmd)
{
    size_t n = 0;

    line = str_trim(line);
    while (n < line.n && !is_blank(line.p[n]))
        n++;
    cmd->verb = str_upto(line, n);
    cmd->args = str_trim(str_from(line, n));
}

bool esmtp_cmd_keyword(struct str *args, const char *keyword)
{
    struct str s = str_trim(*args);
    size_t n = strlen(keyword);

    if (!str_istarts(s, strz(keyword)))
        return false;
    s = str_trim(str_from(s, n));
    if (s.n == 0 || s.p[0] != ':')
        return false;
    *args = str_trim(str_from(s, 1));
    return true;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c != '-' || i == 0))
            return false;
    }
    return s.n > 0;
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127)
            return false;
    return true;
}

int esmtp_param_next(struct str *rest, struct esmtp_param *param)
{
    struct str word;

    if (!str_word(rest, " \t", &word))
        return 0;
    ptrdiff_t eq = str_find(word, '=');
    param->name = eq < 0 ? word : str_upto(word, (size_t)eq);
    param->value = eq < 0 ? (struct str){NULL, 0} : str_from(word, (size_t)eq + 1);
    return is_name(param->name) && (eq < 0 || is_value(param->value)) ? 1 : -1;
}

bool esmtp_helo_name(struct str args, struct buf *name)
{
    struct str word;

    buf_clear(name);
    while (str_word(&args, " \t", &word) && name->n < name->max) {
        if (name->n > 0)
            buf_addc(name, ' ');
        buf_add(name, str_upto(word, name->max - name->n));
    }
    return name->n > 0;
}

void esmtp_make_harmless(char *name)
{
    for (; *name != 0; name++)
        if (strchr(" <>()\\\";@", *name) != NULL)
            *name = '?';
}

bool xtext_decode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '+') {
            uint64_t value;
            if (text.n - i < 3 || !num_parse_hex(str_part(text, i + 1, 2), &value))
                return false;
            i += 2;
            c = (unsigned char)value;
        }
        buf_addc(out, c < ' ' || c == 127 ? '?' : (char)c);
    }
    return buf_ok(out);
}

void xtext_encode(struct str raw, struct buf *out)
{
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        if (c <= ' ' || c >= 127 || c == '+' || c == '=')
            buf_addf(out, "+%02X", c);
        else
            buf_addc(out, (char)c);
    }
}

bool uxtext_decode(struct str text, struct buf *out)
{
    while (text.n > 0) {
        if (text.p[0] != '\\') {
            buf_addc(out, text.p[0]);
            text = str_from(text, 1);
            continue;
        }
        ptrdiff_t end = str_find(text, '}');
        uint64_t code;
        if (!str_starts(text, STR("\\x{")) || end > 9 ||
            !num_parse_hex(str_part(text, 3, end > 3 ? (size_t)end - 3 : 0), &code) || code < ' ' ||
            code == 127 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        utf8_add(out, (uint32_t)code);
        text = str_from(text, (size_t)end + 1);
    }
    return buf_ok(out);
}

void uxtext_encode(struct str utf8, struct buf *out)
{
    while (utf8.n > 0) {
        uint32_t code = 0xfffd;
        size_t n = utf8_decode(utf8, &code);
        if (code <= ' ' || code >= 127 || strchr("+=\\", (int)code) != NULL)
            buf_addf(out, "\\x{%X}", (unsigned)code);
        else
            buf_addc(out, (char)code);
        utf8 = str_from(utf8, n > 0 ? n : 1);
    }
}
