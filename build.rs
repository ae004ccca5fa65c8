//! Generates the bindings to httpd and APR and compiles the C shim, with the flags that `apxs` names.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "module")]
    module::build();
}

#[cfg(feature = "module")]
mod module {
    use std::env;
    use std::path::PathBuf;
    use std::process::Command;

    /// What `src/httpd` and `src/bridge` use of httpd and APR.
    const FUNCTIONS: &str = "ap_(add_output_filter|register_output_filter|remove_output_filter|pass_brigade|bucket_error_create|\
        hook_(handler|fixups|insert_filter|insert_error_filter|pre_config|check_config|post_config|child_init|suspend_connection|check_access_ex|\
        expr_lookup|get_access_checker_ex)|register_auth_provider|set_config_vectors|expr_parse_cmd_mi|expr_str_exec|getword_conf|\
        log_rerror_|log_error_|find_linked_module|get_module_config|set_module_config|get_request_module_loglevel|get_server_module_loglevel|state_query|\
        server_root_relative|check_cmd_context|getword_conf|run_drop_privileges|timeout_parameter_parse|run_http_scheme|\
        mutex_register|global_mutex_create|auth_(type|name)|retained_data_get|retained_data_create|mpm_query|get_conn_socket)\
        |apr_(palloc|pstrmemdup|pool_cleanup_register|pool_pre_cleanup_register|pool_cleanup_null|table_make|table_get|table_set|\
        table_setn|table_unset|table_clear|table_add|table_addn|table_elts|array_make|array_push|atoi64|dynamic_fn_register|dynamic_fn_retrieve|\
        brigade_cleanup|bucket_eos_create|brigade_create|brigade_pflatten|bucket_alloc_create|pool_create_ex|pool_destroy|hash_(make|get|set)|\
        dbd_(name|error|query|prepare|pbquery|pbselect|num_tuples|get_row|datum_get|get_driver|open_ex|close)|proc_(fork|wait)|\
        optional_hook_get|global_mutex_(child_init|lockfile|mech|name|timedlock|trylock|unlock)|os_sock_get)\
        |pthread_sigmask|sigfillset|_exit";
    const TYPES: &str = "module|command_rec|cmd_parms|request_rec|server_rec|conn_rec|session_rec|session_dir_conf|ap_filter_t|\
        apr_bucket_brigade|apr_bucket|apr_table_entry_t|apr_array_header_t|ap_HOOK_session_(load|save|encode|decode)_t|unixd_config_rec|core_server_config|\
        ap_directive_t|apr_global_mutex_t|apr_lockmech_e|ap_watchdog_t|apr_OFN_ap_watchdog_(get_instance|register_callback)_t|ap_dbd_t|apr_OFN_ap_dbd_(open|close)_t|\
        session_api|authz_provider|ap_expr_eval_ctx_t|ap_expr_lookup_parms|ap_expr_info_t|ap_LINK_access_checker_ex_t|sigset_t";
    const VARIABLES: &str = "OK|DECLINED|HTTP_(INTERNAL_SERVER_ERROR|SERVICE_UNAVAILABLE)|NOT_IN_FILES|GLOBAL_ONLY|\
        RSRC_CONF|ACCESS_CONF|OR_AUTHCFG|APR_SUCCESS|APR_EGENERAL|APR_EINVAL|APR_EBUSY|APR_TIMEUP|APR_OS_START_ERROR|APR_INCHILD|APR_INPARENT|\
        APLOG_(ERR|WARNING|NOTICE|INFO|DEBUG|TRACE2|LEVELMASK)|MODULE_MAGIC_NUMBER_MAJOR|MODULE_MAGIC_NUMBER_MINOR|MODULE_MAGIC_COOKIE|AP_SQ_.*|\
        AP_MPMQ_.*|APR_HOOK_.*|AP_WATCHDOG_STATE_.*|ap_unixd_config|ap_conftree|apr_bucket_type_(eos|flush)|ap_bucket_type_error|core_module|\
        SESSION_(CREATE|READ_ONLY|NO_LOCK|NO_TOUCH)|AP_AUTH_INTERNAL_PER_CONF|AUTHZ_PROVIDER_(GROUP|VERSION)|apr_hook_global_pool|\
        AP_EXPR_(FUNC_STRING|FLAG_STRING_RESULT)|SIG_SETMASK";

    pub fn build() {
        for cause in ["APXS", "LIBCLANG_PATH"] {
            println!("cargo::rerun-if-env-changed={cause}");
        }
        println!("cargo::rerun-if-changed=c_shim");
        let target = |name: &str| env::var(name).unwrap_or_default();
        if target("CARGO_CFG_TARGET_OS") != "linux"
            || target("CARGO_CFG_TARGET_ENV") != "gnu"
            || target("CARGO_CFG_TARGET_POINTER_WIDTH") != "64"
        {
            fail("mod_session_rs runs on 64-bit Linux with glibc only", "build it there");
        }
        let flags = httpd_flags();
        bindings(&flags);
        let mut shim = cc::Build::new();
        for flag in &flags {
            shim.flag(flag);
        }
        shim.warnings(true)
            .warnings_into_errors(true)
            .flag("-Wno-unused-parameter")
            .file("c_shim/session_hooks.c")
            .compile("session_hooks");
    }

    fn bindings(flags: &[String]) {
        let bindings = bindgen::Builder::default()
            .header("c_shim/httpd_headers.h")
            .clang_args(flags)
            .allowlist_function(FUNCTIONS)
            .allowlist_type(TYPES)
            .allowlist_var(VARIABLES)
            .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
            .merge_extern_blocks(true)
            .use_core()
            .generate_comments(false)
            .rust_edition(bindgen::RustEdition::Edition2024)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .generate()
            .unwrap_or_else(|error| {
                fail(
                    &format!("bindgen cannot read the httpd headers: {error}"),
                    "install httpd's development package (Debian: apache2-dev; Fedora: httpd-devel) and libclang (Debian: libclang-dev)",
                )
            });
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("httpd.rs");
        bindings
            .write_to_file(&out)
            .unwrap_or_else(|error| fail(&format!("{}: {error}", out.display()), "make room or mend the permissions"));
    }

    /// Preprocessor flags of the httpd that `apxs` belongs to. No httpd ships a pkg-config file.
    fn httpd_flags() -> Vec<String> {
        let mut flags: Vec<String> =
            ["INCLUDEDIR", "APR_INCLUDEDIR", "APU_INCLUDEDIR"].iter().map(|name| format!("-I{}", apxs(name))).collect();
        flags.extend(apxs("EXTRA_CPPFLAGS").split_whitespace().map(str::to_owned));
        flags.dedup();
        flags
    }

    fn apxs(variable: &str) -> String {
        let program = env::var("APXS").unwrap_or_else(|_| "apxs".into());
        match Command::new(&program).args(["-q", variable]).output() {
            Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            Ok(output) => fail(
                &format!("'{program} -q {variable}' failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
                "set APXS to the apxs of your httpd",
            ),
            Err(error) => fail(
                &format!("cannot run '{program}': {error}"),
                "install httpd's development package (Debian: apache2-dev; Fedora: httpd-devel), or set APXS to the apxs of your httpd",
            ),
        }
    }

    fn fail(what: &str, remedy: &str) -> ! {
        println!("cargo::error={what}");
        println!("cargo::error={remedy}");
        std::process::exit(1)
    }
}
