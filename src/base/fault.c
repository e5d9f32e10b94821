#include "base/fault.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/poison.h"

typedef enum FaultAction { FAULT_KILL, FAULT_ERROR, FAULT_DELAY } FaultAction;

typedef struct FaultPoint {
    Str name;
    FaultAction action;
    uint64_t at; /* passage that fires; 0 = every one */
    uint64_t delay_ms;
    uint64_t passed; /* guarded by the set's mutex */
} FaultPoint;

struct FaultSet {
    pthread_mutex_t mutex;
    char *text; /* the points' names are views into it */
    FaultPoint *points;
    size_t count;
};

struct FaultSet *fault_set;

static bool parse_point(Str text, FaultPoint *p, Err *err)
{
    Str rest = text;
    p->name = str_trim(str_split(&rest, '='));
    Str action = str_trim(str_split(&rest, '@'));
    p->at = 1;
    if (!p->name.len)
        return err_set(err, ERR_USAGE, "SHARDMERGE_FAULTS: '" STR_FMT "': no name", STR_ARG(text));
    if (str_eqc(rest, "*"))
        p->at = 0;
    else if (rest.len && (!str_to_u64(rest, &p->at) || p->at == 0))
        return err_set(err, ERR_USAGE, "SHARDMERGE_FAULTS: '" STR_FMT "': bad count after @", STR_ARG(text));
    Str argument = action;
    Str verb = str_split(&argument, ':');
    if (str_eqc(verb, "kill"))
        p->action = FAULT_KILL;
    else if (str_eqc(verb, "error"))
        p->action = FAULT_ERROR;
    else if (str_eqc(verb, "delay") && str_to_u64(argument, &p->delay_ms))
        p->action = FAULT_DELAY;
    else
        return err_set(err, ERR_USAGE,
                       "SHARDMERGE_FAULTS: '" STR_FMT "': the action is kill, error or delay:MS",
                       STR_ARG(text));
    return true;
}

bool fault_init(Err *err)
{
    const char *env = getenv("SHARDMERGE_FAULTS");
    if (!env || !*env) return true;
    struct FaultSet *set = mem_zalloc(sizeof *set);
    pthread_mutex_init(&set->mutex, NULL);
    set->text = str_dup(str_of(env));
    Str rest = str_of(set->text);
    while (rest.len) {
        Str one = str_trim(str_split(&rest, ';'));
        if (!one.len) continue;
        set->points = mem_realloc(set->points, (set->count + 1) * sizeof *set->points);
        set->points[set->count] = (FaultPoint){0};
        if (!parse_point(one, &set->points[set->count], err)) {
            free(set->points);
            free(set->text);
            free(set);
            return false;
        }
        set->count++;
    }
    fault_set = set;
    return true;
}

bool fault_hit(const char *name)
{
    bool fail = false;
    for (size_t i = 0; i < fault_set->count; i++) {
        FaultPoint *p = &fault_set->points[i];
        if (!str_eqc(p->name, name)) continue;
        pthread_mutex_lock(&fault_set->mutex);
        uint64_t passed = ++p->passed;
        pthread_mutex_unlock(&fault_set->mutex);
        if (p->at != 0 && passed != p->at) continue;
        switch (p->action) {
        case FAULT_KILL:
            kill(getpid(), SIGKILL);
            pause();
            break;
        case FAULT_ERROR: fail = true; break;
        case FAULT_DELAY: {
            struct timespec t = {.tv_sec = (time_t)(p->delay_ms / 1000),
                                 .tv_nsec = (long)(p->delay_ms % 1000) * 1000000};
            nanosleep(&t, NULL);
            break;
        }
        }
    }
    return fail;
}
