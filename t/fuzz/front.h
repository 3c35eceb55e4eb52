/* front.h - a connection before login that gets the input of a fuzz target */
#ifndef FUZZ_FRONT_H
#define FUZZ_FRONT_H

#include <stddef.h>
#include <stdint.h>

struct login_front;

/* Takes the place of login_auth.c: a login takes as much of the input as SASL may, and fails. */
void front_run(const struct login_front *front, const uint8_t *data, size_t size);

#endif
