//! Which lines of an error log a server must explain.

/// Lines that say nothing against the module.
const HARMLESS: [&str; 7] = [
    "AH00558",                          // no ServerName could be found out
    "AH03092",                          // event, stopped right after a response; also without any module of ours
    "AH00161",                          // all workers are busy: our servers are small, and to fill one is often the point (prefork)
    "AH00286",                          // ... worker
    "AH00484",                          // ... event
    "AH10159",                          // ... event, within MinSpareThreads
    "lies below a temporary directory", // true of all our servers
];

const LEVELS: [&str; 5] = [":warn]", ":error]", ":crit]", ":alert]", ":emerg]"];

/// The lines that fail a test: warnings and worse, dead children, panics, but for what is harmless or expected.
pub fn unexpected<'l>(log: &'l str, expected: &[String]) -> Vec<&'l str> {
    let explained =
        |line: &str| HARMLESS.iter().any(|code| line.contains(code)) || expected.iter().any(|part| line.contains(part.as_str()));
    log.lines().filter(|line| is_grave(line) && !explained(line)).collect()
}

fn is_grave(line: &str) -> bool {
    // "[date] [module:level] [pid ...] text": the level is looked for in its own field, as texts quote anything.
    let level = line.split(' ').find(|field| field.starts_with('[') && field.contains(':') && field.ends_with(']'));
    level.is_some_and(|field| LEVELS.iter().any(|level| field.ends_with(level)))
        || line.contains("exit signal")
        || line.contains("panicked")
}
