//! Extractors that fail with the envelope, naming the field at fault.
//!
//! Unknown fields are refused by the type being read: every request type says
//! `#[serde(deny_unknown_fields)]`.

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, RawPathParams, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A JSON body; as an answer, the same as axum's. The content type is not looked at: there is no other
/// kind of body, and a bearer token is sent by no browser unasked.
/// `Option<Json<T>>` takes an empty body for `None`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// The query string.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The variable parts of the path: one value, a tuple, or a struct naming them.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read(&body(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let body = body(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        read(&body).map(|value| Some(Self(value)))
    }
}

impl<T: serde::Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = serde_urlencoded::Deserializer::new(pairs);
        serde_path_to_error::deserialize(query)
            .map(Self)
            .map_err(|error| at_fault(&error))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let error = match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => return Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => error.into_kind(),
            Err(error) => return Err(ApiError::internal(error)),
        };
        let text = error.to_string();
        let (key, message) = match error {
            ErrorKind::DeserializeError { key, message, .. } => (key, message),
            ErrorKind::ParseErrorAtKey { key, .. } => (key, text),
            ErrorKind::InvalidUtf8InPathParam { key } => (key, "is not valid UTF-8".to_owned()),
            ErrorKind::ParseErrorAtIndex { index, .. } => (name(parts, index).await, text),
            // A path read as one value: it has one part.
            ErrorKind::ParseError { .. } | ErrorKind::Message(_) => (name(parts, 0).await, text),
            _ => return Err(ApiError::internal(text)),
        };
        Err(ApiError::field(key, message))
    }
}

/// The route's name for a part of the path.
async fn name(parts: &mut Parts, index: usize) -> String {
    let named = RawPathParams::from_request_parts(parts, &()).await.ok();
    let name = named.and_then(|named| Some(named.iter().nth(index)?.0.to_owned()));
    name.unwrap_or_else(|| "path".to_owned())
}

/// The whole body of a request, within the bound of its route.
///
/// # Errors
/// If it is larger, or ends early.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|error| match error {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                ApiError::PayloadTooLarge
            }
            _ => ApiError::malformed("the body ended before its announced length"),
        })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Every body is an object; a list would pass for one whose fields stand in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::malformed("the body must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            at_fault(&error)
        } else {
            malformed(error.inner())
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::malformed(format!("the body is not JSON: {error}"))
}

/// The field a reader stumbled over. A missing or repeated field is not yet in the path: serde reports
/// it at its parent, by name.
fn at_fault<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> ApiError {
    let message = error.inner().to_string();
    let mut field = match error.path().to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    let named = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`'));
    if let Some((name, _)) = named {
        if !field.is_empty() {
            field.push('.');
        }
        field.push_str(name);
    }
    if field.is_empty() {
        ApiError::malformed(message)
    } else {
        ApiError::field(field, message)
    }
}
