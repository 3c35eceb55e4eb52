/*
 * The server side of every mechanism: the first byte says which, the rest are the client's
 * responses, each ended by LF. Nothing but a right proof may end in SASL_OK.
 */
#include <assert.h>
#include <stdint.h>

#include "auth/sasl.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data + 1, size - 1}, in;
    const struct sasl_mech *mech = size > 0 ? sasl_each(data[0] % 4) : NULL;
    struct buf out = BUF(64 * 1024);
    struct sasl_server s;
    enum sasl_step step = SASL_MORE;

    if (mech == NULL)
        return 0;
    sasl_server_begin(&s, mech, "host.example");
    s.stamp = "1.2.";
    if (data[0] & 0x80)
        step = sasl_server_step(&s, false, STR(""), &out);
    while (step == SASL_MORE && str_split(&rest, '\n', &in))
        step = sasl_server_step(&s, true, in, &out);
    assert(step != SASL_OK);
    if (step == SASL_SECRET) /* 128 random bits stand for the password */
        assert(sasl_server_secret(&s, STR("{PLAIN}WPrcYgB0nQx7fJp9"), "PLAIN") == SASL_BAD);
    if (step == SASL_PASSWORD)
        assert(s.user.n > 0);
    sasl_server_end(&s);
    buf_free(&out);
    return 0;
}
