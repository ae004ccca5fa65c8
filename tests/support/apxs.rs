//! The httpd that is installed, and the C handlers of tests/c built for it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

/// The handlers of tests/c: file `mod_<name>.c`, module `<name>_module`.
pub const HANDLERS: [&str; 6] = ["capi", "stockapi", "notesapi", "floor", "count", "conform"];

/// Built with them, and loaded where a test asks for it.
const ON_DEMAND: [&str; 7] = ["doors", "ruid2", "ownstore", "resource", "exprnow", "meter", STRANGER];

/// Sees httpd's headers alone, as a module that others wrote.
const STRANGER: &str = "stockonly";

pub struct Installed {
    pub program: PathBuf,
    modules: PathBuf,
    /// Source names of the modules linked into the program: `mod_so.c`, `event.c`.
    linked: Vec<String>,
}

impl Installed {
    pub fn get() -> &'static Installed {
        static INSTALLED: OnceLock<Installed> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let answer = run(apxs().args(["-q", "SBINDIR", "PROGNAME", "LIBEXECDIR"]));
            let [directory, name, modules] = answer.trim().split(";;").collect::<Vec<_>>()[..] else {
                panic!("apxs -q answered {answer:?}");
            };
            let program = Path::new(directory).join(name);
            let linked = run(Command::new(&program).arg("-l"));
            Installed { program, modules: modules.into(), linked: linked.lines().map(|line| line.trim().to_owned()).collect() }
        })
    }

    /// Whether there is a module of httpd's own.
    pub fn has(&self, name: &str) -> bool {
        self.linked.contains(&format!("mod_{name}.c")) || self.file_of(name).exists()
    }

    /// The line that loads a module of httpd's own; empty for one that is linked in, which httpd refuses to load again.
    pub fn load_line(&self, name: &str) -> String {
        let source = name.strip_prefix("mpm_").map_or(format!("mod_{name}.c"), |mpm| format!("{mpm}.c"));
        if self.linked.contains(&source) {
            return String::new();
        }
        load_line(name, &self.file_of(name))
    }

    pub fn file_of(&self, name: &str) -> PathBuf {
        self.modules.join(format!("mod_{name}.so"))
    }
}

pub fn load_line(name: &str, file: &Path) -> String {
    format!("LoadModule {name}_module \"{}\"\n", file.display())
}

/// The module under test: what `MSRS_MODULE` names, else the cdylib that cargo put beside this test.
pub fn module_under_test() -> PathBuf {
    if let Some(path) = env::var_os("MSRS_MODULE") {
        return path.into();
    }
    let test = env::current_exe().expect("the path of this test");
    let built = test.with_file_name("libmod_session_rs.so");
    assert!(built.exists(), "{} is missing: it comes with the lib target of `cargo test`", built.display());
    built
}

/// Where the built handlers are; builds those that are older than their sources, once for each test process.
pub fn handlers() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
        let directory = target.join("tests-c");
        fs::create_dir_all(&directory).expect("target/tests-c");
        // cargo test runs one process after another, but nobody keeps two cargo tests from running at once.
        let lock = File::create(directory.join("lock")).expect("target/tests-c/lock");
        flock(&lock, FlockOperation::LockExclusive).expect("a lock on target/tests-c/lock");
        for name in HANDLERS.into_iter().chain(ON_DEMAND) {
            build("tests/c", name, &directory, None);
        }
        directory.join(".libs")
    })
}

/// Builds a module of benches/c, which may need a library, and answers its file.
pub fn of_benches(name: &str, library: Option<&str>) -> PathBuf {
    let built = handlers();
    build("benches/c", name, built.parent().expect("a directory of what is built"), library);
    built.join(format!("mod_{name}.so"))
}

/// Builds a library of tests/c that is to be loaded before all others.
pub fn preload(name: &str, directory: &Path) -> PathBuf {
    let product = directory.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.c"));
    let compiler = run(apxs().args(["-q", "CC"]));
    run(Command::new(compiler.trim()).args(["-shared", "-fPIC", "-o"]).args([&product, &source]));
    product
}

/// apxs leaves its products beside the source, so it is given a copy.
fn build(folder: &str, name: &str, directory: &Path, library: Option<&str>) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sources, headers) = (package.join("tests/c"), package.join("c_shim"));
    let file = format!("mod_{name}.c");
    let source = package.join(folder).join(&file);
    let product = directory.join(format!(".libs/mod_{name}.so"));
    let included = [sources.join("ops.h"), sources.join("types.h"), sources.join("floor.h"), headers.join("session_api.h")];
    let newest = included.iter().chain([&source]).map(|path| modified(path)).max();
    if modified(&product) > newest.flatten() {
        return;
    }
    fs::copy(&source, directory.join(&file)).expect("a copy of the source");
    let ours = if name == STRANGER { Vec::new() } else { vec![format!("-I{}", headers.display()), format!("-I{}", sources.display())] };
    run(apxs()
        .current_dir(directory)
        .args(["-c", "-Wc,-Wall", "-Wc,-Wextra", "-Wc,-Werror", "-Wc,-Wno-unused-parameter"])
        .args(ours)
        .arg(&file)
        .args(library.map(|library| format!("-l{library}"))));
}

pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn apxs() -> Command {
    Command::new(env::var_os("APXS").unwrap_or_else(|| "apxs".into()))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (is apache2-dev installed?)"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
