use super::*;
use crate::session::Value;

fn values(pairs: &[(&str, Value)]) -> Values {
    let mut values = Values::default();
    for (key, value) in pairs {
        values.set(key, value.clone());
    }
    values
}

fn edits(mirror: &mut Mirror, entries: &[(&str, &str)]) -> Vec<Edit> {
    let entries: Vec<_> = entries.iter().map(|(key, plain)| (key.as_bytes(), plain.as_bytes())).collect();
    mirror.edits(&entries)
}

fn set(key: &str, plain: &str) -> Edit {
    Edit::Set(key.into(), plain.into())
}

#[test]
fn every_type_has_its_plain_form_and_secrets_have_none() {
    let all = values(&[
        ("text", Value::Text("a b".into())),
        ("yes", Value::Bool(true)),
        ("n", Value::Int(-5)),
        ("f", Value::Float(1.5)),
        ("list", Value::List(vec![Value::Int(1), Value::Text("x".into())])),
        ("bytes", Value::Bytes(vec![0xff])),
        ("nothing", Value::Null),
        ("nul", Value::Text("a\0b".into())),
        ("realm-PW", Value::Text("secret".into())),
        ("long", Value::Text("x".repeat(8193))),
    ]);
    let shown = |detail| Mirror::of(&all, detail).entries().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect::<Vec<_>>();
    assert_eq!(shown(Detail::Public), ["bytes", "f", "list", "n", "text", "yes"]);
    assert_eq!(shown(Detail::NoPasswords), ["bytes", "f", "list", "long", "n", "text", "yes"]);
    assert_eq!(shown(Detail::All), ["bytes", "f", "list", "long", "n", "realm-PW", "text", "yes"]);
    for (key, _) in all.iter() {
        let shown = shown(Detail::Public).iter().any(|known| known == key);
        assert_eq!(Detail::Public.text(&all, &key.to_uppercase()).is_some(), shown, "{key}");
    }
    let mirror = Mirror::of(&all, Detail::Public);
    let plain: Vec<_> = mirror.entries().map(|(_, plain)| plain).collect();
    assert_eq!(plain, [&b"\xff"[..], b"1.5", b"[1,\"x\"]", b"-5", b"a b", b"1"]);
}

#[test]
fn only_what_was_touched_is_an_edit() {
    let mut mirror = Mirror::of(&values(&[("a", Value::Int(1)), ("b", Value::Int(2)), ("x-pw", Value::Text("s".into()))]), Detail::Public);
    assert_eq!(edits(&mut mirror, &[("A", "1"), ("b", "3"), ("c", "new")]), [set("b", "3"), set("c", "new")]);
    assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), [Edit::Unset("c".into())]);
    assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), []);
}

#[test]
fn what_is_written_over_a_picture_of_values_is_an_edit_once() {
    let text = |text: &str| Value::Text(text.into());
    let own = values(&[("a", text("1")), ("b", Value::Int(2)), ("c-pw", text("secret")), ("d", text("4")), ("e", Value::Int(5))]);
    let mut bytes = Vec::new();
    own.write(&mut bytes);
    let (packed, _) = Values::read(&bytes.into()).unwrap();
    for mut values in [own, packed] {
        let mut mirror = Mirror::of(&values, Detail::Public);
        values.set("a", text("another request's"));
        values.remove("d");
        let untouched = [("a", "1"), ("b", "2"), ("d", "4"), ("e", "5")];
        assert_eq!(edits(&mut mirror, &untouched), [], "the picture is of what was");
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "2"), ("d", "y"), ("e", "5")]), [set("d", "y")]);
        assert_eq!(edits(&mut mirror, &[("a", "x"), ("b", "2"), ("d", "y"), ("e", "5")]), [set("a", "x")]);
        let written = [("a", "xx"), ("b", "3"), ("d", "yy"), ("e", "5")];
        assert_eq!(edits(&mut mirror, &written), [set("a", "xx"), set("b", "3"), set("d", "yy")]);
        assert_eq!(edits(&mut mirror, &written), []);
        let as_written = self::values(&written.map(|(key, plain)| (key, text(plain))));
        assert!(mirror == Mirror::of(&as_written, Detail::Public) && mirror != Mirror::of(&values, Detail::Public));
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3"), ("d", "yy"), ("e", "5")]), [set("a", "1")], "as it was at first");
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3"), ("e", "5")]), [Edit::Unset("d".into())]);
        assert_eq!(edits(&mut mirror, &[("e", "5"), ("b", "4"), ("a", "1")]), [set("b", "4")]);
    }
}

#[test]
fn of_several_entries_of_a_key_the_written_one_counts() {
    for entries in [[("a", "1"), ("a", "9")], [("a", "9"), ("a", "1")]] {
        let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &entries), [set("a", "9")]);
    }
    let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
    assert_eq!(edits(&mut mirror, &[("a", "1"), ("a", "1")]), []);
}

#[test]
fn an_entry_beside_the_written_one_is_no_write_at_the_next_look() {
    for entries in [[("a", "1"), ("A", "9")], [("a", "9"), ("A", "1")]] {
        let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &entries).len(), 1);
        assert_eq!(edits(&mut mirror, &entries), []);
        assert_eq!(edits(&mut mirror, &[("a", "1")]), [set("a", "1")], "it is alone now: somebody wrote it");
    }
    let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
    assert_eq!(edits(&mut mirror, &[("a", "9"), ("a", "1")]), [set("a", "9")]);
    assert_eq!(edits(&mut mirror, &[("a", "9")]), []);
    assert_eq!(edits(&mut mirror, &[("a", "9"), ("a", "1")]), [set("a", "1")], "it was gone, and somebody wrote it");
}
