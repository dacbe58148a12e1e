//! A strict RLP reader that fails with geth's words.
//!
//! In: one encoded value. Out: its items, borrowed. Integers must be minimal, sizes must be
//! canonical, nothing may follow: so every accepted input is the one encoding of its fields and
//! hashing the input hashes the transaction. Only an error allocates.
//!
//! The words and their order follow go-ethereum's `rlp` package (v1.17), because wallets match
//! them: a fault is named together with the Go type and the path of fields it was met in.

use std::borrow::Cow;
use std::fmt;

/// What the stream can be wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The list has no further element.
    EndOfList,
    /// The value runs past the end of the input.
    ValueTooLarge,
    /// The value runs past the end of the list that it is in.
    ElementTooLarge,
    /// Further bytes follow the value.
    MoreThanOneValue,
    /// An integer with leading zero bytes.
    CanonicalInteger,
    /// A size, or a single byte, that has a shorter encoding.
    CanonicalSize,
    /// A list where a string was due.
    ExpectedString,
    /// A string where a list was due.
    ExpectedList,
    /// An empty list where a string was due.
    EmptyList,
    /// Fewer elements than the type has fields.
    TooFewElements,
    /// More elements than the type has fields.
    TooManyElements,
    /// More bytes than the fixed-size type has.
    StringTooLong,
    /// Fewer bytes than the fixed-size type has.
    StringTooShort,
    /// An integer that does not fit in 64 (or 8) bits.
    IntegerTooLong,
    /// An integer that does not fit in 256 bits.
    IntegerOver256Bits,
}

impl Fault {
    /// The text in front of the type's name.
    fn typed_words(self) -> Option<&'static str> {
        Some(match self {
            Self::CanonicalInteger => "non-canonical integer (leading zero bytes)",
            Self::CanonicalSize => "non-canonical size information",
            Self::ExpectedString => "expected input string or byte",
            Self::ExpectedList => "expected input list",
            Self::EmptyList => "wrong kind of empty value (got List, want String)",
            Self::TooFewElements => "too few elements",
            Self::TooManyElements => "input list has too many elements",
            Self::StringTooLong | Self::IntegerTooLong => "input string too long",
            Self::StringTooShort => "input string too short",
            Self::EndOfList
            | Self::ValueTooLarge
            | Self::ElementTooLarge
            | Self::MoreThanOneValue
            | Self::IntegerOver256Bits => return None,
        })
    }

    /// The text where no type is named.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::EndOfList => "rlp: end of list",
            Self::ValueTooLarge => "rlp: value size exceeds available input length",
            Self::ElementTooLarge => "rlp: element is larger than containing list",
            Self::MoreThanOneValue => "rlp: input contains more than one value",
            Self::CanonicalInteger => "rlp: non-canonical integer format",
            Self::CanonicalSize => "rlp: non-canonical size information",
            Self::ExpectedString | Self::EmptyList => "rlp: expected String or Byte",
            Self::ExpectedList => "rlp: expected List",
            Self::TooFewElements => "rlp: too few elements",
            Self::TooManyElements => "rlp: input list has too many elements",
            Self::StringTooLong => "rlp: input string too long",
            Self::StringTooShort => "rlp: input string too short",
            Self::IntegerTooLong => "rlp: uint overflow",
            Self::IntegerOver256Bits => "rlp: value too large for uint256",
        }
    }
}

/// A fault and where it was met. Boxed in results: the good path carries a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) fault: Fault,
    /// Go name of the type that was being decoded; absent where geth names none.
    go_type: Option<&'static str>,
    /// Fields and indices, innermost first.
    path: Vec<Cow<'static, str>>,
}

/// The result of reading something.
pub(super) type Reading<T> = Result<T, Box<Misfit>>;

impl Misfit {
    /// A fault that is reported without a type.
    pub(super) fn bare(fault: Fault) -> Box<Self> {
        Box::new(Self { fault, go_type: None, path: Vec::new() })
    }

    /// A fault in a value of a type; those that are not about the type stay bare.
    pub(super) fn of(go_type: &'static str, fault: Fault) -> Box<Self> {
        let go_type = fault.typed_words().map(|_| go_type);
        Box::new(Self { fault, go_type, path: Vec::new() })
    }

    /// The same fault, seen from one level further out.
    pub(super) fn within(mut self: Box<Self>, segment: impl Into<Cow<'static, str>>) -> Box<Self> {
        if self.go_type.is_some() {
            self.path.push(segment.into());
        }
        self
    }

    /// geth's text, `root` being the type that was asked for.
    pub(super) fn text(&self, root: &'static str) -> Cow<'static, str> {
        let (Some(go_type), Some(words)) = (self.go_type, self.fault.typed_words()) else {
            return Cow::Borrowed(self.fault.words());
        };
        let mut text = format!("rlp: {words} for {go_type}");
        if !self.path.is_empty() {
            text.push_str(", decoding into (");
            text.push_str(root);
            text.push(')');
            self.path.iter().rev().for_each(|segment| text.push_str(segment));
        }
        Cow::Owned(text)
    }
}

/// One item: a byte that stands for itself, the content of a string, or the content of a list.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Byte(u8),
    String(&'a [u8]),
    List(&'a [u8]),
}

/// Reads items one after another, from the whole input or from a list's content.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    in_list: bool,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Reader({} bytes left)", self.rest.len())
    }
}

impl<'a> Reader<'a> {
    /// Over a whole input.
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, in_list: false }
    }

    fn of_list(content: &'a [u8]) -> Self {
        Self { rest: content, in_list: true }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None if self.in_list => Err(Fault::ElementTooLarge),
            None => Err(Fault::ValueTooLarge),
        }
    }

    /// The next item, its size checked, its content not.
    pub(super) fn item(&mut self) -> Result<Item<'a>, Fault> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Err(if self.in_list { Fault::EndOfList } else { Fault::ValueTooLarge });
        };
        self.rest = rest;
        match first {
            0..0x80 => Ok(Item::Byte(first)),
            0x80..0xb8 => self.take(usize::from(first - 0x80)).map(Item::String),
            0xb8..0xc0 => self.long(first - 0xb7).map(Item::String),
            0xc0..0xf8 => self.take(usize::from(first - 0xc0)).map(Item::List),
            0xf8.. => self.long(first - 0xf7).map(Item::List),
        }
    }

    fn long(&mut self, size_length: u8) -> Result<&'a [u8], Fault> {
        let size_bytes = self.take(usize::from(size_length))?;
        let size = size_bytes.iter().fold(0u64, |size, byte| size << 8 | u64::from(*byte));
        if size_bytes[0] == 0 || size < 56 {
            return Err(Fault::CanonicalSize);
        }
        self.take(usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// The content of a list.
    pub(super) fn list(&mut self, go_type: &'static str) -> Reading<Reader<'a>> {
        match self.item() {
            Ok(Item::List(content)) => Ok(Reader::of_list(content)),
            Ok(_) => Err(Misfit::of(go_type, Fault::ExpectedList)),
            Err(fault) => Err(Misfit::of(go_type, fault)),
        }
    }

    /// The elements of a list, each by `element`.
    pub(super) fn sequence<T>(
        &mut self,
        go_type: &'static str,
        least_item_size: usize,
        mut element: impl FnMut(&mut Reader<'a>) -> Reading<T>,
    ) -> Reading<Vec<T>> {
        let mut content = self.list(go_type)?;
        // Bounded by the bytes at hand, not by anything that the input claims.
        let mut elements = Vec::with_capacity(content.rest.len() / least_item_size);
        while !content.rest.is_empty() {
            match element(&mut content) {
                Ok(value) => elements.push(value),
                Err(misfit) => return Err(misfit.within(format!("[{}]", elements.len()))),
            }
        }
        Ok(elements)
    }

    /// An integer of at most `width` bytes (8 or fewer).
    pub(super) fn unsigned(&mut self, go_type: &'static str, width: usize) -> Reading<u64> {
        self.unsigned_or_fault(width).map_err(|fault| Misfit::of(go_type, fault))
    }

    fn unsigned_or_fault(&mut self, width: usize) -> Result<u64, Fault> {
        match self.item()? {
            Item::List(_) => Err(Fault::ExpectedString),
            Item::Byte(0) => Err(Fault::CanonicalInteger),
            Item::Byte(value) => Ok(u64::from(value)),
            Item::String([]) => Ok(0),
            Item::String(bytes) if bytes.len() > width => Err(Fault::IntegerTooLong),
            Item::String([..0x80]) => Err(Fault::CanonicalSize),
            Item::String([0, ..]) => Err(Fault::CanonicalInteger),
            Item::String(bytes) => Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
        }
    }

    /// An integer of any size, as its minimal big-endian bytes.
    pub(super) fn integer(&mut self, go_type: &'static str) -> Reading<&'a [u8]> {
        self.integer_or_fault().map_err(|fault| Misfit::of(go_type, fault))
    }

    fn integer_or_fault(&mut self) -> Result<&'a [u8], Fault> {
        let before = self.rest;
        match self.item()? {
            Item::List(_) => Err(Fault::ExpectedString),
            Item::Byte(0) => Err(Fault::CanonicalInteger),
            Item::Byte(_) => Ok(&before[..1]),
            Item::String([..0x80]) => Err(Fault::CanonicalSize),
            Item::String([0, ..]) => Err(Fault::CanonicalInteger),
            Item::String(bytes) => Ok(bytes),
        }
    }

    /// An integer of at most 256 bits, as its minimal big-endian bytes. Unlike [`Self::integer`]
    /// a wider one fails before its leading bytes are looked at.
    pub(super) fn integer_of_256_bits(&mut self, go_type: &'static str) -> Reading<&'a [u8]> {
        let mut ahead = self.clone();
        if let Ok(Item::String(bytes)) = ahead.item()
            && bytes.len() > 32
        {
            return Err(Misfit::bare(Fault::IntegerOver256Bits));
        }
        self.integer(go_type)
    }

    /// A string of exactly `N` bytes (more than one).
    pub(super) fn array<const N: usize>(&mut self, go_type: &'static str) -> Reading<&'a [u8; N]> {
        let item = self.item().map_err(Misfit::bare)?;
        Self::sized(item).map_err(|fault| Misfit::of(go_type, fault))
    }

    /// A string of exactly `N` bytes, or none at all.
    pub(super) fn optional_array<const N: usize>(
        &mut self,
        go_type: &'static str,
        pointer_type: &'static str,
    ) -> Reading<Option<&'a [u8; N]>> {
        match self.item().map_err(|fault| Misfit::of(pointer_type, fault))? {
            Item::String([]) => Ok(None),
            Item::List([]) => Err(Misfit::of(pointer_type, Fault::EmptyList)),
            item => Self::sized(item).map(Some).map_err(|fault| Misfit::of(go_type, fault)),
        }
    }

    fn sized<const N: usize>(item: Item<'a>) -> Result<&'a [u8; N], Fault> {
        match item {
            Item::List(_) => Err(Fault::ExpectedString),
            Item::Byte(_) => Err(Fault::StringTooShort),
            Item::String(bytes) => bytes
                .try_into()
                .map_err(|_| if bytes.len() > N { Fault::StringTooLong } else { Fault::StringTooShort }),
        }
    }

    /// A string of any length.
    pub(super) fn string(&mut self, go_type: &'static str) -> Reading<&'a [u8]> {
        let before = self.rest;
        match self.item() {
            Ok(Item::Byte(_)) => Ok(&before[..1]),
            Ok(Item::String([..0x80])) => Err(Misfit::of(go_type, Fault::CanonicalSize)),
            Ok(Item::String(bytes)) => Ok(bytes),
            Ok(Item::List(_)) => Err(Misfit::of(go_type, Fault::ExpectedString)),
            Err(fault) => Err(Misfit::of(go_type, fault)),
        }
    }
}

/// The fields of one structure, in order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    content: &'a [u8],
    go_type: &'static str,
}

impl<'a> Fields<'a> {
    /// Enters the list that encodes a structure.
    pub(super) fn of(reader: &mut Reader<'a>, go_type: &'static str) -> Reading<Self> {
        let reader = reader.list(go_type)?;
        Ok(Self { content: reader.rest, reader, go_type })
    }

    /// The next field, named as in Go, with its leading dot.
    pub(super) fn field<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Reading<T>,
    ) -> Reading<T> {
        read(&mut self.reader).map_err(|misfit| match misfit.fault {
            Fault::EndOfList => Misfit::of(self.go_type, Fault::TooFewElements),
            _ => misfit.within(name),
        })
    }

    /// The encoding of the fields read so far.
    pub(super) fn read_so_far(&self) -> &'a [u8] {
        &self.content[..self.content.len() - self.reader.rest.len()]
    }

    /// Leaves the list; no element may be left.
    pub(super) fn end(self) -> Reading<()> {
        if self.reader.rest.is_empty() {
            Ok(())
        } else {
            Err(Misfit::of(self.go_type, Fault::TooManyElements))
        }
    }
}

/// Appends the header of a list or string with `length` bytes of content.
pub(super) fn put_header(out: &mut Vec<u8>, list: bool, length: usize) {
    let short = if list { 0xc0 } else { 0x80 };
    if length < 56 {
        out.push(short + length as u8);
        return;
    }
    let size = length.to_be_bytes();
    let zeros = size.iter().take_while(|byte| **byte == 0).count();
    out.push(short + 55 + (size.len() - zeros) as u8);
    out.extend_from_slice(&size[zeros..]);
}
