/* floor-lmdb: a counter and 1 kB in an LMDB, read and written back in one transaction that does not wait for the disk, and nothing else.
 * No module that keeps its sessions in an LMDB can be faster.
 *
 * FloorDatabase path: the directory of the database; made when missing, for the user the children run as.
 */
#include "floor.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"
#include "unixd.h"
#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD = 1024 };

static const char *dir;
static MDB_env *environment;
static MDB_dbi table;

/* Answers 0, or what LMDB said. */
static int count_in(MDB_txn *writer, const char *id, apr_uint64_t *count)
{
    MDB_val key = { FLOOR_ID_LENGTH, (void *)id }, found;
    char record[RECORD] = { 0 };
    MDB_val stored = { sizeof record, record };
    int failed = mdb_get(writer, table, &key, &found);

    if (failed && failed != MDB_NOTFOUND)
        return failed;
    if (!failed && found.mv_size == sizeof record)
        memcpy(record, found.mv_data, sizeof record);
    memcpy(count, record, sizeof *count);
    ++*count;
    memcpy(record, count, sizeof *count);
    return mdb_put(writer, table, &key, &stored, 0);
}

static int floor_handler(request_rec *r)
{
    const char *id;
    apr_uint64_t count = 0;
    MDB_txn *writer;
    int failed;

    if (!r->handler || strcmp(r->handler, "floor-lmdb"))
        return DECLINED;
    id = floor_presented_id(r);
    if (!id && (id = floor_new_id(r)))
        floor_send_id(r, id);
    if (!environment || !id)
        return HTTP_INTERNAL_SERVER_ERROR;
    failed = mdb_txn_begin(environment, NULL, 0, &writer);
    if (!failed) {
        failed = count_in(writer, id, &count);
        if (failed)
            mdb_txn_abort(writer);
        else
            failed = mdb_txn_commit(writer);
    }
    if (failed) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "floor-lmdb cannot count: %s", mdb_strerror(failed));
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "hello %" APR_UINT64_T_FMT "\n", count);
    return OK;
}

/* An environment must not be carried over a fork, so each child opens its own. */
static void open_environment(apr_pool_t *pool, server_rec *server)
{
    MDB_txn *writer;
    int failed;

    if (!dir)
        return;
    failed = mdb_env_create(&environment);
    if (!failed)
        failed = mdb_env_set_mapsize(environment, (size_t)1 << 30);
    if (!failed)
        failed = mdb_env_open(environment, dir, MDB_NOSYNC, 0600);
    if (!failed)
        failed = mdb_txn_begin(environment, NULL, 0, &writer);
    if (!failed)
        failed = mdb_dbi_open(writer, NULL, 0, &table);
    if (!failed)
        failed = mdb_txn_commit(writer);
    if (failed) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server, "FloorDatabase %s: %s", dir, mdb_strerror(failed));
        environment = NULL;
    }
}

static int make_dir(apr_pool_t *conf, apr_pool_t *log, apr_pool_t *temp, server_rec *server)
{
    if (!dir || (mkdir(dir, 0700) ? errno == EEXIST : geteuid() != 0 || !chown(dir, ap_unixd_config.user_id, ap_unixd_config.group_id)))
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, errno, server, "FloorDatabase %s cannot be made", dir);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static const char *set_dir(cmd_parms *cmd, void *config, const char *path)
{
    dir = path;
    return NULL;
}

static const command_rec DIRECTIVES[] = {
    AP_INIT_TAKE1("FloorDatabase", set_dir, NULL, RSRC_CONF, "where floor-lmdb keeps its database"),
    { NULL },
};

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_post_config(make_dir, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(open_environment, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(floor_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA floorlmdb_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, DIRECTIVES, register_hooks, AP_MODULE_FLAG_NONE };
