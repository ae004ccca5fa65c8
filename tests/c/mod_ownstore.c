/* A store of one's own behind the hooks of the stock interface: what a subclass of mod_python's BaseSession (do_load, do_save) and Myghty's
 * namespace_class were. One file for each session, in `OwnStoreDir path`. docs/ancestors.md quotes load and save.
 *
 * Values, their encoding, SessionMaxAge and the moment of the save are httpd's. Nothing here locks, merges or cleans.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "http_request.h"
#include "util_cookies.h"
#include "apr_strings.h"
#include "apr_uuid.h"
#include "mod_session.h"
#include <string.h>

module AP_MODULE_DECLARE_DATA ownstore_module;

typedef struct {
    const char *dir;
} config;

/* A path is made of an id that was parsed and written anew, never of what a client sent. */
static const char *name_of(apr_pool_t *pool, const apr_uuid_t *id)
{
    char *name = apr_palloc(pool, APR_UUID_FORMATTED_LENGTH + 1);

    apr_uuid_format(name, id);
    return name;
}

static const char *dir_of(request_rec *r)
{
    config *c = ap_get_module_config(r->per_dir_config, &ownstore_module);

    return c->dir;
}

static char *path_of(request_rec *r, const apr_uuid_t *id)
{
    return apr_pstrcat(r->pool, dir_of(r), "/", name_of(r->pool, id), NULL);
}

static apr_status_t read_file(session_rec *z, const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *text;
    apr_status_t status = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, z->pool);

    if (status)
        return status;
    status = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (!status) {
        text = apr_pcalloc(z->pool, (apr_size_t)info.size + 1);
        status = apr_file_read_full(file, text, (apr_size_t)info.size, NULL);
        z->encoded = text;
    }
    apr_file_close(file);
    return status;
}

/* Who reads meanwhile finds the old text or the new one. */
static apr_status_t replace_file(session_rec *z, const char *path)
{
    char *new = apr_pstrcat(z->pool, path, ".XXXXXX", NULL);
    apr_file_t *file;
    apr_status_t status = apr_file_mktemp(&file, new, APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_WRITE, z->pool);

    if (status)
        return status;
    status = apr_file_write_full(file, z->encoded, strlen(z->encoded), NULL);
    apr_file_close(file);
    return status ? status : apr_file_rename(new, path, z->pool);
}

/* Whether there is a record already; it is the same for all parts of a request. */
static int find_record(request_rec *r, session_rec **z)
{
    while (r->main || r->prev)
        r = r->main ? r->main : r->prev;
    if ((*z = ap_get_module_config(r->request_config, &ownstore_module)))
        return 1;
    *z = apr_pcalloc(r->pool, sizeof(**z));
    (*z)->pool = r->pool;
    (*z)->entries = apr_table_make(r->pool, 8);
    ap_set_module_config(r->request_config, &ownstore_module, *z);
    return 0;
}

static apr_uuid_t *random_id(apr_pool_t *pool)
{
    apr_uuid_t *id = apr_palloc(pool, sizeof(*id));

    return apr_generate_random_bytes(id->data, sizeof(id->data)) ? NULL : id;
}

static apr_status_t own_load(request_rec *r, session_rec **z)
{
    const char *cookie = NULL;
    apr_uuid_t id;
    apr_status_t status = APR_SUCCESS;

    if (!dir_of(r))
        return DECLINED;                                        /* a section of another store */
    if (find_record(r, z))
        return OK;                                              /* httpd asks several times in a request */
    ap_cookie_read(r, "own", &cookie, 0);
    if (cookie && !apr_uuid_parse(&id, cookie) && !(status = read_file(*z, path_of(r, &id))))
        (*z)->uuid = apr_pmemdup((*z)->pool, &id, sizeof(id));  /* an id that names nothing is not adopted */
    return status && !APR_STATUS_IS_ENOENT(status) ? HTTP_INTERNAL_SERVER_ERROR : OK;
}

static apr_status_t own_save(request_rec *r, session_rec *z)
{
    int is_new = !z->uuid;

    if (!dir_of(r))
        return DECLINED;
    if ((is_new && !(z->uuid = random_id(z->pool))) || replace_file(z, path_of(r, z->uuid)))
        return HTTP_INTERNAL_SERVER_ERROR;
    if (is_new)
        ap_cookie_write(r, "own", name_of(z->pool, z->uuid), "Path=/;HttpOnly;SameSite=Lax", 0, r->err_headers_out, NULL);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_session_load(own_load, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_session_save(own_save, NULL, NULL, APR_HOOK_MIDDLE);
}

static void *make_config(apr_pool_t *pool, char *section)
{
    return apr_pcalloc(pool, sizeof(config));
}

static const command_rec DIRECTIVES[] = {
    AP_INIT_TAKE1("OwnStoreDir", ap_set_string_slot, (void *)APR_OFFSETOF(config, dir), ACCESS_CONF, "where the sessions of this section are"),
    { NULL },
};

module AP_MODULE_DECLARE_DATA ownstore_module = { STANDARD20_MODULE_STUFF, make_config, NULL, NULL, NULL, DIRECTIVES, register_hooks, AP_MODULE_FLAG_NONE };
