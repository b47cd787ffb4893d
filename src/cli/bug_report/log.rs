//! The end of a log, however long it is: the last lines explain a problem.

use futures::io::{AsyncBufRead, AsyncReadExt};

/// See the module.
pub(super) struct End {
    bytes: Vec<u8>,
    most: usize,
    left_out: usize,
}

impl End {
    /// Of so many bytes at most.
    pub(super) fn new(most: u64) -> Self {
        Self { bytes: vec![], most: usize::try_from(most).unwrap_or(usize::MAX), left_out: 0 }
    }

    /// Reads all of a log. What has been read stays where the rest fails, or takes too long.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read<L: AsyncBufRead>(
        &mut self,
        log: impl Future<Output = Result<L, kube::Error>>,
    ) -> Result<(), kube::Error> {
        let mut log = std::pin::pin!(log.await?);
        let mut part = vec![0; 64 << 10];
        loop {
            let length = log.read(&mut part).await.map_err(kube::Error::ReadEvents)?;
            match part.get(..length) {
                None | Some([]) => return Ok(()),
                Some(read) => self.add(read),
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Seldom, so that little is moved.
        if self.bytes.len() > self.most.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let many = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..many);
        self.left_out += many;
    }

    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How much of its beginning is missing.
    pub(super) fn left_out(&self) -> usize {
        self.left_out + self.bytes.len().saturating_sub(self.most)
    }

    /// What there is; what is not valid UTF-8 is replaced.
    pub(super) fn text(mut self) -> String {
        self.cut();
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_log_stays_and_what_is_no_text_is_replaced() {
        let log = [&b"old ".repeat(100_000)[..], b"new\xff"].concat();
        let read = |most| {
            let log = futures::io::Cursor::new(log.clone());
            async move {
                let mut end = End::new(most);
                end.read(async { Ok(log) }).await.unwrap();
                (end.left_out(), end.text())
            }
        };
        assert_eq!(read(4).await, (400_000, "new\u{fffd}".to_owned()));
        assert_eq!(read(400_004).await.0, 0);
        assert_eq!(read(0).await, (400_004, String::new()));
    }

    #[tokio::test]
    async fn what_came_before_a_failure_stays() {
        let mut end = End::new(9);
        end.read(async { Ok(futures::io::Cursor::new(b"first".to_vec())) }).await.unwrap();
        let failed =
            end.read(async { Err::<futures::io::Cursor<Vec<u8>>, _>(kube::Error::LinesCodecMaxLineLengthExceeded) });
        assert!(failed.await.is_err());
        assert_eq!(end.text(), "first");
    }
}
