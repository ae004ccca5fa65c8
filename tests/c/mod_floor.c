/* What sessions are measured against.
 *
 * hello: the same server and the same answer, without any session.
 * floor: the system calls that a session file costs at least, and nothing else: no locks between requests, no format, no
 *        expiry. No module that keeps its sessions in files can be faster, so a benchmark shows how near we come to it.
 *
 * FloorDir path: where floor keeps its files; made when missing, for the user the children run as.
 */
#include "floor.h"
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"
#include "unixd.h"
#include "apr_strings.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE = 4096, READ_SIZE = 8192, WRITE_SIZE = 1024 };

static const char *floor_dir;

static const char *path_of(request_rec *r, const char *id)
{
    return apr_pstrcat(r->pool, floor_dir, "/", id, NULL);
}

/* Answers the counter, or 0 when it could not be kept. */
static apr_uint64_t create_file(request_rec *r)
{
    const char *id = floor_new_id(r);
    char block[FILE_SIZE] = { 0 };
    apr_uint64_t count = 1;
    int fd, written;

    if (!id)
        return 0;
    fd = open(path_of(r, id), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    memcpy(block, &count, sizeof count);
    written = pwrite(fd, block, sizeof block, 0) == sizeof block;
    close(fd);
    floor_send_id(r, id);
    return written ? count : 0;
}

static apr_uint64_t count_in_file(int fd)
{
    char block[READ_SIZE];
    struct stat file;
    apr_uint64_t count = 0;
    int locked;

    while ((locked = flock(fd, LOCK_EX)) && errno == EINTR)
        ;
    if (locked || fstat(fd, &file) || file.st_nlink != 1 || pread(fd, block, sizeof block, 0) < WRITE_SIZE)
        return 0;
    memcpy(&count, block, sizeof count);
    count++;
    memcpy(block, &count, sizeof count);
    return pwrite(fd, block, WRITE_SIZE, 0) == WRITE_SIZE ? count : 0;
}

static int floor_answer(request_rec *r)
{
    const char *id = floor_presented_id(r);
    apr_uint64_t count;
    int fd = -1;

    if (id)
        fd = open(path_of(r, id), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        count = count_in_file(fd);
        close(fd);
    }
    else
        count = create_file(r);
    if (!count) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, errno, r, "floor cannot count in %s", floor_dir);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "hello %" APR_UINT64_T_FMT "\n", count);
    return OK;
}

static int floor_handler(request_rec *r)
{
    if (!r->handler)
        return DECLINED;
    if (!strcmp(r->handler, "floor"))
        return floor_dir ? floor_answer(r) : HTTP_NOT_FOUND;
    if (strcmp(r->handler, "hello"))
        return DECLINED;
    ap_set_content_type(r, "text/plain");
    ap_rputs("hello\n", r);
    return OK;
}

static int make_dir(apr_pool_t *conf, apr_pool_t *log, apr_pool_t *temp, server_rec *server)
{
    if (!floor_dir)
        return OK;
    if (mkdir(floor_dir, 0700) ? errno == EEXIST : geteuid() != 0 || !chown(floor_dir, ap_unixd_config.user_id, ap_unixd_config.group_id))
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, errno, server, "FloorDir %s cannot be made", floor_dir);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static const char *set_dir(cmd_parms *cmd, void *config, const char *path)
{
    floor_dir = path;
    return NULL;
}

static const command_rec DIRECTIVES[] = {
    AP_INIT_TAKE1("FloorDir", set_dir, NULL, RSRC_CONF, "where the floor handler keeps its files"),
    { NULL },
};

/* A restart may keep the module mapped: what the old configuration said must not stay. */
static int forget_dir(apr_pool_t *conf, apr_pool_t *log, apr_pool_t *temp)
{
    floor_dir = NULL;
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_pre_config(forget_dir, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(make_dir, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(floor_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA floor_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, DIRECTIVES, register_hooks, AP_MODULE_FLAG_NONE };
