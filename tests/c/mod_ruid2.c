/* A module of this name makes each request run as another user. This one does nothing: what counts is that it is loaded. */
#include "httpd.h"
#include "http_config.h"

module AP_MODULE_DECLARE_DATA ruid2_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, NULL, AP_MODULE_FLAG_NONE };
