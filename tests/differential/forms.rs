//! Sections of mod_auth_form.

/// The ways to keep their session.
const FORMS: [(&str, &str); 6] = [
    ("form", "SessionCookieName kept path=/"),
    ("form-aged", "SessionCookieName kept path=/\nSessionMaxAge 300\nSessionCookieRemove Off"),
    ("form-dbd", "SessionDBDCookieName row path=/"),
    ("form-env", "SessionCookieName kept path=/\nSessionMaxAge 300\nSessionEnv On\nSessionExpiryUpdateInterval 100"),
    ("form-remove", "SessionCookieName kept path=/\nSessionCookieRemove On"),
    ("form-crypto", "SessionCookieName sealed path=/\nSessionCryptoPassphrase first"),
];

const FORM: &str = r#"
<Location "/@FORM@">
    Session On
    @STORE@
    AuthFormProvider file
    AuthUserFile "@ROOT@/users"
    AuthType form
    AuthName realm
    Require all granted
</Location>
<Location "/@FORM@/private">
    Require valid-user
    AuthFormLoginRequiredLocation "/@FORM@/login?from=%{REQUEST_URI}"
</Location>
<Location "/@FORM@/inline">
    Require valid-user
    ErrorDocument 401 "log in, please"
    KeptBodySize 4096
</Location>
<Location "/@FORM@/strict">
    Require valid-user
    AuthFormSize 10
</Location>
<Location "/@FORM@/basic">
    Require valid-user
    AuthFormFakeBasicAuth On
</Location>
<Location "/@FORM@/site">
    Require valid-user
    AuthFormSitePassphrase shibboleth
</Location>
<Location "/@FORM@/named">
    Require valid-user
    AuthFormUsername who
    AuthFormPassword what
    AuthFormMethod how
    AuthFormMimetype kind
    AuthFormBody text
</Location>
<Location "/@FORM@/ann">
    Require user ann
</Location>
<Location "/@FORM@/dologin">
    SetHandler form-login-handler
    Require all granted
    AuthFormLoginSuccessLocation "/@FORM@/private/s"
    AuthFormLoginRequiredLocation "/@FORM@/login"
</Location>
<Location "/@FORM@/anylogin">
    SetHandler form-login-handler
    Require all granted
</Location>
<Location "/@FORM@/logout">
    SetHandler form-logout-handler
    Require all granted
</Location>
<Location "/@FORM@/logout-to">
    SetHandler form-logout-handler
    Require all granted
    AuthFormLogoutLocation "/@FORM@/bye"
</Location>
<Location "/@FORM@/redirect">
    SetHandler form-redirect-handler
    Require all granted
    AuthFormLoginSuccessLocation "/@FORM@/private/s"
</Location>
"#;

pub fn conf() -> String {
    FORMS.iter().map(|(name, store)| FORM.replace("@FORM@", name).replace("@STORE@", store)).collect()
}
