//! The primitives of the wire format.

use crate::error::Flaw;

/// A flaw and where it is.
pub(super) struct At {
    pub(super) offset: usize,
    pub(super) flaw: Flaw,
}

/// How a field is laid down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Delimited,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// Reads the primitives. `end` is the end of the message that is being read, never past the bytes.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Reader<'_> {
    pub(super) fn key(&mut self, end: usize) -> Result<(u32, Wire), At> {
        let offset = self.at;
        let key = self.varint(end)?;
        let wire = match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Delimited,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            _ => return Err(At { offset, flaw: Flaw::Key }),
        };
        match u32::try_from(key) {
            Ok(key) if key >> 3 > 0 => Ok((key >> 3, wire)),
            _ => Err(At { offset, flaw: Flaw::Key }),
        }
    }

    pub(super) fn varint(&mut self, end: usize) -> Result<u64, At> {
        let offset = self.at;
        let mut value = 0;
        for (index, &byte) in self.bytes[offset..end].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for one bit of a 64-bit number.
                if index == 9 && byte > 1 {
                    break;
                }
                self.at = offset + index + 1;
                return Ok(value);
            }
        }
        let flaw = if end - offset < 10 { Flaw::Ends } else { Flaw::Varint };
        Err(At { offset, flaw })
    }

    pub(super) fn take(&mut self, count: usize, end: usize) -> Result<usize, At> {
        if end - self.at < count {
            return Err(At { offset: self.at, flaw: Flaw::Ends });
        }
        self.at += count;
        Ok(count)
    }

    /// The length that stands before text, bytes, messages and packed lists; what follows fits.
    pub(super) fn length(&mut self, end: usize) -> Result<usize, At> {
        let offset = self.at;
        let length = self.varint(end)?;
        let left = end - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(At { offset, flaw: Flaw::Length { length, left } }),
        }
    }

    pub(super) fn text(&mut self, end: usize) -> Result<usize, At> {
        let length = self.length(end)?;
        let start = self.at;
        match std::str::from_utf8(&self.bytes[start..start + length]) {
            Ok(_) => {
                self.at += length;
                Ok(length)
            }
            Err(error) => Err(At { offset: start + error.valid_up_to(), flaw: Flaw::Utf8 }),
        }
    }

    /// Steps over one unnamed field; `groups` are the tags of the groups that are open around it.
    pub(super) fn skip(&mut self, tag: u32, wire: Wire, end: usize, groups: &mut Vec<u32>) -> Result<(), At> {
        match wire {
            Wire::Varint => self.varint(end).map(drop),
            Wire::Fixed32 => self.take(4, end).map(drop),
            Wire::Fixed64 => self.take(8, end).map(drop),
            Wire::Delimited => self.length(end).map(|length| self.at += length),
            Wire::GroupStart => {
                groups.push(tag);
                Ok(())
            }
            Wire::GroupEnd if groups.pop() == Some(tag) => Ok(()),
            Wire::GroupEnd => Err(At { offset: self.at, flaw: Flaw::GroupEnd }),
        }
    }
}
