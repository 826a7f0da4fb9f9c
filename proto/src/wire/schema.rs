//! How a message's fields are told apart on the wire: as much of a `.proto` file as the scan needs.

/// One kind of message.
pub(crate) struct Schema {
    /// What one decoded message takes, without what it points to.
    pub(crate) size: usize,
    /// The fields, by tag.
    pub(crate) fields: &'static [Field],
}

/// One field of a message.
pub(crate) struct Field {
    pub(crate) tag: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Repeated fields may occur many times; scalars among them may also come packed.
    pub(crate) many: bool,
}

/// What a field holds.
pub(crate) enum Kind {
    /// A varint that decodes to this many bytes.
    Varint(usize),
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// UTF-8 text, copied when decoded.
    Text,
    /// Any bytes, shared when decoded.
    Bytes,
    /// A message.
    Message(&'static Schema),
}

impl Schema {
    pub(crate) fn field(&self, tag: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.tag == tag)
    }
}

impl Field {
    /// This field, repeated.
    pub(crate) const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    const fn one(tag: u32, name: &'static str, kind: Kind) -> Self {
        Self { tag, name, kind, many: false }
    }
}

pub(crate) const fn int32(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Varint(4))
}

pub(crate) const fn int64(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Varint(8))
}

pub(crate) const fn float(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Fixed32)
}

pub(crate) const fn double(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Fixed64)
}

pub(crate) const fn text(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Text)
}

pub(crate) const fn bytes(tag: u32, name: &'static str) -> Field {
    Field::one(tag, name, Kind::Bytes)
}

pub(crate) const fn message(tag: u32, name: &'static str, schema: &'static Schema) -> Field {
    Field::one(tag, name, Kind::Message(schema))
}
