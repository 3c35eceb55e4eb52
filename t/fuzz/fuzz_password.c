/*
 * Stored passwords: any text, checked against a fixed password; the slow schemes are left out.
 */
#include <assert.h>
#include <stdint.h>

#include "auth/password.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str stored = {(const char *)data, size};
    struct buf plain = BUF(10000);
    unsigned char mac[64];

    if (size > 4000)
        return 0;
    if (!password_is_slow(stored, "PLAIN"))
        (void)password_check(STR("u@d"), STR("secret"), stored, "PLAIN", NULL);
    if (password_plain(stored, "PLAIN", &plain))
        assert(password_check(STR("u"), buf_str(&plain), stored, "PLAIN", NULL) == PASSWORD_MATCH);
    (void)password_cram_md5(stored, "SSHA", STR("<challenge>"), mac);
    buf_free(&plain);
    return 0;
}
