//! The table, the prost derives and onnx's descriptors agree; the scan and prost accept the same bytes.

use std::collections::BTreeMap;

use prost::Message;

use super::*;
use crate::messages::{ModelProto, SequenceProto};

/// A field as onnx describes it.
struct Described {
    tag: u32,
    name: &'static str,
    kind: &'static str,
    many: bool,
    packed: bool,
}

fn described() -> BTreeMap<&'static str, Vec<Described>> {
    let mut messages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let lines = include_str!("../../tests/onnx-fields.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        messages.entry(words[0]).or_default().push(Described {
            tag: words[1].parse().unwrap(),
            name: words[2],
            kind: words[3],
            many: words[4] == "many",
            packed: words.get(5).is_some(),
        });
    }
    messages
}

/// Schemas and their messages' names, each with the fields that lead to it from its root.
fn reachable(root: &'static Schema, name: &'static str) -> Vec<(&'static Schema, &'static str, Vec<u32>)> {
    let described = described();
    let mut found = vec![(root, name, vec![])];
    let mut next = 0;
    while let Some((schema, name, path)) = found.get(next).cloned() {
        next += 1;
        for field in &described[name] {
            let table = schema.field(field.tag).unwrap_or_else(|| panic!("{name}.{}", field.name));
            if let Kind::Message(inner) = table.kind
                && !found.iter().any(|(_, name, _)| *name == field.kind)
            {
                found.push((inner, field.kind, [&path[..], &[field.tag]].concat()));
            }
        }
    }
    found
}

#[test]
fn the_table_is_what_onnx_describes() {
    let described = described();
    let all = [reachable(&MODEL, "ModelProto"), reachable(&SEQUENCE, "SequenceProto")].concat();
    for (schema, name, _) in &all {
        assert_eq!(schema.fields.len(), described[name].len(), "{name}");
        for (field, described) in schema.fields.iter().zip(&described[name]) {
            let kind = match field.kind {
                Kind::Varint(4) if described.kind == "enum" => "enum",
                Kind::Varint(4) => "int32",
                Kind::Varint(_) if described.kind == "uint64" => "uint64",
                Kind::Varint(_) => "int64",
                Kind::Fixed32 => "float",
                Kind::Fixed64 => "double",
                Kind::Text => "string",
                Kind::Bytes if field.name == "doc_string" => "string",
                Kind::Bytes => "bytes",
                Kind::Message(_) => described.kind,
            };
            let expected = (described.tag, described.name, described.kind, described.many);
            assert_eq!((field.tag, field.name, kind, field.many), expected, "{name}");
        }
    }
    assert!(described.keys().all(|name| all.iter().any(|(_, found, _)| found == name)));
}

/// One field with a value that is not the default. Bytes are not UTF-8, to tell them from text.
fn sample(field: &Described) -> Vec<u8> {
    let key = |wire: u32| varint(u64::from(field.tag << 3 | wire));
    let delimited = |content: &[u8]| [key(2), varint(content.len() as u64), content.to_vec()].concat();
    let number = |wire: u32, content: &[u8]| if field.packed { delimited(content) } else { [key(wire), content.to_vec()].concat() };
    match field.kind {
        "int32" | "int64" | "uint64" | "enum" => number(0, &[1]),
        "float" => number(5, &1f32.to_le_bytes()),
        "double" => number(1, &1f64.to_le_bytes()),
        "string" if field.name != "doc_string" => delimited("text".as_bytes()),
        "string" | "bytes" => delimited(&[0xff]),
        _ => delimited(&[]),
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn every_field_survives_decoding_and_encoding() {
    fn survives<M: Message + Default>(root: &'static Schema, name: &'static str) {
        for (_, name, path) in reachable(root, name) {
            for field in &described()[name] {
                let mut bytes = sample(field);
                for tag in path.iter().rev() {
                    bytes = [varint(u64::from(tag << 3 | 2)), varint(bytes.len() as u64), bytes].concat();
                }
                scan(&bytes, root, &Limits::default()).unwrap();
                let decoded = M::decode(&bytes[..]).unwrap();
                assert_eq!(decoded.encode_to_vec(), bytes, "{name}.{}", field.name);
            }
        }
    }
    survives::<ModelProto>(&MODEL, "ModelProto");
    survives::<SequenceProto>(&SEQUENCE, "SequenceProto");
}

/// A message with every field, and messages with every field inside, to a depth.
fn full(name: &str, depth: usize) -> Vec<u8> {
    let fields = &described()[name];
    let fields = fields.iter().map(|field| match depth {
        1.. if described().contains_key(field.kind) => {
            let inner = full(field.kind, depth - 1);
            [varint(u64::from(field.tag << 3 | 2)), varint(inner.len() as u64), inner].concat()
        }
        _ => sample(field),
    });
    fields.collect::<Vec<_>>().concat()
}

fn agree(bytes: &[u8]) {
    let scanned = scan(bytes, &MODEL, &Limits::default());
    let decoded = ModelProto::decode(bytes);
    assert_eq!(scanned.is_ok(), decoded.is_ok(), "{scanned:?}, {:?}", decoded.err());
}

#[test]
fn the_scan_accepts_what_prost_accepts() {
    let seed = full("ModelProto", 3);
    agree(&seed);
    assert!(ModelProto::decode(&seed[..]).is_ok());
    for end in 0..seed.len() {
        agree(&seed[..end]);
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut bytes = seed.clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes[at] ^= 1 << next(8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [0, 0x80, 0xff, 0x0b, 0x0c][next(5)]),
            }
        }
        agree(&bytes);
    }
}

#[test]
fn unknown_fields_and_groups_are_stepped_over() {
    // Field 100: a group that holds a varint, a fixed64 and a group.
    let group = b"\xa3\x06\x08\x01\x11\0\0\0\0\0\0\0\0\x13\x14\xa4\x06";
    agree(group);
    scan(group, &MODEL, &Limits::default()).unwrap();
    for end in 1..group.len() {
        agree(&group[..end]);
        assert!(scan(&group[..end], &MODEL, &Limits::default()).is_err());
    }
    let deep = [b"\x0b".repeat(90), b"\x0c".repeat(90)].concat();
    let deep = [&b"\x7b"[..], &deep, &b"\x7c"[..]].concat();
    agree(&deep);
    scan(&deep, &MODEL, &Limits::default()).unwrap();
    let deeper = b"\x7b".repeat(1_000_000);
    assert!(matches!(scan(&deeper, &MODEL, &Limits::default()), Err(DecodeError::TooDeep { .. })));
}

#[test]
fn places_count_repeated_fields_by_name() {
    // Two opset imports around an unknown field; the second's domain is cut off.
    let bytes = [0x42, 2, 0x10, 7, 0xa0, 6, 1, 0x42, 2, 0x0a, 9];
    let error = scan(&bytes, &MODEL, &Limits::default()).unwrap_err();
    let expected = "malformed at byte 10, in opset_import[1].domain: a field of 9 bytes where 0 are left; the file may be cut off";
    assert_eq!(error.to_string(), expected);
}
