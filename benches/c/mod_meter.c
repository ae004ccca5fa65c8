/* meter: what callgrind has counted since the last request here goes to its file, and it begins anew at zero. From the first one on
 * instructions are counted at all, so that the start of the server takes no time. Without callgrind this does nothing.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include <string.h>
#include <valgrind/callgrind.h>

static int meter_handler(request_rec *r)
{
    static int counts;

    if (!r->handler || strcmp(r->handler, "meter"))
        return DECLINED;
    if (counts) {
        CALLGRIND_DUMP_STATS;
    }
    else {
        CALLGRIND_START_INSTRUMENTATION;
        counts = 1;
    }
    ap_set_content_type(r, "text/plain");
    ap_rputs("hello\n", r);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_handler(meter_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA meter_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
