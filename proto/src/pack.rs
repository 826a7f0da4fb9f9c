//! Elements of 2, 4 and 6 bits. ONNX lays all three down as one stream of bits, lowest bit first.

use crate::messages::DataType;

/// One byte per element, extended with the sign where the type has one. `packed` must hold `count` elements.
pub(crate) fn unpack(dtype: DataType, bits: usize, packed: &[u8], count: usize) -> Vec<u8> {
    let mask = (1u16 << bits) - 1;
    let shift = if dtype.sign_extends() { 8 - bits } else { 0 };
    let code = |index: usize| {
        let bit = index * bits;
        let low = packed.get(bit / 8).copied().unwrap_or(0);
        let high = packed.get(bit / 8 + 1).copied().unwrap_or(0);
        let code = ((u16::from_le_bytes([low, high]) >> (bit % 8)) & mask) as u8;
        // Up against the sign bit and back; by nothing for unsigned types.
        (((code << shift) as i8) >> shift) as u8
    };
    (0..count).map(code).collect()
}

/// The inverse: the low bits of each byte.
pub(crate) fn pack(bits: usize, codes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; (codes.len() * bits).div_ceil(8)];
    for (index, code) in codes.iter().enumerate() {
        let bit = index * bits;
        let code = u16::from(*code) & ((1 << bits) - 1);
        let [low, high] = (code << (bit % 8)).to_le_bytes();
        packed[bit / 8] |= low;
        if high != 0 {
            packed[bit / 8 + 1] |= high;
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_specification() {
        let unpack = |dtype: DataType, packed: &[u8], count| unpack(dtype, dtype.stored_bits().unwrap(), packed, count);
        assert_eq!(unpack(DataType::Uint4, &[0x21, 0xf3], 3), [1, 2, 3]);
        assert_eq!(unpack(DataType::Int4, &[0x8f, 0x07], 3), [0xff, 0xf8, 7]);
        assert_eq!(unpack(DataType::Uint2, &[0b11_10_01_00], 4), [0, 1, 2, 3]);
        assert_eq!(unpack(DataType::Int2, &[0b11_10_01_00], 4), [0, 1, 0xfe, 0xff]);
        let (x0, x1, x2, x3) = (0x2a_u8, 0x15_u8, 0x3f_u8, 0x01_u8);
        let packed = [x0 | ((x1 & 0x3) << 6), (x1 >> 2) | ((x2 & 0xf) << 4), (x2 >> 4) | (x3 << 2)];
        assert_eq!(unpack(DataType::Float6e2m3, &packed, 4), [x0, x1, x2, x3]);
    }

    #[test]
    fn unpack_undoes_pack() {
        for bits in [2, 4, 6] {
            for count in 0..20 {
                let codes: Vec<u8> = (0..count).map(|n| (n * 37 % (1 << bits)) as u8).collect();
                let packed = pack(bits, &codes);
                assert_eq!(packed.len(), (count * bits).div_ceil(8));
                assert_eq!(unpack(DataType::Uint4, bits, &packed, count), codes);
            }
        }
    }
}
