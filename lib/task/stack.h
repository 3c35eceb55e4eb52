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

/* Usable bytes of each stack; how many unused stacks are kept for the next tasks. */
void stack_setup(size_t size, unsigned keep_idle);
bool stack_surplus(
    void); /* more are kept, after a rush: stack_shrink is to be called in a second */
void stack_shrink(void); /* frees those of them that were not needed since the last call */
void stack_new(struct stack *s, void (*entry)(void)); /* entry must not return */
void stack_drop(struct stack *s); /* not the one in use */
void stack_trim(const struct stack *s); /* of the running one, what is below the present frame */
/* Suspends the stack from and continues the stack to. last: from will not run again. */
void stack_switch(struct stack *from, struct stack *to, bool last);
void stack_begin(
    struct stack *from); /* first call in entry; from: the stack that switched to this one */

#endif
