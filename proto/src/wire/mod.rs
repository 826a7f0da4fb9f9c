//! The wire format, walked before anything is decoded.
//!
//! prost decodes well but says neither where a file is malformed nor how much memory it will ask for.
//! One pass over the bytes, with no allocation but the stack of open messages, answers both: after it
//! decoding cannot fail, cannot overflow the stack and cannot take more than the limit. Contents of
//! tensors are stepped over, so the pass costs little next to decoding.

mod reader;
mod schema;
mod table;

use reader::{At, Reader, Wire};
pub(crate) use schema::Schema;
use schema::{Field, Kind};
pub(crate) use table::{MAP, MODEL, OPTIONAL, SEQUENCE, SPARSE_TENSOR, TENSOR};

use crate::error::{DecodeError, Flaw};
use crate::limits::Limits;

/// Checks that `bytes` are one message of `schema`, within `limits`.
pub(crate) fn scan(bytes: &[u8], schema: &'static Schema, limits: &Limits) -> Result<(), DecodeError> {
    let mut scan = Scan {
        reader: Reader { bytes, at: 0 },
        open: vec![Open { schema, start: 0, end: bytes.len(), field: None }],
        memory: schema.size as u64,
        limits,
    };
    while scan.step()? {}
    Ok(())
}

/// A message that has begun and not ended.
struct Open {
    schema: &'static Schema,
    start: usize,
    end: usize,
    /// The field of the message around it that holds it, and where that field begins.
    field: Option<(&'static Field, usize)>,
}

struct Scan<'a> {
    reader: Reader<'a>,
    open: Vec<Open>,
    memory: u64,
    limits: &'a Limits,
}

impl Scan<'_> {
    /// Takes one field, or closes a message. False when the outermost has closed.
    fn step(&mut self) -> Result<bool, DecodeError> {
        let Some(innermost) = self.open.last() else {
            return Ok(false);
        };
        let (schema, end) = (innermost.schema, innermost.end);
        if self.reader.at == end {
            self.open.pop();
            return Ok(!self.open.is_empty());
        }
        let start = self.reader.at;
        let (tag, wire) = self.reader.key(end).map_err(|flaw| self.malformed(flaw, None))?;
        match schema.field(tag) {
            None => self.skip(tag, wire, end)?,
            Some(field) => self.field(field, start, wire, end)?.map_err(|flaw| self.malformed(flaw, Some((field, start))))?,
        }
        self.check_memory()?;
        Ok(true)
    }

    /// Steps over a field, or into it when it is a message.
    fn field(&mut self, field: &'static Field, start: usize, wire: Wire, end: usize) -> Result<Result<(), At>, DecodeError> {
        let outcome = match (&field.kind, wire) {
            (Kind::Message(schema), Wire::Delimited) => {
                self.check_depth(0)?;
                self.reader.length(end).map(|length| {
                    let at = self.reader.at;
                    self.memory += schema.size as u64;
                    let field = Some((field, start));
                    self.open.push(Open { schema, start: at, end: at + length, field });
                })
            }
            (Kind::Text, Wire::Delimited) => self.reader.text(end).map(|length| {
                self.memory += (length + size_of::<String>()) as u64;
            }),
            (Kind::Bytes, Wire::Delimited) => self.reader.length(end).map(|length| {
                self.reader.at += length;
                self.memory += size_of::<bytes::Bytes>() as u64;
            }),
            (scalar, Wire::Delimited) if field.many => self.packed(scalar, end),
            (scalar, wire) => self.scalar(scalar, wire, start, end),
        };
        Ok(outcome)
    }

    /// One number that is not packed.
    fn scalar(&mut self, kind: &Kind, wire: Wire, start: usize, end: usize) -> Result<(), At> {
        let size = match (kind, wire) {
            (Kind::Varint(size), Wire::Varint) => {
                self.reader.varint(end)?;
                *size
            }
            (Kind::Fixed32, Wire::Fixed32) => self.reader.take(4, end)?,
            (Kind::Fixed64, Wire::Fixed64) => self.reader.take(8, end)?,
            _ => return Err(At { offset: start, flaw: Flaw::WireType }),
        };
        self.memory += size as u64;
        Ok(())
    }

    /// A packed list of numbers.
    fn packed(&mut self, kind: &Kind, end: usize) -> Result<(), At> {
        let length = self.reader.length(end)?;
        let end = self.reader.at + length;
        match kind {
            Kind::Varint(size) => {
                while self.reader.at < end {
                    self.reader.varint(end)?;
                    self.memory += *size as u64;
                }
            }
            kind => {
                let width = if matches!(kind, Kind::Fixed32) { 4 } else { 8 };
                if !length.is_multiple_of(width) {
                    return Err(At { offset: self.reader.at, flaw: Flaw::PackedLength { width } });
                }
                self.reader.at = end;
                self.memory += length as u64;
            }
        }
        Ok(())
    }

    /// Steps over a field that no schema names: ONNX grows, and readers ignore what they do not know.
    fn skip(&mut self, tag: u32, wire: Wire, end: usize) -> Result<(), DecodeError> {
        let (mut tag, mut wire) = (tag, wire);
        let mut groups = Vec::new();
        loop {
            if wire == Wire::GroupStart {
                self.check_depth(groups.len())?;
            }
            let stepped = self.reader.skip(tag, wire, end, &mut groups);
            stepped.map_err(|flaw| self.malformed(flaw, None))?;
            if groups.is_empty() {
                return Ok(());
            }
            (tag, wire) = self.reader.key(end).map_err(|flaw| self.malformed(flaw, None))?;
        }
    }

    fn check_depth(&self, groups: usize) -> Result<(), DecodeError> {
        let limit = self.limits.depth();
        if self.open.len() + groups > limit {
            return Err(DecodeError::TooDeep { offset: self.reader.at, limit });
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<(), DecodeError> {
        let limit = self.limits.max_memory;
        if self.memory > limit {
            return Err(DecodeError::TooMuchMemory { offset: self.reader.at, limit });
        }
        Ok(())
    }

    /// Says where the flaw is: the fields around it, with their index where they repeat.
    fn malformed(&self, at: At, field: Option<(&'static Field, usize)>) -> DecodeError {
        let fields = self.open.iter().skip(1).map(|open| open.field).chain([field]);
        let steps = self.open.iter().zip(fields.map_while(|field| field)).map(|(around, (field, start))| {
            let name = field.name.to_owned();
            if field.many { format!("{name}[{}]", self.count_before(around, field.tag, start)) } else { name }
        });
        let place = steps.collect::<Vec<_>>().join(".");
        DecodeError::Malformed { offset: at.offset, place, flaw: at.flaw }
    }

    /// How many fields of this tag the message has before `start`. Only walks what was found sound.
    fn count_before(&self, around: &Open, tag: u32, start: usize) -> usize {
        let mut reader = Reader { bytes: self.reader.bytes, at: around.start };
        let (mut count, mut groups) = (0, Vec::new());
        while reader.at < start {
            let Ok((found, wire)) = reader.key(around.end) else { break };
            count += usize::from(groups.is_empty() && found == tag);
            if reader.skip(found, wire, around.end, &mut groups).is_err() {
                break;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests;
