/* The four hooks of mod_session. APR's hook macros have no function behind them, which is the only reason for C here.
 * rustc hides C symbols of a cdylib, so the functions carry a private prefix and src/bridge/exports.rs exports the public names. */
#include "apr_hooks.h"
#include "mod_session.h"

#define SHIM_DECLARE(type) type

APR_DECLARE_EXTERNAL_HOOK(shim, SHIM, int, session_load, (request_rec *r, session_rec **z))
APR_DECLARE_EXTERNAL_HOOK(shim, SHIM, int, session_save, (request_rec *r, session_rec *z))
APR_DECLARE_EXTERNAL_HOOK(shim, SHIM, int, session_encode, (request_rec *r, session_rec *z))
APR_DECLARE_EXTERNAL_HOOK(shim, SHIM, int, session_decode, (request_rec *r, session_rec *z))

APR_HOOK_STRUCT(
    APR_HOOK_LINK(session_load)
    APR_HOOK_LINK(session_save)
    APR_HOOK_LINK(session_encode)
    APR_HOOK_LINK(session_decode))

APR_IMPLEMENT_EXTERNAL_HOOK_RUN_FIRST(shim, SHIM, int, session_load, (request_rec *r, session_rec **z), (r, z), DECLINED)
APR_IMPLEMENT_EXTERNAL_HOOK_RUN_FIRST(shim, SHIM, int, session_save, (request_rec *r, session_rec *z), (r, z), DECLINED)
APR_IMPLEMENT_EXTERNAL_HOOK_RUN_ALL(shim, SHIM, int, session_encode, (request_rec *r, session_rec *z), (r, z), OK, DECLINED)
APR_IMPLEMENT_EXTERNAL_HOOK_RUN_ALL(shim, SHIM, int, session_decode, (request_rec *r, session_rec *z), (r, z), OK, DECLINED)
