//! What a session can hold.

use crate::runner::cases;
use crate::subject::Subject;

cases![
    D1 Http a_value_of_every_type_comes_back_as_it_was,
    D2 Http what_is_too_large_is_refused_and_the_old_data_stay,
    D3 Http a_key_that_is_none_is_refused_and_the_longest_one_is_not,
    D8 Http what_was_unset_is_not_empty_and_what_is_empty_is_there,
];

fn a_value_of_every_type_comes_back_as_it_was(subject: &Subject) {
    let server = subject.server("");
    let mut visitor = server.visitor();
    let every_byte: String = (0..=255).map(|byte| format!("{byte:02x}")).collect();
    let (text, bytes) = (format!("text=v:{}", "41".repeat(3000)), format!("bytes=v:{every_byte}"));
    for (words, shown) in [
        ("null=v", "null"),
        ("bool=v:1", "bool 1"),
        ("bool=v:0", "bool 0"),
        ("int=v:0", "int 0"),
        ("int=v:-1", "int -1"),
        ("int=v:9223372036854775807", "int 9223372036854775807"),
        ("int=v:-9223372036854775808", "int -9223372036854775808"),
        ("float=v:0.5", "float 0.5"),
        ("float=v:-2.25", "float -2.25"),
        ("float=v:1.2676506002282294e%2B30", "float 1.2676506002282294e%2B30"),
        ("text=v:", "text "),
        ("text=v:61", "text 61"),
        ("text=v:610062", "text 610062"), // a NUL in it
        ("text=v:0a0d09", "text 0a0d09"),
        ("text=v:c3a9e4bc9af09f9982", "text c3a9e4bc9af09f9982"), // two, three and four bytes of UTF-8
        (&text, &text.replacen("=v:", " ", 1)),
        ("bytes=v:", "bytes "),
        ("bytes=v:00", "bytes 00"),
        ("bytes=v:fffe00c3", "bytes fffe00c3"),
        (&bytes, &bytes.replacen("=v:", " ", 1)),
        ("list=v:a,b,c", "list a,b,c"),
        ("list=v:", "list "),
        ("map=v:a=1,b=2", "map a=1,b=2"),
    ] {
        let response = visitor.ask(&format!("{words}&show=v"));
        let shown = shown.replace("%2B", "+");
        assert_eq!((response.lines(words.split('=').next().unwrap()), response.line("show")), (vec!["ok"], &*shown), "{words}: at once");
        assert_eq!(visitor.says("look&show=v"), shown, "{words}: in another request");
    }
    for size in [0, 1, 991, 992, 993, 4096, 8192, 65_536, 1_000_000, 10] {
        assert_eq!(visitor.says(&format!("fill=v:{size}&save")), "ok");
        assert_eq!(visitor.says("look&size=v"), size.to_string());
    }
}

fn what_is_too_large_is_refused_and_the_old_data_stay(subject: &Subject) {
    let server = subject.server_that_logs("", &["SessionMaxSize"]);
    let mut member = server.member();
    let before = member.says("set=m:2&all");
    let response = member.ask("fill=big:2000000&save");
    assert_eq!(response.line("fill"), "!too-large");
    assert_eq!(member.says("look&all"), before);
    assert_eq!(member.says("fill=big:600000&save"), "ok");
    // Each would fit, but not both: refused when it is set, or when it is stored.
    let response = member.ask("fill=more:600000&save");
    assert!(response.line("fill") == "!too-large" || response.line("save") == "!too-large", "{}", response.text());
    let facts = member.ask("look&size=big&get=more&get=n");
    assert_eq!((facts.line("size"), facts.lines("get")), ("600000", vec!["-", "1"]));
    if subject.is_ours() {
        let server = subject.server_that_logs("SessionMaxSize 1K", &["SessionMaxSize"]);
        let mut visitor = server.visitor();
        assert_eq!(visitor.ask("fill=v:2000&save").set_cookies().len(), 0, "nothing is stored, no cookie sent");
        assert_eq!(visitor.says("fill=v:900&save"), "ok");
        assert_eq!(visitor.says("look&size=v"), "900");
    }
}

fn a_key_that_is_none_is_refused_and_the_longest_one_is_not(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    let (longest, too_long) = ("k".repeat(128), "k".repeat(129));
    for key in ["", &too_long, "a%0ab", "%01", "%7f", "%ff%fe", "a%c2%80"] {
        assert_eq!(member.says(&format!("set={key}:1")), "!bad-key", "{key}");
    }
    assert_eq!(member.says("set=N:2"), "!bad-key", "there is n already");
    assert_eq!(member.says("look&all"), "n=1");
    for key in [&*longest, "%c3%a9", "a%20b", "a=b", "session", "%3cscript%3e", "../../x"] {
        assert_eq!(member.says(&format!("set={key}:1")), "ok", "{key}");
        assert_eq!(member.value(key), "1", "{key}");
    }
}

fn what_was_unset_is_not_empty_and_what_is_empty_is_there(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    assert_eq!((member.says("set=v:"), member.value("v"), member.says("look&show=v")), ("ok".into(), "".into(), "text ".into()));
    assert_eq!(member.says("look&all"), "n=1 v=");
    assert_eq!((member.says("unset=v"), member.value("v"), member.says("look&show=v")), ("ok".into(), "-".into(), "-".into()));
    assert_eq!(member.says("unset=v"), "ok", "what is not there can be unset");
    assert_eq!(member.says("set=v:1&unset=v&get=v"), "-");
    assert_eq!(member.says("unset=v&set=v:2&get=v"), "2");
    assert_eq!((member.value("v"), member.says("clear&set=m:3&all"), member.says("look&all")), ("2".into(), "m=3".into(), "m=3".into()));
}
