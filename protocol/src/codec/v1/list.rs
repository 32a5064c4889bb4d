//! Lists of entries, and the lists inside them: a length, then the elements, just as a `Vec` lies on the wire.
//!
//! What bincode claims for a `Vec`'s elements it gives back as they are read, so lists of small elements,
//! each within the limit, may together take twenty times their bytes. A [`List`] gives nothing back: all
//! that a row holds in memory stays within [`MAX_DECODED`].

use std::marker::PhantomData;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::{BorrowDecode, Decode, Encode};

use super::{no_trailing, read_within, write as write_value};
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

/// A large element of a list beside small ones, apart from the list so that these do not take as much. On the wire it
/// is as if it were not; its memory is claimed for good, as a list's.
#[derive(Encode)]
pub(super) struct Apart<T>(Box<T>);

impl<T> Apart<T> {
    pub(super) fn new(element: T) -> Self {
        Self(Box::new(element))
    }

    pub(super) fn into_inner(self) -> T {
        *self.0
    }

    pub(super) fn get(&self) -> &T {
        &self.0
    }
}

impl<Context, T: Decode<Context>> Decode<Context> for Apart<T> {
    fn decode<D: Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        decoder.claim_container_read::<T>(1)?;
        T::decode(decoder).map(Self::new)
    }
}

impl<'de, Context, T: Decode<Context>> BorrowDecode<'de, Context> for Apart<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

impl<Context, T: Decode<Context>> Decode<Context> for List<T> {
    fn decode<D: Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let count = claim::<T, D>(decoder)?;
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
    W: From<&'a T> + Encode + Decode<()> + TryInto<T, Error = DecodeError>,
{
    let list: List<W> = entries.iter().map(W::from).collect();
    let bytes = write_value(list, MAX_ROW)?;
    read::<W, T>(&bytes)
        .map_err(|error| EncodeError::Unencodable(format!("it {error} when read back")))?;
    Ok(bytes)
}

/// A list of one, unread.
pub(super) fn write_one<W: Encode>(element: W) -> Result<Vec<u8>, EncodeError> {
    write_value(List(vec![element]), MAX_ROW)
}

pub(super) fn read<W, T>(bytes: &[u8]) -> Result<Vec<T>, DecodeError>
where
    W: Decode<()> + TryInto<T, Error = DecodeError>,
{
    too_large(bytes.len(), MAX_ROW)?;
    let (Converted { list, .. }, read) = read_within::<Converted<W, T>, MAX_DECODED>(bytes)?;
    let list = list?;
    no_trailing(bytes, read)?;
    Ok(list)
}

/// A list of `W` of which each element becomes a `T` as soon as it is read, so that wire and domain are
/// never held both. Where one cannot, that is what was read, and the rest is left.
struct Converted<W, T> {
    list: Result<Vec<T>, DecodeError>,
    wire: PhantomData<W>,
}

impl<Context, W, T> Decode<Context> for Converted<W, T>
where
    W: Decode<Context> + TryInto<T, Error = DecodeError>,
{
    fn decode<D: Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let count = claim::<W, D>(decoder)?;
        let mut list = Ok(Vec::with_capacity(count));
        for _ in 0..count {
            let Ok(elements) = &mut list else { break };
            match W::decode(decoder)?.try_into() {
                Ok(element) => elements.push(element),
                Err(error) => list = Err(error),
            }
        }
        let wire = PhantomData;
        Ok(Self { list, wire })
    }
}

/// Reads a list's length and claims the memory of so many elements, for good.
fn claim<T, D: Decoder>(decoder: &mut D) -> Result<usize, bincode::error::DecodeError> {
    let count = u64::decode(decoder)?;
    let count = usize::try_from(count)
        .map_err(|_| bincode::error::DecodeError::OutsideUsizeRange(count))?;
    decoder.claim_container_read::<T>(count)?;
    Ok(count)
}
