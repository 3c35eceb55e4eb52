/*
 * Who goes next. The mail that came first goes first; a small one may overtake a large one when
 * enough of that has been delivered meanwhile (delivery slots, as in Postfix's SCHEDULER_README).
 */
#include "base/clock.h"

#include "qmgr.h"

enum { RANKS_BETWEEN = 1 << 20, CANDIDATES = 1000 };
/* Between one priority and the next: the ranks of more messages than there will be. */
static const int64_t priority_ranks = INT64_C(1) << 58;

static struct job *job_of(struct message *m, struct transport *t)
{
    LIST_EACH (&m->jobs, l) {
        struct job *j = LIST_OF(l, struct job, in_message);
        if (j->transport == t)
            return j;
    }
    struct job *j = arena_alloc(m->batch, sizeof *j);
    j->message = m;
    j->transport = t;
    j->rank = qmgr_next_rank() * RANKS_BETWEEN - m->d.priority * priority_ranks;
    list_init(&j->peers);
    list_add(&m->jobs, &j->in_message);
    list_add(&t->jobs, &j->in_transport);
    return j;
}

/* Assigning goes message by message: its peer is the one that was assigned to last. Null: it has
 * none. */
static struct peer *find_peer(const struct job *j, const struct dest *d)
{
    return d->assigned != NULL && d->assigned->job == j ? d->assigned : NULL;
}

struct peer *job_peer(struct message *m, struct dest *d)
{
    struct job *j = job_of(m, d->transport);
    struct peer *p = find_peer(j, d);

    if (p == NULL) {
        p = arena_alloc(m->batch, sizeof *p);
        p->job = j;
        p->dest = d;
        list_init(&p->todo);
        list_init(&p->in_dest);
        list_add(&p->job->peers, &p->in_job);
        dest_add_peer(d, p);
    }
    d->assigned = p;
    return p;
}

/* How many slots the rest of j needs, after discount and loan. */
static int64_t slots_needed(const struct transport *t, const struct job *j)
{
    int64_t left = (int64_t)(j->total - j->given);
    int64_t need = left * (100 - t->slot_discount) / 100 - t->slot_loan;
    return need > 0 ? need : 0;
}

static int64_t slots_available(const struct transport *t, const struct job *j)
{
    return (int64_t)(j->given / (size_t)t->slot_cost) - (int64_t)j->slots_used;
}

/* The longer it waits and the smaller it is, the better. Who is in front of the current one needs
 * no help, and must not lose its place: its destinations are busy. */
static struct job *find_candidate(struct transport *t, const struct job *current)
{
    struct job *best = NULL;
    double best_score = 0;
    int64_t available = slots_available(t, current);
    int64_t now = clock_wall_us();
    int seen = 0;

    LIST_EACH (&t->jobs, l) {
        struct job *j = LIST_OF(l, struct job, in_transport);
        size_t left = j->total - j->given;
        if (++seen > CANDIDATES)
            break;
        if (j->rank <= current->rank || j->preempting || left == 0 ||
            j->message->d.priority < current->message->d.priority ||
            left >= current->total - current->given || slots_needed(t, j) > available)
            continue;
        double score = (double)(now - j->message->d.active_us + 1) / (double)left;
        if (best == NULL || score > best_score) {
            best = j;
            best_score = score;
        }
    }
    return best;
}

static void put_in_front(struct job *j, struct job *current)
{
    size_t left = j->total - j->given;

    j->preempting = true;
    j->rank = current->rank - 1;
    current->slots_used += left;
    LIST_EACH (&j->peers, l) {
        struct peer *p = LIST_OF(l, struct peer, in_job);
        if (!list_empty(&p->todo))
            dest_rerank(p->dest, p);
    }
}

static void preempt(struct transport *t, struct job *current)
{
    if (t->slot_cost <= 0 || ++t->since_preemption < (size_t)t->slot_cost)
        return;
    if ((int64_t)current->total / t->slot_cost < t->min_slots)
        return;
    t->since_preemption = 0;
    struct job *j = find_candidate(t, current);
    if (j != NULL)
        put_in_front(j, current);
}

static struct dest *first_ready(const struct transport *t)
{
    struct heap_node *node = heap_first(&t->ready);
    return node != NULL ? HEAP_OF(node, struct dest, ready) : NULL;
}

struct entry *job_select(struct transport *t)
{
    struct dest *d = t->dead_text != NULL || t->resting ? NULL : first_ready(t);

    if (d == NULL)
        return NULL;
    preempt(t, LIST_OF(d->peers.next, struct peer, in_dest)->job);
    d = first_ready(t);
    struct peer *p = LIST_OF(d->peers.next, struct peer, in_dest);
    struct entry *e = LIST_OF(p->todo.next, struct entry, link);
    list_drop(&e->link);
    if (list_empty(&p->todo))
        dest_drop_peer(d, p);
    p->job->given++;
    d->busy++;
    dest_update(d);
    return e;
}

void job_requeue(struct entry *e)
{
    struct peer *p = e->peer;

    if (list_empty(&p->todo))
        dest_add_peer(p->dest, p);
    list_push(&p->todo, &e->link);
    p->job->given--;
}

void job_count_rcpt(struct job *j)
{
    j->nrcpts++;
    j->transport->rcpts++;
}

size_t job_drop_all(struct message *m)
{
    size_t room = SIZE_MAX;

    LIST_EACH (&m->jobs, l) {
        struct job *j = LIST_OF(l, struct job, in_message);
        struct transport *t = j->transport;
        list_drop(&j->in_transport);
        t->rcpts -= j->nrcpts;
        size_t left = t->rcpts < t->rcpts_limit ? t->rcpts_limit - t->rcpts : 0;
        if (left < room)
            room = left;
    }
    list_init(&m->jobs);
    return room;
}
