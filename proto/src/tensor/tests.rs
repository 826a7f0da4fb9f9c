//! Every storage form, every type, every way of being wrong.

use super::*;
use crate::messages::{Segment, StringStringEntryProto};

fn read(tensor: TensorProto) -> Result<TensorData, TensorError> {
    TensorData::from_proto(tensor, &mut ExternalFiles::refused())
}

fn bytes(tensor: TensorProto) -> Bytes {
    match read(tensor).unwrap().elements {
        Elements::Bytes(bytes) => bytes,
        Elements::Strings(_) => panic!("strings"),
    }
}

fn stored(dtype: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { data_type: dtype as i32, dims: dims.to_vec(), name: "w".into(), ..Default::default() }
}

fn raw(dtype: DataType, dims: &[i64], bytes: &[u8]) -> TensorProto {
    TensorProto { raw_data: Some(Bytes::copy_from_slice(bytes)), ..stored(dtype, dims) }
}

fn int32(dtype: DataType, dims: &[i64], values: &[i32]) -> TensorProto {
    TensorProto { int32_data: values.to_vec(), ..stored(dtype, dims) }
}

const ALL: std::ops::RangeInclusive<i32> = 1..=28;

fn types() -> impl Iterator<Item = DataType> {
    ALL.map(|number| DataType::try_from(number).unwrap())
}

#[test]
fn raw_data_is_shared() {
    let raw_data = Bytes::from(vec![1; 24]);
    let tensor = TensorProto { raw_data: Some(raw_data.clone()), ..stored(DataType::Float, &[2, 3]) };
    assert_eq!(bytes(tensor).as_ptr(), raw_data.as_ptr());
}

#[test]
fn typed_fields_are_shared_where_they_are_canonical() {
    let float_data = vec![1.5, -2.0];
    let at = float_data.as_ptr().cast();
    let tensor = TensorProto { float_data, ..stored(DataType::Float, &[2]) };
    let bytes = bytes(tensor);
    assert_eq!((bytes.as_ptr(), &bytes[..]), (at, &b"\0\0\xc0\x3f\0\0\0\xc0"[..]));
}

#[test]
fn every_typed_field_becomes_little_endian_bytes() {
    let (f, d) = (DataType::Complex64, DataType::Complex128);
    let tensor = TensorProto { float_data: vec![1.0, 2.0], ..stored(f, &[]) };
    assert_eq!(bytes(tensor), [1f32, 2.0].map(f32::to_le_bytes).concat());
    let tensor = TensorProto { double_data: vec![1.0, 2.0], ..stored(d, &[1]) };
    assert_eq!(bytes(tensor), [1f64, 2.0].map(f64::to_le_bytes).concat());
    let tensor = TensorProto { double_data: vec![3.0], ..stored(DataType::Double, &[]) };
    assert_eq!(bytes(tensor)[..], 3f64.to_le_bytes());
    let tensor = TensorProto { int64_data: vec![-2], ..stored(DataType::Int64, &[1]) };
    assert_eq!(bytes(tensor)[..], (-2i64).to_le_bytes());
    let tensor = TensorProto { uint64_data: vec![u64::MAX], ..stored(DataType::Uint64, &[1]) };
    assert_eq!(bytes(tensor)[..], [0xff; 8]);
    let tensor = TensorProto { uint64_data: vec![0xffff_fffe], ..stored(DataType::Uint32, &[1]) };
    assert_eq!(bytes(tensor)[..], 0xffff_fffe_u32.to_le_bytes());
}

#[test]
fn int32_data_holds_all_small_types() {
    assert_eq!(bytes(int32(DataType::Int32, &[2], &[-1, 2]))[..], [255, 255, 255, 255, 2, 0, 0, 0]);
    for dtype in [DataType::Int16, DataType::Uint16, DataType::Float16, DataType::Bfloat16] {
        assert_eq!(bytes(int32(dtype, &[2], &[-2, 0x3c00]))[..], [0xfe, 0xff, 0, 0x3c]);
    }
    for dtype in [DataType::Int8, DataType::Uint8, DataType::Float8e4m3fn, DataType::Float8e8m0] {
        assert_eq!(bytes(int32(dtype, &[2], &[-2, 0x7f]))[..], [0xfe, 0x7f]);
    }
    assert_eq!(bytes(int32(DataType::Bool, &[3], &[0, 1, 256]))[..], [0, 1, 1]);
    assert_eq!(bytes(int32(DataType::Uint4, &[3], &[0x21, 0xf3]))[..], [1, 2, 3]);
    assert_eq!(bytes(int32(DataType::Int4, &[3], &[0x8f, 0x07]))[..], [0xff, 0xf8, 7]);
    assert_eq!(bytes(int32(DataType::Float4e2m1, &[2], &[0xf3]))[..], [3, 15]);
    assert_eq!(bytes(int32(DataType::Uint2, &[5], &[0xe4, 0x02]))[..], [0, 1, 2, 3, 2]);
    assert_eq!(bytes(int32(DataType::Int2, &[4], &[0xe4]))[..], [0, 1, 0xfe, 0xff]);
    assert_eq!(bytes(int32(DataType::Float6e3m2, &[2], &[0x3f, 0x41]))[..], [0x3f, 0x01]);
}

#[test]
fn raw_data_is_unpacked_and_normalised() {
    assert_eq!(bytes(raw(DataType::Int4, &[3], &[0x8f, 0xf7]))[..], [0xff, 0xf8, 7]);
    assert_eq!(bytes(raw(DataType::Uint2, &[2, 3], &[0xe4, 0x01]))[..], [0, 1, 2, 3, 1, 0]);
    assert_eq!(bytes(raw(DataType::Float6e2m3, &[2], &[0x7f, 0x00]))[..], [0x3f, 0x01]);
    assert_eq!(bytes(raw(DataType::Bool, &[3], &[0, 1, 0x80]))[..], [0, 1, 1]);
}

#[test]
fn strings_are_shared_and_counted() {
    let string_data = vec![Bytes::from_static(b"a"), Bytes::from_static(b"\xff")];
    let tensor = TensorProto { string_data: string_data.clone(), ..stored(DataType::String, &[2]) };
    assert_eq!(read(tensor.clone()).unwrap().elements, Elements::Strings(string_data));
    for bad in [
        TensorProto { dims: vec![3], ..tensor.clone() },
        TensorProto { raw_data: Some(Bytes::from_static(b"ab")), ..tensor.clone() },
        TensorProto { data_location: 1, ..tensor },
    ] {
        assert!(read(bad).is_err());
    }
}

#[test]
fn scalars_empty_tensors_and_empty_raw_data() {
    assert_eq!(bytes(raw(DataType::Float, &[], &[0; 4])).len(), 4);
    assert_eq!(bytes(raw(DataType::Float, &[0, 5], &[])).len(), 0);
    assert_eq!(bytes(stored(DataType::Float, &[5, 0])).len(), 0);
    let both = TensorProto { float_data: vec![1.0], ..raw(DataType::Float, &[1], &[]) };
    assert_eq!(bytes(both).len(), 4);
}

#[test]
fn wrong_lengths_are_refused_for_every_type() {
    for dtype in types().filter(|dtype| *dtype != DataType::String) {
        let needed = (5 * dtype.stored_bits().unwrap()).div_ceil(8);
        assert!(read(raw(dtype, &[5], &vec![0; needed])).is_ok(), "{dtype:?}");
        for wrong in [0, needed - 1, needed + 1] {
            let error = read(raw(dtype, &[5], &vec![0; wrong])).unwrap_err();
            assert!(matches!(error.flaw, TensorFlaw::Length { .. }), "{dtype:?} {wrong}");
        }
    }
    let error = read(raw(DataType::Float, &[3], &[0; 11])).unwrap_err();
    assert_eq!(error.to_string(), r#"tensor "w": raw_data holds 11 bytes, the shape and type need 12"#);
    assert!(read(int32(DataType::Int4, &[3], &[0])).is_err());
    assert!(read(int32(DataType::Int4, &[3], &[0; 3])).is_err());
    assert!(read(TensorProto { float_data: vec![0.0; 3], ..stored(DataType::Complex64, &[2]) }).is_err());
}

#[test]
fn impossible_shapes_are_refused() {
    for dtype in types() {
        for dims in [&[-1][..], &[i64::MIN], &[i64::MAX, 2], &[1 << 32, 1 << 32], &[i64::MAX], &[0, i64::MAX]] {
            assert!(read(raw(dtype, dims, &[])).is_err(), "{dtype:?} {dims:?}");
        }
    }
}

#[test]
fn what_is_unknown_or_unsupported_is_named() {
    let flaw = |tensor| read(tensor).unwrap_err().flaw;
    assert!(matches!(flaw(stored(DataType::Undefined, &[])), TensorFlaw::NoType));
    assert!(matches!(flaw(TensorProto { data_type: 99, ..Default::default() }), TensorFlaw::UnknownType(99)));
    let tensor = stored(DataType::Float, &[0]);
    let segment = Some(Segment::default());
    assert!(matches!(flaw(TensorProto { segment, ..tensor.clone() }), TensorFlaw::Segment));
    assert!(matches!(flaw(TensorProto { data_location: 2, ..tensor.clone() }), TensorFlaw::UnknownLocation(2)));
    let external_data = vec![StringStringEntryProto { key: "location".into(), value: "w".into() }];
    let external = TensorProto { external_data, data_location: 1, ..tensor };
    assert!(matches!(flaw(external), TensorFlaw::External(ExternalError::Refused)));
}

#[test]
fn names_in_errors_are_escaped() {
    let tensor = TensorProto { name: "a\u{1b}[31m\n\"".into(), ..Default::default() };
    assert!(read(tensor).unwrap_err().to_string().starts_with(r#"tensor "a\u{1b}[31m\n\"": "#));
}

#[test]
fn to_proto_and_back_is_the_same() {
    for dtype in types().filter(|dtype| *dtype != DataType::String) {
        let stored = (7 * dtype.stored_bits().unwrap()).div_ceil(8);
        let pattern: Vec<u8> = (0..stored).map(|n| (n * 89 + 1) as u8).collect();
        let tensor = read(raw(dtype, &[7], &pattern)).unwrap();
        assert_eq!(read(tensor.to_proto("w")).unwrap(), tensor, "{dtype:?}");
    }
}

#[test]
fn external_elements_are_read_and_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.bin"), [0xff, 0x8f, 0x07]).unwrap();
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let external_data = vec![entry("location", "w.bin"), entry("offset", "1"), entry("length", "2")];
    let tensor = TensorProto { external_data, data_location: 1, ..stored(DataType::Int4, &[3]) };
    let mut files = ExternalFiles::in_directory(dir.path()).unwrap();
    let tensor = TensorData::from_proto(tensor, &mut files).unwrap();
    assert_eq!(tensor.elements, Elements::Bytes(Bytes::from_static(&[0xff, 0xf8, 7])));
}
