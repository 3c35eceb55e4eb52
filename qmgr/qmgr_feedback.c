/*
 * How many deliveries a destination gets at a time: a window that grows with successes and shrinks
 * with failures to talk to it at all.
 */
#include "base/str.h"

#include "qmgr.h"

/* A number in 0..1 with at most six digits behind the point. */
static bool parse_fraction(struct str s, double *value)
{
    double result = 0, scale = 1;
    bool point = false, any = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9' || i > 8)
            return false;
        any = true;
        result = result * 10 + (s.p[i] - '0');
        if (point)
            scale *= 10;
    }
    *value = result / scale;
    return any && *value <= 1;
}

bool feedback_parse(const char *text, struct feedback *f)
{
    struct str s = str_trim(strz(text));
    ptrdiff_t slash = str_find(s, '/');
    struct str number = slash < 0 ? s : str_trim(str_upto(s, (size_t)slash));
    struct str kind = slash < 0 ? strz("") : str_trim(str_from(s, (size_t)slash + 1));

    f->kind = FEEDBACK_CONST;
    if (str_eqz(kind, "concurrency"))
        f->kind = FEEDBACK_INVERSE;
    else if (str_eqz(kind, "sqrt_concurrency"))
        f->kind = FEEDBACK_SQRT;
    else if (kind.n > 0 || slash >= 0)
        return false;
    return parse_fraction(number, &f->value);
}

static double square_root(double x)
{
    double r = x > 1 ? x : 1;

    for (int i = 0; i < 20; i++)
        r = (r + x / r) / 2;
    return r;
}

static double value_of(const struct feedback *f, double window)
{
    if (window < 1)
        window = 1;
    if (f->kind == FEEDBACK_INVERSE)
        return f->value / window;
    if (f->kind == FEEDBACK_SQRT)
        return f->value / square_root(window);
    return f->value;
}

void feedback_success(struct dest *d)
{
    const struct transport *t = d->transport;

    d->failure = d->failed_cohorts = 0;
    /* It only grows while it is made use of. */
    if (t->concurrency > 0 && d->window >= (double)t->concurrency)
        return;
    if (d->window >= (double)(d->busy + t->initial))
        return;
    d->success += value_of(&t->positive, d->window);
    while (d->success >= 1) {
        d->success -= 1;
        d->window += 1;
    }
    if (t->concurrency > 0 && d->window > (double)t->concurrency)
        d->window = (double)t->concurrency;
}

bool feedback_failure(struct dest *d)
{
    const struct transport *t = d->transport;

    /* As many failures as there may be deliveries are one failed cohort. */
    d->failed_cohorts += 1 / (d->window > 1 ? d->window : 1);
    if (t->failed_cohort_limit > 0 && d->failed_cohorts >= t->failed_cohort_limit)
        return true;
    d->success = 0;
    d->failure += value_of(&t->negative, d->window);
    while (d->failure >= 1) {
        d->failure -= 1;
        d->window -= 1;
    }
    if (d->window < 1)
        d->window = 1;
    return false;
}
