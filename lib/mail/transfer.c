/*
 * Quoted-printable and base64.
 */
#include "mail/transfer.h"

#include <string.h>

#include "base/encode.h"
#include "base/str.h"

enum { LINE = 76 };

enum transfer_encoding transfer_named(struct str name)
{
    if (name.n == 0 || str_ieq(name, STR("7bit")) || str_ieq(name, STR("8bit")) ||
        str_ieq(name, STR("binary")))
        return TRANSFER_IDENTITY;
    if (str_ieq(name, STR("quoted-printable")))
        return TRANSFER_QP;
    if (str_ieq(name, STR("base64")))
        return TRANSFER_BASE64;
    return TRANSFER_UNKNOWN;
}

static void decode_base64_piece(struct transfer *t, struct str s, struct buf *out)
{
    char *to = buf_room(out, s.n);
    size_t n = 0;

    if (to == NULL)
        return;
    for (size_t i = 0; i < s.n && !t->ended; i++) {
        int digit = decode_base64_digit(s.p[i]);
        if (digit < 0) {
            t->ended = s.p[i] == '=';
            continue; /* RFC 2045 6.8: other characters must be ignored */
        }
        t->held = (t->held << 6 | (uint32_t)digit) & 0xffffff;
        t->bits += 6;
        if (t->bits >= 8) {
            t->bits -= 8;
            to[n++] = (char)(t->held >> t->bits & 0xff);
        }
    }
    buf_grown(out, n);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* tail holds "=", "=X" or "=\r"; c comes next. */
static void end_escape(struct transfer *t, char c, struct buf *out)
{
    if (t->ntail == 1 && c == '\n') { /* a soft line break */
        t->ntail = 0;
    } else if (t->ntail == 1 && (hex(c) >= 0 || c == '\r' || c == ' ' || c == '\t')) {
        t->tail[t->ntail++] = c;
    } else if (t->ntail == 2 && hex(t->tail[1]) >= 0 && hex(c) >= 0) {
        buf_addc(out, (char)(hex(t->tail[1]) << 4 | hex(c)));
        t->ntail = 0;
    } else if (t->ntail == 2 && hex(t->tail[1]) < 0 && (c == '\n' || c == ' ' || c == '\r')) {
        if (c == '\n')
            t->ntail = 0;
    } else { /* no escape: it stands for itself */
        buf_add(out, (struct str){t->tail, t->ntail});
        t->ntail = 0;
        if (c == '=')
            t->tail[t->ntail++] = c;
        else
            buf_addc(out, c);
    }
}

static void decode_qp(struct transfer *t, struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (t->ntail > 0) {
            end_escape(t, c, out);
        } else if (c == ' ' || c == '\t') {
            t->blanks++;
            buf_addc(out, c);
            continue;
        } else if (c == '=') {
            t->tail[t->ntail++] = c;
        } else {
            if ((c == '\n' || c == '\r') && t->blanks > 0 && out->n >= t->blanks)
                buf_cut(out, out->n - t->blanks);
            buf_addc(out, c);
        }
        t->blanks = 0;
    }
}

void transfer_decode(struct transfer *t, struct str bytes, struct buf *out)
{
    if (t->encoding == TRANSFER_BASE64)
        decode_base64_piece(t, bytes, out);
    else if (t->encoding == TRANSFER_QP)
        decode_qp(t, bytes, out);
    else
        buf_add(out, bytes);
}

void transfer_encode_qp(struct str text, struct buf *out)
{
    size_t column = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool ends = i + 1 == text.n || text.p[i + 1] == '\n';
        if (c == '\n') {
            buf_addc(out, '\n');
            column = 0;
            continue;
        }
        bool plain = (c > 0x20 && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !ends);
        /* Lines that other programs change on the way: "From " and a lone dot. */
        if (column == 0 &&
            ((c == 'F' && str_starts(str_from(text, i), STR("From "))) || (c == '.' && ends)))
            plain = false;
        size_t need = plain ? 1 : 3;
        if (column + need > LINE - (ends ? 0 : 1)) {
            buf_addz(out, "=\n");
            column = 0;
        }
        if (plain)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "=%02X", c);
        column += need;
    }
}

void transfer_encode_base64(struct str bytes, struct buf *out)
{
    for (; bytes.n > 0; bytes = str_from(bytes, LINE / 4 * 3)) {
        encode_base64(out, str_upto(bytes, LINE / 4 * 3));
        buf_addc(out, '\n');
    }
}
