//! Lists of entries, and the lists inside them: a length, then the elements, just as a `Vec` lies on the wire.
//!
//! What bincode claims for a `Vec`'s elements it gives back as they are read, so lists of small elements,
//! each within the limit, may together take twenty times their bytes. A [`List`] gives nothing back: all
//! that a row holds in memory stays within [`MAX_DECODED`].

use bincode::de::{BorrowDecoder, Decoder};
use bincode::{BorrowDecode, Decode, Encode};

use super::{read_within, write as write_value};
use crate::codec::{DecodeError, EncodeError, too_large};
use crate::limits::{MAX_DECODED, MAX_ROW};

#[derive(Encode)]
pub(super) struct List<T>(Vec<T>);

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T> List<T> {
    pub(super) fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<Context, T: Decode<Context>> Decode<Context> for List<T> {
    fn decode<D: Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let count = u64::decode(decoder)?;
        let count = usize::try_from(count)
            .map_err(|_| bincode::error::DecodeError::OutsideUsizeRange(count))?;
        decoder.claim_container_read::<T>(count)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(decoder)?);
        }
        Ok(Self(elements))
    }
}

impl<'de, Context, T: Decode<Context>> BorrowDecode<'de, Context> for List<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

/// Writes what [`read`] reads. A list that would not be read back is refused here, where somebody is waiting
/// for the answer, and not at every edge.
pub(super) fn write<'a, W, T>(entries: &'a [T]) -> Result<Vec<u8>, EncodeError>
where
    W: From<&'a T> + Encode + Decode<()>,
{
    let list: List<W> = entries.iter().map(W::from).collect();
    let bytes = write_value(list, MAX_ROW)?;
    read_within::<List<W>, MAX_DECODED>(&bytes)
        .map_err(|error| EncodeError::Unencodable(format!("it {error} when read back")))?;
    Ok(bytes)
}

pub(super) fn read<W, T>(bytes: &[u8]) -> Result<Vec<T>, DecodeError>
where
    W: Decode<()> + TryInto<T, Error = DecodeError>,
{
    too_large(bytes.len(), MAX_ROW)?;
    let List(elements) = read_within::<List<W>, MAX_DECODED>(bytes)?;
    elements.into_iter().map(TryInto::try_into).collect()
}
