//! The body of a remote-write request, version 1.0: series with their samples as protocol buffers,
//! in snappy's block format.

use prost::Message;

/// A request as it is filled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    request: WriteRequest,
    samples: usize,
}

impl Body {
    /// Begins a series. Receivers want its labels in ascending order of their names.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let label = |(n, v): (&str, &str)| Label { name: n.to_owned(), value: v.to_owned() };
        let labels = labels.into_iter().map(label).collect();
        self.request.timeseries.push(TimeSeries { labels, samples: Vec::new() });
    }

    /// Adds a sample to the series begun last; without one it is dropped.
    pub fn sample(&mut self, at_ms: i64, value: f64) {
        if let Some(series) = self.request.timeseries.last_mut() {
            series.samples.push(Sample { value, timestamp: at_ms });
            self.samples += 1;
        }
    }

    /// How many samples there are.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// The protocol buffers.
    pub fn to_protobuf(&self) -> Vec<u8> {
        self.request.encode_to_vec()
    }

    /// The body as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        compressed(&self.to_protobuf())
    }
}

/// Bytes in snappy's block format.
pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    // It fails for more than 4 GiB only, which no request is.
    snap::raw::Encoder::new().compress_vec(bytes).unwrap_or_default()
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_model::reader::Reader;
    use whyslow_store::remote_write::{Series, next_item, read_labels};

    #[test]
    fn what_is_written_is_what_our_own_reader_reads() {
        let mut body = Body::default();
        body.series([("__name__", "up"), ("job", "a")]);
        body.sample(1, 1.5);
        body.sample(2, -0.0);
        let bytes = snap::raw::Decoder::new().decompress_vec(&body.to_bytes()).unwrap();
        assert_eq!(bytes, body.to_protobuf());
        let mut series = Series::default();
        next_item(&mut Reader::new(&bytes), &mut series).unwrap();
        let mut labels = Vec::new();
        read_labels(&series.label_bytes, &mut labels).unwrap();
        assert_eq!(labels, [("__name__", "up"), ("job", "a")]);
        assert_eq!((series.samples.as_slice(), body.samples()), (&[(1, 1.5), (2, -0.0)][..], 2));
    }
}
