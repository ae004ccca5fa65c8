/* A page in the manner of a WebStack resource: /login?NAME, /logout, and whom it greets else. docs/ancestors.md quotes it. */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "session_api.h"
#include <string.h>

static const session_api *api;

static int respond(request_rec *r)
{
    int logs_in = !strcmp(r->path_info, "/login") && r->args;
    const char *name = "stranger";
    session *s;
    session_status st = api->open(r, logs_in ? SESSION_CREATE : 0, &s);   /* trans.get_session(create) */

    if (st == SESSION_OK && logs_in) st = api->set_text(s, "name", r->args);
    if (st == SESSION_OK && !strcmp(r->path_info, "/logout")) st = api->expire(s);    /* trans.expire_session() */
    if (st == SESSION_OK) st = api->get_text(s, "name", &name);
    if (st != SESSION_OK && st != SESSION_NONE) return api->http_status(st);
    ap_rprintf(r, "hello %s\n", name);
    return OK;
}

static int handler(request_rec *r)
{
    return r->handler && !strcmp(r->handler, "resource") ? respond(r) : DECLINED;
}

static int find_api(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = get ? get(1) : NULL;
    return api ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_post_config(find_api, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA resource_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
