/* stack.h - stacks with guard pages, and the switch between them */
#ifndef TASK_STACK_H
#define TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>

/* A stack, or the place where a suspended one goes on. */
struct stack {
    void *sp; /* saved while it is suspended */
    char *low; /* lowest usable byte; the guard page ends here */
    size_t size;
    void *fake; /* AddressSanitizer's fake stack */
    unsigned registration; /* Valgrind's */
};

void stack_setup(size_t size, unsigned keep_idle);
void stack_new(struct stack *s, void (*entry)(void)); /* entry must not return */
void stack_drop(struct stack *s); /* not the one in use */
void stack_trim(const struct stack *s); /* of the running one, what is below the present frame */
/* Suspends from, goes on with to. last: from will not run again. */
void stack_switch(struct stack *from, struct stack *to, bool last);
void stack_begin(struct stack *from); /* first call in entry: from is who switched to it */

#endif
