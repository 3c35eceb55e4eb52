/* What a client of POP3 sends before login. */
#include "front.h"
#include "pop3d.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    front_run(&pop3d_front, data, size);
    return 0;
}
