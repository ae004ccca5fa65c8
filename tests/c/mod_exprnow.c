/* ExprNow function argument: calls a function of expressions while the configuration is read, when there is no request, and refuses
 * what is not empty. */
#include "httpd.h"
#include "http_config.h"
#include "ap_expr.h"
#include "apr_strings.h"

static const char *expr_now(cmd_parms *cmd, void *config, const char *name, const char *argument)
{
    const char *error = NULL, *yields;
    const void *function = NULL, *data = NULL;
    ap_expr_lookup_parms lookup = { AP_EXPR_FUNC_STRING, name, 0, cmd->pool, cmd->temp_pool, &function, &data, &error, argument };
    ap_expr_eval_ctx_t context = { .s = cmd->server, .p = cmd->pool, .err = &error };

    if (ap_expr_lookup_default(&lookup) != OK)
        return "ExprNow: no such function";
    yields = ((ap_expr_string_func_t *)function)(&context, data, argument);
    return yields && *yields ? apr_pstrcat(cmd->pool, "ExprNow yields ", yields, NULL) : NULL;
}

static const command_rec COMMANDS[] = {
    AP_INIT_TAKE2("ExprNow", expr_now, NULL, RSRC_CONF, "a function, and an argument for which it yields nothing without a request"), { NULL },
};

module AP_MODULE_DECLARE_DATA exprnow_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, COMMANDS, NULL, AP_MODULE_FLAG_NONE };
