//! Configurations that are refused, and in which words.

use crate::support::{Mpm, Setup};

/// What httpd says of a configuration with the stock module and with ours: whether it is well, and why not.
fn said_of(conf: &str) -> [(bool, String); 2] {
    [true, false].map(|stock| {
        let setup = Setup::new(Mpm::Event).module("proxy").conf(conf);
        let setup = if stock { setup.stock() } else { setup };
        let (well, said) = setup.configtest();
        // "takes one argument, help": the help tells of stores of ours too.
        let words = said.lines().map(|line| line.split_once(" argument, ").map_or(line, |(words, _)| words));
        (well, words.collect::<Vec<_>>().join("\n").replace(&*setup.root().to_string_lossy(), "@ROOT@"))
    })
}

#[test]
fn directives_stand_where_they_stand_with_the_stock_module() {
    let lines = [
        "Session On",
        "SessionMaxAge 5",
        "SessionHeader X-Session",
        "SessionEnv On",
        "SessionInclude /a",
        "SessionExclude /a",
        "SessionExpiryUpdateInterval 5",
    ];
    for place in ["<Files x>", "<If true>", "<Limit GET>", "<Proxy *>"] {
        let end = place.split([' ', '>']).next().map(|name| name.replace('<', "</")).expect("a name");
        for line in lines {
            let [stock, ours] = said_of(&format!("{place}\n{line}\n{end}>"));
            assert_eq!(ours, stock, "{line} in {place}");
        }
    }
    assert!(said_of("<Files x>\nSession On\n</Files>")[0].0);
}

#[test]
fn wrong_arguments_are_refused_in_the_words_of_the_stock_module() {
    for line in [
        "Session",
        "Session Maybe",
        "SessionMaxAge",
        "SessionMaxAge 1 2",
        "SessionHeader",
        "SessionHeader a b",
        "SessionHeader \"\"",
        "SessionEnv",
        "SessionEnv 1",
        "SessionInclude",
        "SessionInclude /a /b",
        "SessionExclude",
        "SessionExclude /a /b",
        "SessionExpiryUpdateInterval",
        "SessionExpiryUpdateInterval 1 2",
        "SessionExpiryUpdateInterval -1",
    ] {
        let [(stock_takes, stock), (ours_takes, ours)] = said_of(line);
        assert!(!stock_takes && !ours_takes, "{line}");
        // Ours may add which value it was.
        assert!(ours.starts_with(&stock), "{line}: stock: {stock}\nours: {ours}");
    }
}

/// As docs/differences.md says.
#[test]
fn what_is_no_number_of_seconds_is_refused_although_the_stock_module_takes_it() {
    for directive in ["SessionMaxAge", "SessionExpiryUpdateInterval"] {
        for value in ["x", "300x"] {
            let [stock, ours] = said_of(&format!("{directive} {value}"));
            assert!(stock.0, "{stock:?}");
            assert!(!ours.0 && ours.1.contains(&format!("'{value}'")), "{ours:?}");
        }
        for value in ["0", "300", "315360000", "999999999"] {
            assert_eq!(said_of(&format!("{directive} {value}")).map(|said| said.0), [true, true], "{directive} {value}");
        }
    }
    assert_eq!(said_of("SessionMaxAge -5").map(|said| said.0), [true, true]);
}
