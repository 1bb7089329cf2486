//! Writes lines to stdout beside the reading: a reader of stdout that is slow holds up the logs, but neither signals nor the
//! watch of the run, and nothing is piled up for it.

use std::io::{self, ErrorKind};

use tokio::sync::{mpsc, oneshot};

use super::super::error::CliError;
use super::super::output::print_log;

/// How many pieces wait to be written.
const WAITING: usize = 8;
/// Pieces are put together up to this many bytes.
const TOGETHER: usize = 64 * 1024;

/// Stdout.
pub(super) struct Writer {
    to: mpsc::Sender<Vec<u8>>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Writer {
    /// Begins to write.
    ///
    /// # Errors
    /// The operating system allows no thread.
    pub(super) fn start() -> Result<Self, CliError> {
        let (to, from) = mpsc::channel(WAITING);
        let (end, written) = oneshot::channel();
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                // Who waits for the end may be gone.
                let _ = end.send(write(from));
            })
            .map_err(|error| CliError::Io("start a thread", error))?;
        Ok(Self { to, written })
    }

    /// Where pieces are sent to; it is closed when nobody reads stdout any more.
    pub(super) fn sender(&self) -> mpsc::Sender<Vec<u8>> {
        self.to.clone()
    }

    /// Returns when nobody reads stdout any more.
    pub(super) async fn closed(&self) {
        self.to.closed().await;
    }

    /// Waits until everything is written. No sender may be left.
    ///
    /// # Errors
    /// It could not be written.
    pub(super) async fn finish(self) -> Result<(), CliError> {
        drop(self.to);
        match self.written.await {
            Ok(Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CliError::Io("write to stdout", error))
            }
            _ => Ok(()),
        }
    }
}

fn write(mut from: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(mut piece) = from.blocking_recv() {
        while piece.len() < TOGETHER
            && let Ok(next) = from.try_recv()
        {
            piece.extend_from_slice(&next);
        }
        print_log(&piece)?;
    }
    Ok(())
}
