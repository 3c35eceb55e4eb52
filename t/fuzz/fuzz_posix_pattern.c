/* A pattern of a regexp table: what is said to PCRE2 in its place is a pattern of PCRE2. The first
 * byte is the options. */
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "dict/dict_pcre.h"
#include "dict/posix_pattern.h"

/* Of "a++++" and "a{9}{9}" the C library makes a copy for each. */
static bool is_cheap(struct str pattern)
{
    unsigned copies = 0;

    for (size_t i = 0; i < pattern.n; i++)
        copies += pattern.p[i] == '+';
    return copies < 8 && str_find(pattern, '{') < 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 50)
        return 0;
    struct buf pattern = BUF(100), said = BUF(8 * 50);
    bool newline = (data[0] & 1) != 0, any_case = (data[0] & 2) != 0;
    size_t groups;
    regex_t re;

    buf_add(&pattern, (struct str){(const char *)data + 1, size - 1});
    bool is_good = str_find(buf_str(&pattern), 0) < 0 && is_cheap(buf_str(&pattern)) &&
                   regcomp(&re, pattern.p, REG_EXTENDED | (any_case ? REG_ICASE : 0)) == 0;
    if (posix_to_pcre(buf_str(&pattern), newline, any_case, &said, NULL) >= 0 && is_good) {
        void *pcre = pcre_compile(buf_str(&said), any_case ? PCRE_ANY_CASE : 0, &groups, NULL);
        if (pcre == NULL || groups != re.re_nsub)
            abort();
        pcre_free(pcre);
    }
    if (is_good)
        regfree(&re);
    buf_free(&pattern);
    buf_free(&said);
    return 0;
}
