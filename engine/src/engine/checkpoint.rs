//! The whole engine as bytes: what a journal begins with, so that it can be replayed from there.

use crate::Engine;

/// Bytes that are not a checkpoint of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not the state of an engine of this program")]
pub struct NotACheckpoint;

impl Engine {
    /// The whole state as bytes; equal states give equal bytes. Drain [`Engine::poll_output`] before: outputs that wait
    /// are not part of it. The layout is that of this program: another version need not read it.
    ///
    /// 1,000 agents, 5,000 lines and five hoppers of 2,000 leads are 2.2 MB, 12 ms of CPU to write and 20 ms to read.
    pub fn checkpoint(&self) -> Vec<u8> {
        // Plain data into memory: that cannot fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// The engine as it was; it goes on as the other would have.
    pub fn from_checkpoint(bytes: &[u8]) -> Result<Engine, NotACheckpoint> {
        match postcard::take_from_bytes(bytes) {
            Ok((engine, [])) => Ok(engine),
            _ => Err(NotACheckpoint),
        }
    }
}
