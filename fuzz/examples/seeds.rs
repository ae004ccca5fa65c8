//! Writes inputs to begin with, as the library makes them: `cargo run --example seeds FOLDER`, with a folder for each target below it.

use std::path::Path;

use mod_session_rs::session::record::sealer;
use mod_session_rs::session::{Alias, Id, Key, Move, Record, Stored, Timestamp, Value, Values};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder");
    let targets = [("config", config()), ("cookie", cookie()), ("file", file()), ("mirror", mirror()), ("record", record())];
    for (target, seeds) in targets {
        let folder = Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn config() -> Vec<Vec<u8>> {
    let keys = ["n", "o"].map(|c| c.repeat(40));
    let mut all = texts(&[
        "sid",
        "app.sid\nPath=/app\nDomain=.example.org\nMax-Age=60\nSecure=on\nHttpOnly=off\nSameSite=None\nPartitioned",
        "__Host-sid\nPath=/\nSecure=on\nSameSite=Strict",
        "__secure-sid\nDomain=example.org\nSameSite=lax",
        "sid\nSecure=auto\nSameSite=None\nMax-Age=315360000",
        "sid\nPath=/a;b\nPath=/",
        "64M\n1024K\n65536\n1G\n-1\n+5K\n18446744073709551615M\n4096\n0",
        "8bd13a429f8a\n8BD13A429F8A\n8bd13a429f8a9efb82b57658d9e79cefa67e4bc304023e977307b29be03a3b3a",
        "ann\nann@example.org\nM\u{fc}ller\na\u{85}b\nvisits",
        &"\u{e9}".repeat(64),
        &"u".repeat(256),
        &format!("# new\n{}\r\n\n {}\n", keys[0], keys[1]),
        &format!("{}\n{}\n", keys[0], keys[0]),
        &format!("{}\nshort\n", keys[0]),
    ]);
    all.push([&[0xff; 40][..], b"\n", &[0x80; 64]].concat());
    all
}

/// The first byte: name and keys. `\x01` and the next byte: an id and who signed it.
fn cookie() -> Vec<Vec<u8>> {
    let id = "AZaz09-_AZaz09-_AZaz09-_AZaz09-_";
    let headers = [
        "sid=\x01\x01".to_owned(),
        format!("theme=dark; sid={id}; lang=de"),
        "x=1; sid=bad; sid=\x01\x01 ;sid=\"\x01\x02\"; SID=\x01\x02; xsid=\x01\x02; sid=\x01\x01, sid=\x01\x02".to_owned(),
        "s=\x01\x01\0sid=\x01\x02\0__Host-a.b_c=\x01\x03; sid2=\x01\x04".to_owned(),
        "page=1&sid=\x01\x01&s=\x01\x02;sid=\x01\x03&sid=\x01\x01".to_owned(),
        "sid=\x01\x01; sid=\x01\x11; sid=\x01\x21; sid=\x01\x31; sid=\x01\x41; sid=\x01\x51; sid=\x01\x61".to_owned(),
        format!("sid={}.mzZ74ZFcvyussrHdDRIkiQ; sid=\x01\x11; sid=\x01\x01A; sid=\x01\x02=", "A".repeat(32)),
        (0..12).map(|n| format!("sid=\x01{}; ", char::from(n))).collect(),
        "s=\x01\x51;".repeat(63) + "s=\x01\x01;s=\x01\x02",
        (0..12).map(|n| format!("s=\x01{}&", char::from(n))).collect(),
    ];
    let shapes = [0, 1, 2, 3, 4, 7, 10, 13];
    shapes.iter().flat_map(|&shape| headers.iter().map(move |header| [&[shape], header.as_bytes()].concat())).collect()
}

fn file() -> Vec<Vec<u8>> {
    let header = |capacity: u32| [&b"msrsfile\x01\0\0\0"[..], &capacity.to_le_bytes(), &[0xa5; 8]].concat();
    let head = |seq: u64, len: usize| {
        let len = u32::try_from(len).expect("a short payload");
        [&seq.to_le_bytes()[..], &77u64.to_le_bytes(), &len.to_le_bytes(), &[0; 4]].concat()
    };
    let none = vec![0; 24];
    let record = values().into_iter().nth(2).expect("a record");
    let mut all = Vec::new();
    for flags in [0, 1, 2, 4, 8, 12, 16, 32, 64, 128] {
        for capacity in [0, 16, 992, 9000] {
            let one = &record[..record.len().min(capacity as usize)];
            all.push([&[flags], &header(capacity)[..], &head(1, one.len()), &none, one].concat());
            all.push([&[flags], &header(capacity)[..], &head(2, one.len()), &head(3, 9), one, b"the newer"].concat());
        }
    }
    all.push([&[1], &b"msrsfile\x02\0\0\0"[..], &[0; 12], &none, &none].concat());
    all.push([&[0], &header(16)[..], &head(u64::MAX, 3), &head(u64::MAX, 3), b"onetwo"].concat());
    all
}

fn mirror() -> Vec<Vec<u8>> {
    texts(&[
        "\n\n=visits=1\n.\n=visits=2\n.\n-visits",
        "\nvisits=i3\nname=tann\nyes=b1\nf=f1.5\nlist=l[1,\"x\"]\nmap=o{\"a\":null}\nraw=x\u{7f}\nnothing=n\nrealm-pw=tsecret\n\n\
         =visits=4\n=name=bob\n=yes=maybe\n=f=2\n=list=[]\n=map=[]\n=raw=y\n=nothing=x\n=realm-PW=new\n.",
        "a\nvisits=i3\nrealm-pw=tsecret\n\n-realm-PW\n~visits\n.\n+VISITS=9\n.\n/\n-visits\n.",
        "\nA=i1\nb=i2\n\n=a=1\n~b\n/\n.\n+a=7\n+A=1\n.\n=b=x\n=B=y\n.\n-a\n=a=1",
        "\nn=i-5\nf=fNaN\ng=f-inf\n\n=n=9223372036854775808\n=f=nan\n=g=1e400\n.\n~f\n.",
        "a\nk=m\u{1}\nl=m\u{7f}\n\n=k=\n=l=\n==\n+=x\n=tab\t=1\n.",
        "\nshown=r12345678\nhidden=r123456789\nshort=t1\n\n=short=2\n=hidden=x\n-shown\n.",
        "\nM\u{fc}=t\u{e4}\n\n=m\u{fc}=\u{c4}\n=M\u{dc}=other\n.",
    ])
}

fn values() -> Vec<Vec<u8>> {
    let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    let all = [
        Value::Null,
        Value::Bool(true),
        Value::Int(7),
        Value::Int(i64::MIN),
        Value::Float(1.5),
        Value::Float(f64::NAN),
        Value::Text("ann".into()),
        Value::Bytes(vec![0, 0xff]),
        Value::List(vec![Value::Int(1), Value::Text("x".into()), nested(3)]),
        Value::Map(vec![("a".into(), Value::Int(1)), ("A".into(), Value::Null), ("a".into(), Value::Bool(false))]),
        nested(32),
        nested(33),
        Value::Map(vec![("deep".into(), nested(32))]),
        Value::Map(vec![("deeper".into(), nested(33))]),
    ];
    all.iter().map(|value| [&[1], &value.to_msgpack()[..]].concat()).collect()
}

fn record() -> Vec<Vec<u8>> {
    let (id, key) = (Id::from_random([1; 24]), Key([9; 32]));
    let (new_id, new_key) = (Id::from_random([2; 24]), Key([8; 32]));
    let mut all = values();
    let mut values = Values::default();
    let created = Timestamp(1_700_000_000_000_000);
    for (name, value) in [("visits", Value::Int(3)), ("user", Value::Text("ann".into())), ("raw", Value::Bytes(vec![0, 0xff]))] {
        values.set(name, value);
        for user in [None, Some("ann".to_owned())] {
            let values = values.clone();
            let record = Record { incarnation: 7, created, accessed: created, timeout: 1800, presented: true, user, values };
            all.push(record.encode());
            all.push(record.encode_sealed(&sealer(&id), &key, [3; 12]));
        }
    }
    for kind in [Move::Moved, Move::Superseded] {
        let alias = Alias::new(7, kind, (&id, &key), (&new_id, &new_key), created, [5; 12]);
        all.push(Stored::Alias(alias).encode());
    }
    all.push([&[1], new_id.expose().as_bytes()].concat());
    all.push(vec![2, 0x97]);
    all
}
