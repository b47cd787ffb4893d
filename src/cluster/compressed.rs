//! Answers that come compressed though nobody asked for it, as some gateways before API servers send them.

use flate2::write::MultiGzDecoder;
use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::BoxError;

/// The body of an answer, as it was before it was compressed.
pub struct Plain<B = Incoming> {
    inner: B,
    unpacking: Option<MultiGzDecoder<Vec<u8>>>,
}

impl<B> Plain<B> {
    /// An answer that says no more that it is compressed.
    pub(super) fn of(answer: Response<B>) -> Response<Self> {
        let (mut head, inner) = answer.into_parts();
        let is_packed = head.headers.get(CONTENT_ENCODING).is_some_and(|kind| kind.as_bytes() == b"gzip");
        if is_packed {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
        }
        let unpacking = is_packed.then(|| MultiGzDecoder::new(vec![]));
        Response::from_parts(head, Self { inner, unpacking })
    }
}

impl<B> Body for Plain<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, unpacking } = self.get_mut();
        loop {
            let frame = match ready!(Pin::new(&mut *inner).poll_frame(cx)) {
                Some(frame) => frame.map_err(Into::into)?,
                None => match unpacking.take().map(MultiGzDecoder::finish).transpose()? {
                    Some(rest) if !rest.is_empty() => return Poll::Ready(Some(Ok(Frame::data(rest.into())))),
                    _ => return Poll::Ready(None),
                },
            };
            let Some(decoder) = unpacking.as_mut() else { return Poll::Ready(Some(Ok(frame))) };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            decoder.write_all(&data)?;
            // What a watch has sent is to be seen at once.
            decoder.flush()?;
            let text = std::mem::take(decoder.get_mut());
            if !text.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(text.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.unpacking.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.unpacking.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::{BodyExt, StreamBody};

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(kind: &str, parts: Vec<Vec<u8>>) -> Result<String, BoxError> {
        let parts = parts.into_iter().map(|part| Ok::<_, BoxError>(Frame::data(Bytes::from(part))));
        let body = StreamBody::new(futures::stream::iter(parts));
        let answer = Response::builder().header(CONTENT_ENCODING, kind).body(body).unwrap();
        let text = Plain::of(answer).into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_compressed_answer_is_read_in_whatever_parts_it_comes() {
        let text = "all of it ".repeat(1000);
        let whole = packed(&text);
        for size in [1, 7, 100_000] {
            let parts = whole.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(read("gzip", parts).await.unwrap(), text, "{size}");
        }
        assert_eq!(read("identity", vec![b"as it is".to_vec()]).await.unwrap(), "as it is");
    }

    #[tokio::test]
    async fn half_of_a_compressed_answer_is_an_error() {
        let whole = packed("all of it");
        assert!(read("gzip", vec![whole[..whole.len() - 6].to_vec()]).await.is_err());
        assert!(read("gzip", vec![b"no such thing".to_vec()]).await.is_err());
    }
}
