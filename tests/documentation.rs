//! The texts tell the truth: directives with their contexts and defaults, guarantees with the tests that show them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Httpd, Mpm};

/// What is said of a directive.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    syntax: String,
    default: String,
    context: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn plain(text: &str) -> String {
    text.replace('`', "").trim().to_owned()
}

/// `### Name`, then `* Syntax:`, `* Default:`, `* Context:`.
fn readme() -> BTreeMap<String, Said> {
    let text = read("README.md");
    let section = text.split("\n## Directives\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("## Directives");
    let entry = |entry: &str| {
        let field = |name: &str| plain(entry.lines().find_map(|line| line.strip_prefix(&format!("* {name}: "))).expect(name));
        let name = entry.lines().next().unwrap().trim().to_owned();
        (name, Said { syntax: field("Syntax"), default: field("Default"), context: field("Context") })
    };
    section.split("\n### ").skip(1).map(entry).collect()
}

/// `# Name arguments`, then `# Context:`, `# Default:`.
fn reference() -> BTreeMap<String, Said> {
    let text = read("apache-conf/reference.conf");
    let lines: Vec<_> = text.lines().collect();
    let entry = |three: &[&str]| {
        let context = three[1].strip_prefix("# Context: ")?;
        let default = three[2].strip_prefix("# Default: ")?;
        let syntax = three[0].strip_prefix("# ")?;
        let name = syntax.split(' ').next()?.to_owned();
        Some((name, Said { syntax: plain(syntax), default: plain(default), context: plain(context) }))
    };
    lines.windows(3).filter_map(entry).collect()
}

/// A manual page without its fonts and escapes.
fn manual(path: &str) -> String {
    let text = read(path);
    [("\\fB", ""), ("\\fI", ""), ("\\fR", ""), ("\\&", ""), ("\\-", "-"), ("\\(dq", "\"")]
        .iter()
        .fold(text, |text, (roff, plain)| text.replace(roff, plain))
}

/// What stands under a heading of a manual page.
fn under<'t>(text: &'t str, heading: &str) -> &'t str {
    let rest = text.split(&format!("\n.SH {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n.SH ").next().unwrap_or(rest)
}

/// `.SS Name`, then lines that begin with `Syntax: `, `Default: `, `Context: `.
fn manual_of_the_module() -> BTreeMap<String, Said> {
    let text = manual("man/mod_session_rs.8");
    let entry = |entry: &str| {
        let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect(name).to_owned();
        let name = entry.lines().next().unwrap().to_owned();
        (name, Said { syntax: field("Syntax"), default: field("Default"), context: field("Context") })
    };
    under(&text, "DIRECTIVES").split("\n.SS ").skip(1).map(entry).collect()
}

/// What httpd lists for the module: name and whether `.htaccess` may say it.
fn of_httpd() -> BTreeMap<String, bool> {
    let httpd = Httpd::start(Mpm::Prefork, "");
    let installed = support::apxs::Installed::get();
    let conf = httpd.root().join("httpd.conf");
    let listed = Command::new(&installed.program).arg("-d").arg(httpd.root()).arg("-f").arg(conf).arg("-L").output().expect("httpd -L");
    let text = String::from_utf8_lossy(&listed.stdout).replace("\n\t", " ");
    let ours = text.lines().filter_map(|line| line.split_once(" (mod_session.c)"));
    ours.map(|(name, rest)| (name.to_owned(), rest.contains(".htaccess"))).collect()
}

#[test]
fn readme_reference_conf_and_manual_name_the_directives_of_the_code_with_their_contexts() {
    let code = of_httpd();
    assert!(code.len() > 15, "{code:?}");
    for (place, said) in [("README.md", readme()), ("reference.conf", reference()), ("mod_session_rs(8)", manual_of_the_module())] {
        let contexts: BTreeMap<_, _> = said.iter().map(|(name, said)| (name.clone(), said.context.ends_with(", .htaccess"))).collect();
        assert_eq!(contexts, code, "{place}");
        let known = |said: &Said| said.context == "server" || said.context.starts_with("server, virtual host, directory");
        assert!(said.values().all(known), "{place}");
    }
    assert_eq!(readme(), reference(), "syntax, default, context");
    assert_eq!(readme(), manual_of_the_module(), "syntax, default, context");
}

/// A server that is told every literal default behaves as one that is told nothing.
#[test]
fn documented_defaults_are_those_of_the_code() {
    let described = ["Session", "SessionStore", "SessionScope", "SessionTouchInterval"]; // their default is a sentence
    let stock = ["SessionMaxAge", "SessionExpiryUpdateInterval"]; // 0 is "none" for the stock stores only
    let said = readme();
    let literal = said.iter().filter(|(name, said)| said.default != "none" && !described.contains(&&***name) && !stock.contains(&&***name));
    let lines: Vec<_> = literal.map(|(name, said)| format!("{name} {}", said.default)).collect();
    assert!(lines.len() >= 8, "{lines:#?}");
    let behaviour = |conf: &str| {
        let httpd = Httpd::with(Mpm::Prefork).conf(conf).start();
        let mut client = httpd.client();
        let response = client.get("/capi?open=create&set_int=n:1&timeout&id");
        let id = response.line("id").to_owned();
        let cookies: Vec<_> = response.set_cookies().iter().map(|cookie| cookie.replace(&id, "ID")).collect();
        let notes = client.get("/notes?all").text().lines().count();
        (response.line("timeout").to_owned(), cookies, notes)
    };
    assert_eq!(behaviour("SessionDir @DIR@"), behaviour(&format!("SessionDir @DIR@\n{}", lines.join("\n"))), "{lines:#?}");
}

#[test]
fn reference_conf_is_accepted_as_it_is_and_with_every_line_in_use() {
    let text = read("apache-conf/reference.conf");
    let (accepted, said) = Httpd::configtest(&text);
    assert!(accepted, "{said}");
    let in_use: String = text
        .lines()
        .map(|line| if line.starts_with("#Session") { &line[1..] } else { line })
        .fold(String::new(), |all, line| all + line + "\n");
    assert!(in_use.lines().filter(|line| line.starts_with("Session")).count() >= 25);
    let in_use = in_use.replace("/var/lib/apache2/sessions", "@DIR@");
    let (accepted, said) = Httpd::configtest(&in_use);
    assert!(accepted, "{said}");
}

#[test]
fn the_configuration_that_is_installed_changes_nothing_until_a_line_of_it_is_used() {
    let text = read("apache-conf/session-rs.conf").replace("/var/lib/apache2/sessions", "@DIR@");
    let httpd = Httpd::start(Mpm::Prefork, &text);
    assert!(httpd.get("/notes?incr=session.n").set_cookies().is_empty());
    let in_use = text.replace("#SessionDir", "SessionDir").replace("#SessionTimeout", "SessionTimeout");
    let in_use = in_use.replace("#<", "<").replace("#    ", "    ");
    let httpd = Httpd::start(Mpm::Prefork, &in_use);
    assert_eq!(httpd.get("/notes?incr=session.n").set_cookies().len(), 1);
}

/// The names before an explanation: `-f`, `--format` of `-f, --format <FORMAT>`.
fn names(line: &str) -> impl Iterator<Item = String> {
    line.trim().split(", ").filter_map(|name| name.split(' ').next()).map(str::to_owned)
}

/// What `--help` lists under a heading.
fn helped(help: &str, heading: &str) -> BTreeSet<String> {
    let rest = help.split(&format!("{heading}:\n")).nth(1).unwrap_or_else(|| panic!("no {heading}: {help}"));
    let lines = rest.lines().take_while(|line| !line.is_empty());
    lines.flat_map(|line| names(line.trim().split("  ").next().unwrap_or_default())).collect()
}

/// What a manual page describes under a heading: the line behind each `.TP`.
fn described(text: &str, heading: &str) -> BTreeSet<String> {
    under(text, heading).split(".TP\n").skip(1).flat_map(|entry| names(entry.lines().next().unwrap_or_default())).collect()
}

#[test]
fn the_manual_of_htsession_has_each_of_its_commands_and_options() {
    let said = Command::new(env!("CARGO_BIN_EXE_htsession")).arg("--help").output().expect("htsession");
    let (help, text) = (String::from_utf8_lossy(&said.stdout).into_owned(), manual("man/htsession.1"));
    assert!(helped(&help, "Commands").contains("adjust-time") && helped(&help, "Options").contains("--dir"), "{help}");
    assert_eq!(described(&text, "COMMANDS"), helped(&help, "Commands"));
    assert_eq!(described(&text, "OPTIONS"), helped(&help, "Options"));
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&entry).unwrap());
        }
    }
}

/// All that tests may be in.
fn code() -> String {
    let mut code = String::new();
    for folder in ["src", "tests"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut code);
    }
    code
}

/// Fails if a text names no test, or one that does not exist.
fn names_tests(text: &str, code: &str) {
    let names: Vec<_> = text.split('`').skip(1).step_by(2).collect();
    assert!(!names.is_empty(), "no test: {text}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "there is no test {name}: {text}");
    }
}

#[test]
fn every_guarantee_names_a_test_that_exists() {
    let text = read("README.md");
    let section = text.split("\n## Guarantees\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("## Guarantees");
    let code = code();
    let guarantees: Vec<_> = section.lines().filter(|line| line.starts_with("* ")).collect();
    assert!(guarantees.len() >= 15);
    guarantees.into_iter().for_each(|guarantee| names_tests(guarantee, &code));
}

fn cells(row: &str) -> Vec<&str> {
    let inside = row.strip_prefix('|').and_then(|row| row.strip_suffix('|')).unwrap_or_else(|| panic!("not a row: {row}"));
    inside.split('|').map(str::trim).collect()
}

#[test]
fn every_row_of_the_ancestors_names_tests_that_exist() {
    let text = read("docs/ancestors.md");
    let (code, lines) = (code(), text.lines().collect::<Vec<_>>());
    let mut rows = 0;
    for table in lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|')).filter(|lines| lines[0].starts_with('|')) {
        let head = cells(table[0]);
        let tests = head.iter().position(|name| *name == "test").unwrap_or_else(|| panic!("no column of tests: {}", table[0]));
        for row in &table[2..] {
            let cells = cells(row);
            assert!(cells.len() == head.len() && cells.iter().all(|cell| !cell.is_empty()), "not filled: {row}");
            names_tests(cells[tests], &code);
            rows += 1;
        }
    }
    assert!(rows >= 300, "{rows} rows");
    (1..=30).for_each(|number| assert!(text.contains(&format!("\n| W{number} ")), "W{number} is missing"));
}
