//! All modules of httpd's that can be loaded together: with ours among them, httpd says what it says with the stock mod_session.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::apxs::{self, Installed};
use support::{Httpd, Mpm, Setup};

/// Where Debian keeps a `.load` and a `.conf` for each module.
const AVAILABLE: &str = "/etc/apache2/mods-available";

const VISITS: &str = "function handle(r)
    r.notes['session.visits'] = (tonumber(r.notes['session.visits']) or 0) + 1
    r:puts(r.notes['session.visits'], '\\n')
    return apache2.OK
end
";

/// Where mod_session is loaded.
#[derive(Clone, Copy, PartialEq)]
enum Arrangement {
    Stock,
    /// Ours in its place.
    InPlace,
    /// Ours before it, as where our package is installed and Debian's `session.load` is still there.
    Before,
    /// Ours in its place, and sessions.
    WithSessions,
}

use Arrangement::{Before, InPlace, Stock, WithSessions};

/// Names and lines that load, in the order in which Debian loads them. One MPM only can be loaded.
fn loads() -> Vec<(String, String)> {
    let mut loads: Vec<(String, String)> = match fs::read_dir(AVAILABLE) {
        Ok(entries) if Path::new(AVAILABLE).join("mpm_event.load").exists() => {
            let files = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "load"));
            let read = |path: &Path| fs::read_to_string(path).expect("a file of mods-available");
            files.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), read(&path))).collect()
        }
        // httpd is there without Debian's configuration, or with that of PHP alone.
        _ => {
            let modules = Installed::get().file_of("session");
            let files = fs::read_dir(modules.parent().expect("a directory")).expect("the modules").flatten();
            let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_prefix("mod_")?.strip_suffix(".so")?.to_owned()));
            names.map(|name| (format!("{name}.load"), Installed::get().load_line(&name))).collect()
        }
    };
    // What else is installed, PHP say, is not httpd's.
    if let Ok(files) = Command::new("dpkg").args(["-L", "apache2-bin"]).output() {
        let files = String::from_utf8_lossy(&files.stdout).into_owned();
        let modules: Vec<_> = files.lines().filter(|file| file.ends_with(".so")).collect();
        loads.retain(|(_, lines)| modules.is_empty() || lines.split_whitespace().any(|word| modules.contains(&word.trim_matches('"'))));
    }
    loads.retain(|(name, _)| !name.starts_with("mpm_") || name == "mpm_event.load");
    loads.sort();
    loads
}

fn conf(arrangement: Arrangement) -> String {
    let ours = apxs::load_line("session", &apxs::module_under_test());
    let mut text =
        "Define APACHE_RUN_DIR \"@ROOT@/run\"\nDefine APACHE_LOCK_DIR \"@ROOT@/run\"\nDefine APACHE_LOG_DIR \"@ROOT@\"\n".to_owned();
    text += "ServerRoot \"@ROOT@\"\nServerName localhost\nListen 127.0.0.1:@PORT@\nPidFile \"@ROOT@/httpd.pid\"\nDefaultRuntimeDir \"@ROOT@/run\"\n\
             ErrorLog \"@ROOT@/error.log\"\nMutex pthread default\nDocumentRoot \"@ROOT@/htdocs\"\n";
    for (name, lines) in loads() {
        text += &match (&*name, arrangement) {
            ("session.load", InPlace | WithSessions) => ours.clone(),
            ("session.load", Before) => format!("{ours}{lines}"),
            _ => lines,
        };
        let settings = Path::new(AVAILABLE).join(name.replace(".load", ".conf"));
        text += &fs::read_to_string(settings).unwrap_or_default();
        text += "\n";
    }
    if rustix::process::geteuid().is_root() {
        text += "User www-data\nGroup www-data\n";
    }
    text += "TypesConfig /dev/null\nAddHandler lua-script .lua\n";
    if arrangement == WithSessions {
        text += "SessionDir @DIR@\n";
    }
    text
}

fn setup(arrangement: Arrangement) -> Setup {
    Httpd::with(Mpm::Event)
        .instead(&conf(arrangement))
        .file("htdocs/index.html", "a page\n")
        .file("htdocs/visits.lua", VISITS)
        .file("run/socks/about", "mod_cgid wants the directory\n")
        // These tests compare all that is logged.
        .expect_log("[")
}

/// Lines without what differs between any two rooms, processes and moments.
fn normal(text: &str, root: &Path) -> Vec<String> {
    let text = text.replace(&*root.to_string_lossy(), "@ROOT@");
    let line = |line: &str| {
        // "[date] [module:level] [pid n:tid n] text"
        let fields = line.strip_prefix('[').and_then(|rest| rest.split_once("] [")?.1.split_once("] [pid "));
        let (source, rest) = fields.map_or(("", line), |(source, rest)| (source, rest.split_once("] ").map_or("", |(_, rest)| rest)));
        let words = rest.split(' ').map(|word| if word.starts_with("AH") { word.to_owned() } else { without_numbers(word) });
        format!("{source} {}", words.collect::<Vec<_>>().join(" "))
    };
    text.lines().map(line).collect()
}

fn without_numbers(word: &str) -> String {
    let parts: Vec<_> = word.split(|c: char| c.is_ascii_digit()).collect();
    parts.join("0").replace("00", "0")
}

/// What httpd says of a configuration, each line as often as it is said.
fn asked(arrangement: Arrangement, option: &str) -> Vec<String> {
    let setup = setup(arrangement);
    let (well, said) = setup.asked(option);
    assert!(well, "{option}: {said}");
    expected_of(arrangement, normal(&said, setup.root()))
}

/// Takes out of what was said what must be there more than with the stock module.
fn expected_of(arrangement: Arrangement, mut lines: Vec<String>) -> Vec<String> {
    let skipped = |line: &String| line == "so:warn AH01574: module session_module is already loaded, skipping";
    assert_eq!(lines.iter().any(skipped), arrangement == Before, "{lines:#?}");
    lines.retain(|line| !skipped(line) && line != " Mutex session-pool: using_defaults");
    lines.sort();
    lines
}

/// The directives that httpd lists: name and module, the help, and where they are allowed.
fn directives(arrangement: Arrangement) -> Vec<(String, String, String)> {
    let (well, said) = setup(arrangement).asked("-L");
    assert!(well, "{said}");
    let text = said.replace("\n\t", "\t");
    let parts = |line: &str| {
        let mut parts = line.splitn(3, '\t').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    text.lines().filter_map(parts).collect()
}

#[test]
fn most_modules_of_httpd_are_loaded() {
    let modules = asked(Stock, "-M");
    for name in ["session", "session_cookie", "session_crypto", "session_dbd", "auth_form", "ssl", "dav", "lua", "md"] {
        assert!(modules.iter().any(|line| line.contains(&format!(" {name}_module "))), "{name} in {modules:#?}");
    }
    assert!(modules.len() > 100, "{modules:#?}");
}

#[test]
fn httpd_says_of_a_configuration_with_ours_what_it_says_with_the_stock_module() {
    for option in ["-t", "-S", "-M"] {
        let stock = asked(Stock, option);
        for arrangement in [InPlace, Before, WithSessions] {
            assert_eq!(asked(arrangement, option), stock, "{option}");
        }
    }
}

#[test]
fn the_directives_of_all_modules_are_there_and_allowed_where_they_were() {
    let of_ours = |place: &str| place.ends_with(" (mod_session.c)");
    let stock = directives(Stock);
    assert!(stock.len() > 500, "{}", stock.len());
    let ours = directives(InPlace);
    for (name, help, allowed) in &stock {
        let found = ours.iter().find(|(other, ..)| other == name).unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(found.2, *allowed, "{name}");
        assert!(of_ours(name) || found.1 == *help, "{name}");
    }
    let more = ours.iter().filter(|(name, ..)| !stock.iter().any(|(other, ..)| other == name));
    assert!(more.clone().count() > 15 && more.clone().all(|(name, ..)| of_ours(name)), "{:?}", more.collect::<Vec<_>>());
}

/// What a server logs from its start over a graceful restart to its stop, and says beside that.
fn logged(arrangement: Arrangement) -> Vec<String> {
    let mut httpd = setup(arrangement).start();
    let mut client = httpd.client();
    for visit in 1..=2 {
        assert_eq!(client.get("/index.html").text(), "a page\n");
        let seen = if arrangement == WithSessions { visit } else { 1 };
        assert_eq!(client.get("/visits.lua").text(), format!("{seen}\n"));
        if visit == 1 {
            httpd.graceful();
        }
    }
    httpd.stop();
    let output = fs::read_to_string(httpd.root().join("output.log")).expect("what httpd said");
    let mut lines = normal(&(httpd.error_log() + &output), httpd.root());
    if arrangement == WithSessions {
        lines.retain(|line| !line.contains("lies below a temporary directory"));
    }
    expected_of(arrangement, lines)
}

#[test]
fn a_server_with_all_modules_starts_restarts_and_stops_as_with_the_stock_module() {
    let stock = logged(Stock);
    assert!(stock.iter().any(|line| line.contains("caught SIGTERM")), "{stock:#?}");
    for arrangement in [InPlace, Before, WithSessions] {
        assert_eq!(logged(arrangement), stock);
    }
}
