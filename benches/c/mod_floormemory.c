/* floor-memory: a counter and 1 kB in memory that all children share, copied out and back under a mutex that survives its holder's death,
 * and nothing else. No module that keeps its sessions in shared memory can be faster.
 */
#include "floor.h"
#include "apr_hash.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

enum { RECORD = 1024, PLACES = 1 << 14, MUTEXES = 32 };

typedef struct {
    char id[FLOOR_ID_LENGTH]; /* zeroes: the place is free */
    char record[RECORD];
} place;

typedef struct {
    pthread_mutex_t mutexes[MUTEXES];
    place places[PLACES];
} memory;

static memory *shared;

/* The place of an id lies in the part of its mutex, so nobody else looks at it. */
static place *find(unsigned hash, const char *id)
{
    enum { PART = PLACES / MUTEXES };
    place *part = shared->places + hash % MUTEXES * PART;
    unsigned i, at = hash / MUTEXES;

    for (i = 0; i < PART; i++) {
        place *p = part + (at + i) % PART;

        if (!memcmp(p->id, id, FLOOR_ID_LENGTH))
            return p;
        if (!p->id[0]) {
            memcpy(p->id, id, FLOOR_ID_LENGTH);
            return p;
        }
    }
    return NULL;
}

/* Answers 0 when it could not be kept. */
static apr_uint64_t count_in_memory(const char *id)
{
    apr_ssize_t length = FLOOR_ID_LENGTH;
    unsigned hash = apr_hashfunc_default(id, &length);
    pthread_mutex_t *mutex = shared->mutexes + hash % MUTEXES;
    char record[RECORD];
    apr_uint64_t count = 0;
    place *found;
    int locked = pthread_mutex_lock(mutex);

    if (locked == EOWNERDEAD)
        pthread_mutex_consistent(mutex);
    else if (locked)
        return 0;
    found = find(hash, id);
    if (found) {
        memcpy(record, found->record, sizeof record);
        memcpy(&count, record, sizeof count);
        count++;
        memcpy(record, &count, sizeof count);
        memcpy(found->record, record, sizeof record);
    }
    pthread_mutex_unlock(mutex);
    return count;
}

static int floor_handler(request_rec *r)
{
    const char *id;
    apr_uint64_t count;

    if (!r->handler || strcmp(r->handler, "floor-memory"))
        return DECLINED;
    id = floor_presented_id(r);
    if (!id && (id = floor_new_id(r)))
        floor_send_id(r, id);
    count = id ? count_in_memory(id) : 0;
    if (!count) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "floor-memory cannot count");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "hello %" APR_UINT64_T_FMT "\n", count);
    return OK;
}

static int make_memory(apr_pool_t *conf, apr_pool_t *log, apr_pool_t *temp, server_rec *server)
{
    pthread_mutexattr_t kind;
    int i;

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, server, "floor-memory has none");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    for (i = 0; i < MUTEXES; i++)
        pthread_mutex_init(shared->mutexes + i, &kind);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_post_config(make_memory, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(floor_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA floormemory_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
