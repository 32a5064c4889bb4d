//! The transcript.
